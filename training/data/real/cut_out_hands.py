# SPDX-License-Identifier: Apache-2.0
"""Hands cut out of real photos and pasted into others: real skin before any background.

Where a hand lies is known from its keypoints; GrabCut (Rother et al., SIGGRAPH 2004) finds its outline and that of the
forearm. Pasting them elsewhere is the augmentation of Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation
Method for Instance Segmentation" (CVPR 2021).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np

from training.data.real.photo_keypoints import labelled_keypoints
from training.data.real.photos import one_of
from training.data.real.photos import Photo
from training.data.real.photos import photos
from training.data.real.photos import Split
from training.data.synthetic.colour import encoded
from training.data.synthetic.gloves import Glove
from training.data.synthetic.rgb_frame_views import shrinkable
from training.data.synthetic.skin import Skin

_SIZE = 200
"""Pixels of a cut-out, each way."""
_AROUND = 1.9
"""Side of its square, in sides of the square around the keypoints."""
_PALM = [0, 1, 5, 9, 13, 17]
_CHAINS = [[0, *range(first, first + 4)] for first in (1, 5, 9, 13, 17)]
_FINGER, _CORE, _ARM, _BEYOND = 0.55, 0.12, 0.9, 0.35
"""Widths of what may be finger, of what is, and of the forearm, and how far the outline may lie from these: shares of
the breadth of the palm."""
_ROUNDS = 4
_COVERED, _AREA = 0.85, (0.45, 2.5)
"""Share of the keypoints that a cut-out covers at least, and its area, in areas of what may be hand and forearm."""
_SIDES = (0.08, 0.75)
"""Of pasted hands, shares of the shorter side of the picture."""
_RECOLOURED, _BLACK, _FLAT = 0.35, 0.3, 0.15
"""Share of pasted hands in the colour of another skin or of a glove, of these gloves the black ones, and the share of a
new colour that shading does not change."""
_ENTERING, _REACH, _ALONG = 0.5, (0.3, 0.8), 0.4
"""Share of pasted hands whose forearm enters at the border of the picture, the distance of the middle of such a hand
from it, in its sides, and the deviation of the forearm from the border's normal, radians."""
_TWO, _APART = 0.25, 1.5
"""Share of the pictures with two, and their least distance, in the mean of their sides."""
_UPRIGHT, _MARGIN = 0.3, 0.1
"""Deviation of the roll of every other hand, radians; and least distance of the middle of a hand from the border, as a
share of the picture."""
_LIKENESS = 0.6
"""Largest share by which the brightness of a pasted hand follows that of what is around it."""


@dataclasses.dataclass(frozen=True)
class CutOut:
    """A hand without its background.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        cover: (S, S) uint8, 255 where the hand is.
        keypoints: (21, 2) pixels.
        right: whether it is a right hand.
        holds: whether it holds something, of which an unknown part is left.
    """

    image: np.ndarray
    cover: np.ndarray
    keypoints: np.ndarray
    right: bool
    holds: bool


@dataclasses.dataclass(frozen=True)
class PastedHand:
    """A hand in a picture.

    Attributes:
        keypoints: (21, 2) pixels.
        right: whether it is a right hand.
        holds: whether it holds something, of which an unknown part is left.
    """

    keypoints: np.ndarray
    right: bool
    holds: bool

    @property
    def side(self) -> float:
        """Of the square around its keypoints, pixels."""
        return float(np.ptp(self.keypoints, 0).max())


