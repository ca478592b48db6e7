# SPDX-License-Identifier: Apache-2.0
"""Keypoints of hands in real photos, as MediaPipe's landmark network sees them: weak labels for training on colour.

The labels lie beside this file, `photo_keypoints.csv`: a row for each labelled box of `photos.py` in which the network
sees the same hand in the picture and in its mirror image. It is given the box, so that it also reads hands that hold
something, which its own detector hardly ever finds. To make the labels anew:

    python -m training.data.real.photo_keypoints --photos FOLDER --landmarks hand_landmark_full.tflite

The model is in the wheel of MediaPipe 0.10.21 (Apache-2.0; mediapipe/modules/hand_landmark), which need not be
installed: OpenVINO runs it. Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import math
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import openvino
from tqdm import tqdm

from training.data.real.photos import Photo
from training.data.real.photos import photos
from training.data.real.photos import Split

KEYPOINTS = Path(__file__).with_name('photo_keypoints.csv')
"""Columns: file, box (its number in the photo), side, presence (the lower one of both readings), then x0, y0 … x20,
y20, shares of width and height. Eight labels of training photos are left out: a person saw the other hand in them."""

COLUMNS = [f'{axis}{number}' for number in range(21) for axis in 'xy']
"""Names of the last 42 columns."""
INFERRED = Path(__file__).with_name('photo_keypoints_inferred.csv')
"""Labels of our own network for training photos (`training/recipes/reconstruction_labels.py`), each looked at. Columns
as those of KEYPOINTS, but `spread` for `presence`: the mean distance of the keypoints from several crops, a share of
the hand's size."""

MEDIAPIPE = 'https://github.com/google-ai-edge/mediapipe'
"""Source of the labels."""

_INPUT = 224
"""Side of the network's image, pixels."""
_PALM = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
"""Keypoints that determine the next crop."""
_ROOM, _AHEAD = 2.0, 0.1
"""Side of a crop, multiples of the square about these keypoints, and its shift towards the fingertips."""
_TURNS, _SIDES = 12, (1.25, 1.7)
"""First crops of a box: turns, and sides in multiples of the box's longer one."""
_FOLLOWED = 4
"""First crops, those of the highest presence, from which the hand is followed for two more."""
_PRESENT, _APART, _SHARED = 0.7, 0.08, 0.35
"""Labels are kept from this presence on, where both readings are at most this share of the hand's size apart and the
box about the keypoints has this intersection over union with the labelled one."""


@dataclasses.dataclass(frozen=True)
class SeenHand:
    """A hand as the landmark network sees it.

    Attributes:
        keypoints: (21, 2) pixels of the image.
        presence: probability of a hand.
        right: probability of a right one.
    """

    keypoints: np.ndarray
    presence: float
    right: float


class LandmarkNetwork:
    """MediaPipe's landmark network on squares of an image.

    Args:
        path: hand_landmark_full.tflite.
    """

    def __init__(self, path: Path) -> None:
        self._network = openvino.Core().compile_model(path, 'CPU', {'INFERENCE_NUM_THREADS': 1})

    def __call__(self, image: np.ndarray, centre: np.ndarray, side: float, turn: float) -> SeenHand:
        """The hand in a square of an image (H, W, 3) RGB, turned clockwise by `turn` radians."""
        axes = _axes(turn) * (_INPUT / side)
        warp = np.column_stack([axes, _INPUT / 2 - axes @ centre])
        flags = cv2.INTER_AREA if side > 2 * _INPUT else cv2.INTER_LINEAR
        square = cv2.warpAffine(image, warp, (_INPUT, _INPUT), flags=flags)
        found = self._network(square[None].astype(np.float32) / 255)
        landmarks, presence, right = (found[number].ravel() for number in range(3))
        keypoints = (landmarks.reshape(21, 3)[:, :2] - warp[:, 2]) @ np.linalg.inv(axes).T
        return SeenHand(keypoints, float(presence[0]), float(right[0]))

    def read(self, image: np.ndarray, box: np.ndarray) -> SeenHand | None:
        """The hand about a box (4,) in pixels: the reading of the highest presence from several first crops."""
        centre, longer = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
        first = [
            self(image, centre, side * longer, 2 * math.pi * number / _TURNS)
            for number in range(_TURNS)
            for side in _SIDES
        ]
        first.sort(key=lambda hand: -hand.presence)
        followed = [hand for hand in (self._followed(image, hand) for hand in first[:_FOLLOWED]) if hand]
        return max(followed, key=lambda hand: hand.presence, default=None)

    def _followed(self, image: np.ndarray, hand: SeenHand) -> SeenHand | None:
        for _ in range(3):
            centre, side, turn = _next_square(hand.keypoints)
            if not 8 < side < 8 * max(image.shape):
                return None
            hand = self(image, centre, side, turn)
        return hand


