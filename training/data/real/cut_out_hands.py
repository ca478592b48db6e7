# SPDX-License-Identifier: Apache-2.0
"""Hands cut out of real photos.

Where a hand lies is known from its keypoints; GrabCut (Rother et al., SIGGRAPH 2004) finds its outline and that of the
forearm.
"""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from training.data.real.photo_keypoints import labelled_keypoints
from training.data.real.photos import Photo
from training.data.synthetic.rgb_frame_views import shrinkable

SIZE = 200
"""Pixels of a cut-out, each way."""
AROUND = 1.9
"""Side of its square, in sides of the square around the keypoints."""
PALM = [0, 1, 5, 9, 13, 17]
"""Joints of the palm, the wrist first."""
CHAINS = [[0, *range(first, first + 4)] for first in (1, 5, 9, 13, 17)]
"""The joints of each finger, the thumb's first, from the wrist."""
_FINGER, _CORE, _ARM, _BEYOND = 0.55, 0.12, 0.9, 0.35
"""Widths of what may be finger, of what is, and of the forearm, and how far the outline may lie from these: shares of
the breadth of the palm."""
_ROUNDS = 4
_COVERED, _AREA = 0.85, (0.45, 2.5)
"""Share of the keypoints that a cut-out covers at least, and its area, in areas of what may be hand and forearm."""


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

    @property
    def breadth(self) -> float:
        """From the index to the little finger's knuckle, and at least a third of the palm's length, pixels."""
        return _breadth(self.keypoints)

    def part(self, chains: list[list[int]]) -> np.ndarray:
        """(S, S) uint8, 255 where the fingers along chains of joints lie."""
        drawn = np.zeros_like(self.cover)
        for chain in chains:
            points = np.round(self.keypoints[chain]).astype(int)
            cv2.polylines(drawn, [points], False, 255, max(1, round(_FINGER * self.breadth)))
        return np.minimum(drawn, self.cover)


def cut_out(photo: Photo, number: int) -> CutOut | None:
    """The hand in a photo's box of that number, whose keypoints are known; None where its outline is not plausible."""
    places, right = labelled_keypoints()[photo.name, number]
    image = photo.image()
    places = places * image.shape[1::-1] - 0.5
    low, high = places.min(0), places.max(0)
    scale = SIZE / (AROUND * (high - low).max())
    shift = (SIZE - 1) / 2 - scale * (low + high) / 2
    picture = warped(image, np.column_stack([scale * np.eye(2), shift]), (SIZE, SIZE), cv2.BORDER_REPLICATE)
    inside = warped(np.full(image.shape[:2], 255, np.uint8), np.column_stack([scale * np.eye(2), shift]), (SIZE, SIZE))
    keypoints = scale * places + shift
    likely, core = _drawn(keypoints)
    mask = np.full((SIZE, SIZE), cv2.GC_PR_BGD, np.uint8)
    mask[likely > 0], mask[core > 0] = cv2.GC_PR_FGD, cv2.GC_FGD
    reach = max(1, round(_BEYOND * _breadth(keypoints)))
    mask[cv2.dilate(likely, np.ones((3, 3)), iterations=reach) == 0] = cv2.GC_BGD
    mask[inside < 128] = cv2.GC_BGD
    if not (mask == cv2.GC_FGD).any():
        return None
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    cover = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
    row, column = np.clip(np.round(keypoints).astype(int), 0, SIZE - 1).T[::-1]
    area = cover.sum() / max(int(((likely > 0) & (inside >= 128)).sum()), 1)
    if cover[row, column].mean() < _COVERED or not _AREA[0] < area < _AREA[1]:
        return None
    soft = cv2.GaussianBlur(255 * cover.astype(np.uint8), (0, 0), 1.0)
    return CutOut(picture, soft, keypoints, right, photo.kind == 'held')


def _drawn(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What may be hand and forearm, and what certainly is hand: (S, S) uint8."""
    likely, core = np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    breadth, points = _breadth(keypoints), np.round(keypoints).astype(int)
    palm = cv2.convexHull(points[PALM])
    for picture, share in ((likely, _FINGER), (core, _CORE)):
        cv2.fillConvexPoly(picture, palm, 255)
        for chain in CHAINS:
            cv2.polylines(picture, [points[chain]], False, 255, max(1, round(share * breadth)))
    away = keypoints[0] - keypoints[PALM[2:]].mean(0)
    away = away / max(float(np.linalg.norm(away)), 1e-6)
    end = np.round(keypoints[0] + 2 * SIZE * away).astype(int)
    cv2.line(likely, points[0].tolist(), end.tolist(), 255, max(1, round(_ARM * breadth)))
    return likely, core


def _breadth(keypoints: np.ndarray) -> float:
    """From the index to the little finger's knuckle, and at least a third of the palm's length, pixels."""
    length = float(np.linalg.norm(keypoints[9] - keypoints[0]))
    return max(float(np.linalg.norm(keypoints[5] - keypoints[17])), length / 3)


def warped(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], border: int = cv2.BORDER_CONSTANT
) -> np.ndarray:
    """An image under an affine map (2, 3), of a size (width, height), blurred first where it shrinks."""
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return cv2.warpAffine(shrinkable(image, scale), matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