class CutOutHands:
    """Pastes hands of labelled photos of a split into its photos without hands.

    Args:
        root: folder of the real material.
        split: of the photos.

    Raises:
        FileNotFoundError: the split has no photo without hands, or none whose hands have keypoints.
    """

    def __init__(self, root: Path, split: Split = 'train') -> None:
        shown = photos(root, split)
        known = labelled_keypoints()
        self._hands: dict[str, list[tuple[Photo, int]]] = {}
        for photo in shown:
            for number in range(len(photo.boxes)):
                if (photo.name, number) in known:
                    self._hands.setdefault(photo.source, []).append((photo, number))
        empty: dict[str, list[Photo]] = {}
        for photo in shown:
            if photo.kind == 'none':
                empty.setdefault(photo.source, []).append(photo)
        self._empty = list(empty.values())
        if not self._hands or not self._empty:
            raise FileNotFoundError(f'{root}: the split {split} has no photo without hands, or no hand with keypoints')
        self._cut: dict[tuple[str, int], CutOut | None] = {}

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, list[PastedHand]]:
        """A photo, (H, W, 3) uint8 RGB, into which one or two hands are pasted, and these; none where no outline is
        plausible."""
        image = one_of(self._empty, rng).image()
        size = np.array(image.shape[1::-1])
        hands: list[PastedHand] = []
        for _ in range(1 + int(rng.random() < _TWO)):
            cut = self._any(rng)
            turn = rng.uniform(-math.pi, math.pi) if rng.random() < 0.5 else rng.normal(0, _UPRIGHT)
            flip = bool(rng.random() < 0.5)
            side = float(size.min()) * math.exp(rng.uniform(*np.log(_SIDES)))
            centre = rng.uniform(_MARGIN, 1 - _MARGIN, 2) * size
            colour = _other_colour(rng) if rng.random() < _RECOLOURED else None
            if cut is not None and rng.random() < _ENTERING:
                border = int(rng.integers(4))
                turn = _toward(border, cut, flip) + rng.normal(0, _ALONG)
                axis, far = border % 2, border < 2
                reach = rng.uniform(*_REACH) * side
                centre[axis] = size[axis] - reach if far else reach
            apart = [np.linalg.norm(centre - hand.keypoints.mean(0)) for hand in hands]
            if cut is None or any(each < _APART * (side + hand.side) / 2 for each, hand in zip(apart, hands)):
                continue
            keypoints = paste(image, cut, centre, side, turn, flip, _LIKENESS * rng.random(), colour)
            hands.append(PastedHand(keypoints, cut.right ^ flip, cut.holds))
        return image, hands

    def _any(self, rng: np.random.Generator) -> CutOut | None:
        photo, number = one_of(list(self._hands.values()), rng)
        if (photo.name, number) not in self._cut:
            self._cut[photo.name, number] = cut_out(photo, number)
        return self._cut[photo.name, number]


def cut_out(photo: Photo, number: int) -> CutOut | None:
    """The hand in a photo's box of that number, whose keypoints are known; None where its outline is not plausible."""
    places, right = labelled_keypoints()[photo.name, number]
    image = photo.image()
    places = places * image.shape[1::-1] - 0.5
    low, high = places.min(0), places.max(0)
    scale = _SIZE / (_AROUND * (high - low).max())
    shift = (_SIZE - 1) / 2 - scale * (low + high) / 2
    picture = _warped(image, np.column_stack([scale * np.eye(2), shift]), (_SIZE, _SIZE), cv2.BORDER_REPLICATE)
    inside = _warped(
        np.full(image.shape[:2], 255, np.uint8), np.column_stack([scale * np.eye(2), shift]), (_SIZE, _SIZE)
    )
    keypoints = scale * places + shift
    likely, core = _drawn(keypoints)
    mask = np.full((_SIZE, _SIZE), cv2.GC_PR_BGD, np.uint8)
    mask[likely > 0], mask[core > 0] = cv2.GC_PR_FGD, cv2.GC_FGD
    reach = max(1, round(_BEYOND * _breadth(keypoints)))
    mask[cv2.dilate(likely, np.ones((3, 3)), iterations=reach) == 0] = cv2.GC_BGD
    mask[inside < 128] = cv2.GC_BGD
    if not (mask == cv2.GC_FGD).any():
        return None
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    cover = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
    row, column = np.clip(np.round(keypoints).astype(int), 0, _SIZE - 1).T[::-1]
    area = cover.sum() / max(int(((likely > 0) & (inside >= 128)).sum()), 1)
    if cover[row, column].mean() < _COVERED or not _AREA[0] < area < _AREA[1]:
        return None
    soft = cv2.GaussianBlur(255 * cover.astype(np.uint8), (0, 0), 1.0)
    return CutOut(picture, soft, keypoints, right, photo.kind == 'held')


