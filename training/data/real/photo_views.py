# SPDX-License-Identifier: Apache-2.0
"""Real photos as the RGB detector receives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.data.real.pasted_hands import PastedHand
from training.data.real.pasted_hands import PastedHands
from training.data.real.photo_keypoints import keypoint_labels
from training.data.real.photo_keypoints import labelled_keypoints
from training.data.real.photos import Kind
from training.data.real.photos import one_of
from training.data.real.photos import Photo
from training.data.real.photos import photos
from training.data.real.photos import Split
from training.data.real.scans import ScannedObjects
from training.data.synthetic.rgb_frame_views import frame_view
from training.data.synthetic.rgb_frame_views import FrameView
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation

_SHARES: dict[Kind, float] = {'held': 0.4, 'bare': 0.35, 'none': 0.25}
"""Shares of the kinds of photos."""
_SIDE = 0.92
"""Side of the square around a hand's keypoints, as a share of the longer side of its box, where they are not labelled:
a box includes the skin."""
_ZOOM = 0.3, 1.9
"""Of photos on others: most of them are taken close to the hand, and a robot is further away."""
_OTHERS = 0.5
"""Share of the views that lie on another photo; the other ones stay close to the hand, as a worn camera is."""
_BEHIND = 384
"""Longest side of the photos without hands beyond the borders of others, pixels."""


class PhotoViews:
    """Draws augmented views of the labelled photos of a split.

    The photos of each kind are drawn evenly over their sources, so that a source with many photos of one person does
    not dominate.

    Args:
        root: folder of the real material.
        split: of the photos.
        pasted: share of the views that show cut-out hands before photos without hands.
        objects: scanned objects that some of these hold.

    Attributes:
        files: the root and the photos, for `material.origins`.
        labels: the sources of other labels, for the card of a network.
    """

    def __init__(
        self, root: Path, split: Split = 'train', pasted: float = 0.0, objects: ScannedObjects | None = None
    ) -> None:
        sources: dict[tuple[Kind, str], list[Photo]] = {}
        drawn = photos(root, split)
        self.files = [(root, [photo.path for photo in drawn])]
        for photo in drawn:
            sources.setdefault((photo.kind, photo.source), []).append(photo)
        self._by_kind: dict[Kind, list[list[Photo]]] = {}
        for (kind, _), group in sources.items():
            self._by_kind.setdefault(kind, []).append(group)
        self._kinds = list(self._by_kind)
        shares = np.array([_SHARES[kind] for kind in self._kinds])
        self._shares = shares / shares.sum()
        self._pasted = pasted
        self._cut_outs = PastedHands(root, split, objects) if pasted else None
        self._small: dict[str, np.ndarray] = {}
        self.labels = keypoint_labels(drawn, 'an earlier state of reconstruction')

    def draw(self, config: RgbFrameAugmentation, rng: np.random.Generator) -> FrameView:
        """A random photo, augmented; beyond the borders of some lies a photo without hands."""
        behind = self._behind(rng) if rng.random() < _OTHERS else None
        if self._cut_outs and rng.random() < self._pasted:
            return frame_view(pasted_record(*self._cut_outs.draw(rng)), config, rng, behind)
        groups = self._by_kind[self._kinds[rng.choice(len(self._kinds), p=self._shares)]]
        if behind is not None:
            config = dataclasses.replace(config, zoom=_ZOOM)
        return frame_view(record_of(one_of(groups, rng)), config, rng, behind)

    def _behind(self, rng: np.random.Generator) -> np.ndarray | None:
        if 'none' not in self._by_kind:
            return None
        photo = one_of(self._by_kind['none'], rng)
        if photo.name not in self._small:
            image = photo.image()
            scale = min(1.0, _BEHIND / max(image.shape[:2]))
            self._small[photo.name] = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return self._small[photo.name]


def pasted_record(image: np.ndarray, hands: Sequence[PastedHand]) -> dict[str, Any]:
    """As `record_of`: of pasted hands the side is known, and of most whether they hold something."""
    inside = [((hand.keypoints >= 0) & (hand.keypoints < image.shape[1::-1])).all(1).mean() for hand in hands]
    count = len(hands)
    return {
        'image': image,
        'count': count,
        'square': np.array(
            [[*(hand.keypoints.min(0) + hand.keypoints.max(0)) / 2, hand.side] for hand in hands]
        ).reshape(-1, 3),
        'right': np.array([hand.right for hand in hands], bool),
        'visible': np.array([hand.shown for hand in hands]) * np.array(inside, float),
        'holds': np.array([hand.holds is not False for hand in hands], bool),
        'held': np.array([np.zeros(4) if hand.held is None else hand.held for hand in hands]).reshape(-1, 4),
        'known': np.array([[True, hand.holds is not None, hand.held is not None] for hand in hands], bool).reshape(
            -1, 3
        ),
    }


def record_of(photo: Photo) -> dict[str, Any]:
    """The fields of RGB_FRAME_DTYPE for a photo, and which of them are `known`: the sides of hands without labelled
    keypoints are not."""
    image = photo.image()
    height, width = image.shape[:2]
    boxes = photo.boxes * [width, height, width, height]
    sides = _SIDE * np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    count = len(boxes)
    square = np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5, sides]).reshape(-1, 3)
    right, known, labels = np.zeros(count, bool), np.tile([False, True, False], (count, 1)), labelled_keypoints()
    for number in range(count):
        if (photo.name, number) in labels:
            places, right[number] = labels[photo.name, number]
            low, high = (each * [width, height] - 0.5 for each in (places.min(0), places.max(0)))
            square[number] = *(low + high) / 2, (high - low).max()
            known[number, 0] = True
    return {
        'image': image,
        'count': count,
        'square': square,
        'right': right,
        'visible': np.ones(count),
        'holds': np.full(count, photo.kind == 'held'),
        'held': np.zeros((count, 4)),
        'known': known,
    }
