# SPDX-License-Identifier: Apache-2.0
"""Keypoints of hands in real photos, as a trained network of `reconstruction` sees them from several crops.

They label hands that MediaPipe does not read twice alike (`training/data/real/photo_keypoints.py`), most of them behind
what they hold. Of the labels that this command writes, the table in the package holds those in which a person saw
nothing wrong:

    python -m training.recipes.reconstruction_labels --photos FOLDER --weights models/reconstruction --out labels.csv
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.playback.cameras import assumed_camera
from training.data.real.photo_keypoints import COLUMNS
from training.data.real.photo_keypoints import KEYPOINTS
from training.data.real.photo_keypoints import keypoints_in
from training.data.real.photos import photos
from training.data.synthetic.rgb_crop_views import ROOM
from training.networks.reconstruction import normalised
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import COMPACT
from training.networks.reconstruction_weights import load_network
from training.networks.reconstruction_weights import start_from_folder

_LARGEST = 1000
"""Pixels of the longer side of the photos that are looked at."""
_TURNS = 12
"""First crops of a box as of each side."""
_FOLLOWED, _STEPS = 5, 2
"""First crops of each side that are followed, those that look most like it, and crops about the joints before."""
_VIEWS = 8
"""Crops about each of the hands that they lead to."""
_SCALED, _MOVED, _ROLLED = 0.15, 0.05, 0.25
"""Largest change of the logarithm of these crops' side, and the standard deviations of their place, in sides, and of
their roll, radians."""
_SPREAD, _ALIKE, _AGREEING, _SURE = 0.065, 0.08, 3, 2.0
"""A hand is labelled where its keypoints spread by this share of its size at most over the crops, so many of the
followed crops lead to the same keypoints within this share, and the log-odds of its side exceed those of the other one
by so much."""


@dataclasses.dataclass(frozen=True)
class InferredHand:
    """A hand as the network sees it.

    Attributes:
        keypoints: (21, 2) pixels, medians over the crops.
        right: whether it is a right hand.
        spread: mean distance of the crops' keypoints from them, a share of the hand's larger extent.
        margin: log-odds of its side minus those of the other side in the mirrored crops, mean over the crops.
        agreeing: followed crops that lead to the same keypoints, itself included.
    """

    keypoints: np.ndarray
    right: bool
    spread: float
    margin: float
    agreeing: int = 0

    @property
    def clear(self) -> bool:
        """Whether it labels the photo."""
        return self.spread < _SPREAD and self.agreeing >= _AGREEING and self.margin > _SURE

    @property
    def size(self) -> float:
        """Larger extent, pixels."""
        return float(np.ptp(self.keypoints, axis=0).max())


def infer(network: ReconstructionNet, image: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> InferredHand:
    """The hand about a box.

    Args:
        network: in evaluation mode, with votes.
        image: (H, W, 3) uint8 RGB.
        box: (4,) left, top, right, bottom of the hand, pixels.
        rng: of the crops.
    """
    camera = assumed_camera(image.shape[1], image.shape[0]).camera
    hands = [hand for right in (True, False) for hand in _followed(network, image, camera, box, right, rng)]
    best = max(hands, key=lambda hand: hand.margin - 20 * hand.spread)
    apart = [
        float(np.linalg.norm(hand.keypoints - best.keypoints, axis=1).mean()) / best.size
        for hand in hands
        if hand.right == best.right
    ]
    return dataclasses.replace(best, agreeing=sum(distance < _ALIKE for distance in apart))


def _followed(
    network: ReconstructionNet,
    image: np.ndarray,
    camera: Pinhole,
    box: np.ndarray,
    right: bool,
    rng: np.random.Generator,
) -> list[InferredHand]:
    """Where the crops of a box lead, as of a right or a left hand."""
    level = _square(camera, box.reshape(2, 2), right)
    turned = [dataclasses.replace(level, turn=turn) for turn in np.linspace(-math.pi, math.pi, _TURNS, endpoint=False)]
    places, odds = _read(network, image, turned)
    hands = []
    for start in np.argsort(-odds)[:_FOLLOWED]:
        keypoints = places[start]
        for _ in range(_STEPS):
            (keypoints,), _ = _read(network, image, [_upright(camera, keypoints, right)])
        views = [_varied(camera, keypoints, right, rng) for _ in range(_VIEWS)]
        seen, own = _read(network, image, views)
        _, others = _read(network, image, [dataclasses.replace(view, mirrored=right) for view in views])
        middle = np.median(seen, axis=0)
        spread = float(np.linalg.norm(seen - middle, axis=-1).mean() / np.ptp(middle, axis=0).max())
        hands.append(InferredHand(middle, right, spread, float((own - others).mean())))
    return hands


def _square(camera: Pinhole, points: np.ndarray, right: bool) -> ViewCrop:
    middle, side = outline(points, None)
    return ViewCrop(camera, middle, ROOM * side, mirrored=not right)


def _upright(camera: Pinhole, keypoints: np.ndarray, right: bool, roll: float = 0.0) -> ViewCrop:
    return _square(camera, keypoints, right).upright(camera.unproject(keypoints, np.ones(len(keypoints))), roll)


def _varied(camera: Pinhole, keypoints: np.ndarray, right: bool, rng: np.random.Generator) -> ViewCrop:
    crop = _square(camera, keypoints, right)
    side = crop.side * math.exp(rng.uniform(-_SCALED, _SCALED))
    moved = dataclasses.replace(crop, side=side, centre=crop.centre + rng.normal(0, _MOVED, 2) * side)
    points = camera.unproject(keypoints, np.ones(len(keypoints)))
    return moved.upright(points, float(rng.normal(0, _ROLLED)))


def _read(network: ReconstructionNet, image: np.ndarray, crops: list[ViewCrop]) -> tuple[np.ndarray, np.ndarray]:
    """The voted keypoints (N, 21, 2) in pixels of the image, and (N,) the log-odds of the crops' side."""
    pictures = np.stack([crop.warp(image, network.config.size) for crop in crops])
    with torch.inference_mode():
        result = network(normalised(torch.from_numpy(pictures).permute(0, 3, 1, 2)), hand_alone=True)
    if result.votes is None or result.right is None:
        raise ValueError('the network reads no keypoints: labels need one with the readout votes')
    places = result.votes.places[..., :2].numpy().astype(float)
    rays = [np.column_stack([place / crop.focal, np.ones(len(place))]) for crop, place in zip(crops, places)]
    seen = np.stack([crop.camera.project(crop.to_camera(ray)) for crop, ray in zip(crops, rays)])
    return seen, result.right[:, 0].numpy()