def _other_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) sRGB of another skin or of a glove, 0 to 1."""
    if rng.random() < 0.5:
        return encoded(Skin.sample(rng).back)
    if rng.random() < _BLACK:
        return np.full(3, rng.uniform(0.05, 0.2))
    return encoded(Glove.sample(rng).shell.colours[0])


def _toward(border: int, cut: CutOut, flip: bool) -> float:
    """The turn of a hand, radians, with which its forearm points right, down, left or up (0 to 3)."""
    across, down = cut.keypoints[0] - cut.keypoints[_PALM[2:]].mean(0)
    return border * math.pi / 2 - math.atan2(down, -across if flip else across)


def paste(
    image: np.ndarray,
    cut: CutOut,
    centre: np.ndarray,
    side: float,
    turn: float,
    flip: bool,
    likeness: float,
    colour: np.ndarray | None = None,
) -> np.ndarray:
    """Pastes a hand into an image, in place.

    Args:
        image: (H, W, 3) uint8 RGB.
        cut: the hand.
        centre: (2,) pixel of the middle of the cut-out.
        side: of the square around its keypoints before it is turned, pixels.
        turn: clockwise, radians.
        flip: whether it is mirrored first.
        likeness: share by which its brightness follows that of what it hides, 0 to 1.
        colour: (3,) sRGB of another skin or of a glove, 0 to 1; None for its own.

    Returns:
        (21, 2) pixels of its keypoints.
    """
    scale = side * _AROUND / _SIZE
    cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
    turned = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
    matrix = np.column_stack([turned, centre - turned @ np.full(2, (_SIZE - 1) / 2)])
    size = image.shape[1], image.shape[0]
    # Colours that fade to black at the border of the cut-out would draw a line.
    picture, cover = _warped(cut.image, matrix, size, cv2.BORDER_REPLICATE), _warped(cut.cover, matrix, size)
    hidden = cover > 128
    if colour is not None and hidden.any():
        shading = picture.mean(-1, keepdims=True) / max(float(picture[hidden].mean()), 8.0)
        picture = np.clip(255 * colour * (_FLAT + (1 - _FLAT) * shading), 0, 255)
    if hidden.any():
        own, around = (max(float(each[hidden].mean()), 8.0) for each in (picture, image))
        gain = min(max((around / own) ** likeness, 0.4), 1.8)
        picture = np.clip(picture * gain, 0, 255)
    share = (cover / 255)[..., None]
    image[:] = np.round(image * (1 - share) + picture * share).astype(np.uint8)
    return cut.keypoints @ turned.T + matrix[:, 2]


def _drawn(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What may be hand and forearm, and what certainly is hand: (S, S) uint8."""
    likely, core = np.zeros((_SIZE, _SIZE), np.uint8), np.zeros((_SIZE, _SIZE), np.uint8)
    breadth, points = _breadth(keypoints), np.round(keypoints).astype(int)
    palm = cv2.convexHull(points[_PALM])
    for picture, share in ((likely, _FINGER), (core, _CORE)):
        cv2.fillConvexPoly(picture, palm, 255)
        for chain in _CHAINS:
            cv2.polylines(picture, [points[chain]], False, 255, max(1, round(share * breadth)))
    away = keypoints[0] - keypoints[_PALM[2:]].mean(0)
    away = away / max(float(np.linalg.norm(away)), 1e-6)
    end = np.round(keypoints[0] + 2 * _SIZE * away).astype(int)
    cv2.line(likely, points[0].tolist(), end.tolist(), 255, max(1, round(_ARM * breadth)))
    return likely, core


def _breadth(keypoints: np.ndarray) -> float:
    """From the index to the little finger's knuckle, and at least a third of the palm's length, pixels."""
    length = float(np.linalg.norm(keypoints[9] - keypoints[0]))
    return max(float(np.linalg.norm(keypoints[5] - keypoints[17])), length / 3)


def _warped(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], border: int = cv2.BORDER_CONSTANT
) -> np.ndarray:
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return cv2.warpAffine(shrinkable(image, scale), matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