def label(network: LandmarkNetwork, image: np.ndarray, box: np.ndarray) -> SeenHand | None:
    """The hand about a box (4,) in pixels, the mean of both readings; None where they do not agree with each other or
    with the box."""
    width = image.shape[1]
    mirrored_box = (width - box[[2, 1, 0, 3]]) * [1, 0, 1, 0] + box * [0, 1, 0, 1]
    hand, other = network.read(image, box), network.read(np.ascontiguousarray(image[:, ::-1]), mirrored_box)
    if hand is None or other is None:
        return None
    other = SeenHand(other.keypoints * [-1, 1] + [width - 1, 0], other.presence, 1 - other.right)
    apart = np.linalg.norm(hand.keypoints - other.keypoints, axis=1).mean() / np.ptp(hand.keypoints, axis=0).max()
    mean = (hand.keypoints + other.keypoints) / 2
    presence = min(hand.presence, other.presence)
    kept = presence >= _PRESENT and apart < _APART and (hand.right > 0.5) == (other.right > 0.5)
    if not kept or _overlap(np.concatenate([mean.min(0), mean.max(0)]), box) < _SHARED:
        return None
    return SeenHand(mean, presence, (hand.right + other.right) / 2)


def labelled_keypoints() -> dict[tuple[str, int], tuple[np.ndarray, bool]]:
    """By file and number of the box: keypoints (21, 2), shares of width and height, and whether it is a right hand."""
    seen, inferred = tables()
    return {**keypoints_in(inferred), **keypoints_in(seen)}


def tables() -> tuple[Path, Path]:
    """The tables of MediaPipe's labels and of our own."""
    return KEYPOINTS, INFERRED


@functools.cache
def keypoints_in(table: Path) -> dict[tuple[str, int], tuple[np.ndarray, bool]]:
    """The labels of one table, as `labelled_keypoints`."""
    with table.open(newline='') as file:
        rows = list(csv.reader(file))[1:]
    return {
        (name, int(number)): (np.array(places, float).reshape(21, 2), side == 'right')
        for name, number, side, _, *places in rows
    }


def keypoint_labels(shown: Iterable[Photo], own: str = 'an earlier state of this network') -> dict[str, str]:
    """The sources of the keypoints of the hands in some photos, for the card of a network.

    Args:
        shown: the photos.
        own: how the card names our network that inferred some of them.
    """
    hands = {(photo.name, number) for photo in shown for number in range(len(photo.boxes))}
    seen, inferred = (len(hands & keypoints_in(table).keys()) for table in tables())
    labels = {MEDIAPIPE: f'keypoints of {seen} hands in these images, Apache-2.0'}
    return labels | ({own: f'keypoints of {inferred} hands in these images, each looked at'} if inferred else {})


def _axes(turn: float) -> np.ndarray:
    """(2, 2) rows are the axes of a square turned clockwise, in the image's axes."""
    return np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])


def _next_square(keypoints: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Centre, side and turn of the square in which the network expects the hand next."""
    away = (keypoints[5] + 2 * keypoints[9] + keypoints[13]) / 4 - keypoints[0]
    turn = math.atan2(away[0], -away[1])
    axes = _axes(turn)
    low, high = (keypoints[_PALM] @ axes.T).min(0), (keypoints[_PALM] @ axes.T).max(0)
    middle = (low + high) / 2 - [0, _AHEAD * (high - low)[1]]
    return middle @ axes, _ROOM * float((high - low).max()), turn


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    shared = np.prod(np.clip(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0, None))
    return float(shared / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - shared))


def write_labels(root: Path, landmarks: Path, path: Path, every: int = 1) -> dict[str, float]:
    """Labels the boxes of both splits and writes the table.

    Returns:
        The share of labelled boxes by kind of photo.
    """
    network, rows = LandmarkNetwork(landmarks), []
    splits: tuple[Split, Split] = 'train', 'validation'
    found: dict[str, list[bool]] = {}
    for photo in tqdm([photo for split in splits for photo in photos(root, split)][::every], unit='photo'):
        image = photo.image()
        size = np.array([image.shape[1], image.shape[0]])
        for number, box in enumerate(photo.boxes):
            hand = label(network, image, box * np.tile(size, 2))
            found.setdefault(photo.kind, []).append(hand is not None)
            if hand is not None:
                places = [f'{value:.3f}' for value in ((hand.keypoints + 0.5) / size).ravel()]
                side = 'right' if hand.right > 0.5 else 'left'
                rows.append([photo.name, str(number), side, f'{hand.presence:.2f}', *places])
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['file', 'box', 'side', 'presence', *COLUMNS])
        writer.writerows(sorted(rows))
    return {kind: float(np.mean(values)) for kind, values in found.items()}


def main() -> None:
    """Runs the command of this module's description."""
    parser = argparse.ArgumentParser(description='Keypoints of hands in the real photos, by MediaPipe.')
    parser.add_argument('--photos', type=Path, required=True, help='folder of the real material')
    parser.add_argument('--landmarks', type=Path, required=True, help='hand_landmark_full.tflite')
    parser.add_argument('--out', type=Path, default=KEYPOINTS, help='the table')
    parser.add_argument('--every', type=int, default=1, help='labels one photo in so many')
    options = parser.parse_args()
    shares = write_labels(options.photos, options.landmarks, options.out, options.every)
    print(f'{options.out}: ' + ', '.join(f'{share:.0%} of the {kind} hands' for kind, share in shares.items()))


if __name__ == '__main__':
    main()