def write_labels(root: Path, weights: Path, path: Path) -> int:
    """Labels the boxes of the training photos that MediaPipe left unlabelled and writes the table.

    Returns:
        Number of labels.
    """
    network = ReconstructionNet(COMPACT)
    if weights.is_dir():
        noise = torch.rand(4, 3, COMPACT.size, COMPACT.size, generator=torch.Generator().manual_seed(0))
        start_from_folder(network, weights, 2 * noise - 1)
    else:
        network = load_network(weights)
    network.eval()
    known, rows, rng = keypoints_in(KEYPOINTS), [], np.random.default_rng(0)
    for photo in tqdm([photo for photo in photos(root, 'train') if photo.kind != 'none'], unit='photo'):
        image = photo.image()
        shrunk = min(1.0, _LARGEST / max(image.shape[:2]))
        image = cv2.resize(image, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA)
        size = np.array([image.shape[1], image.shape[0]])
        for number, box in enumerate(photo.boxes):
            if (photo.name, number) in known:
                continue
            hand = infer(network, image, box * np.tile(size, 2), rng)
            if hand.clear:
                places = [f'{value:.3f}' for value in ((hand.keypoints + 0.5) / size).ravel()]
                rows.append([photo.name, str(number), 'right' if hand.right else 'left', f'{hand.spread:.3f}', *places])
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['file', 'box', 'side', 'spread', *COLUMNS])
        writer.writerows(sorted(rows))
    return len(rows)


def main() -> None:
    """Runs the command of this module's description."""
    parser = argparse.ArgumentParser(description='Keypoints of hands in the real photos, by our own network.')
    parser.add_argument('--photos', type=Path, required=True, help='folder of the real material')
    parser.add_argument('--weights', type=Path, required=True, help='weights.pt, or a model folder')
    parser.add_argument('--out', type=Path, required=True, help='the table')
    options = parser.parse_args()
    print(f'{options.out}: {write_labels(options.photos, options.weights, options.out)} hands')


if __name__ == '__main__':
    main()
