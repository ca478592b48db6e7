# SPDX-License-Identifier: Apache-2.0
"""Real photos as the RGB detector receives them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.data.real.cut_out_hands import CutOutHands
from training.data.real.cut_out_hands import PastedHand
from training.data.real.photo_keypoints import keypoint_labels
from training.data.real.photos import Kind
from training.data.real.photos import one_of
from training.data.real.photos import Photo
from training.data.real.photos import photos
from training.data.real.photos import Split
from training.data.synthetic.rgb_frame_views import frame_view
from training.data.synthetic.rgb_frame_views import FrameView
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation

_SHARES: dict[Kind, float] = {'held': 0.4, 'bare': 0.35, 'none': 0.25}
"""Shares of the kinds of photos."""
_SIDE = 0.92
"""Side of the square around a hand's keypoints, as a share of the longer side of its box: a box includes the skin."""


class PhotoViews:
    """Draws augmented views of the labelled photos of a split.

    The photos of each kind are drawn evenly over their sources, so that a source with many photos of one person does
    not dominate.

    Args:
        root: folder of the real material.
        split: of the photos.
        pasted: share of the views that show cut-out hands before photos without hands.

    Attributes:
        files: the root and the photos, for `material.origins`.
        labels: the sources of other labels, for the card of a network.
    """

    def __init__(self, root: Path, split: Split = 'train', pasted: float = 0.0) -> None:
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
        self._cut_outs = CutOutHands(root, split) if pasted else None
        self.labels = keypoint_labels(drawn, 'an earlier state of reconstruction') if pasted else {}

    def draw(self, config: RgbFrameAugmentation, rng: np.random.Generator) -> FrameView:
        """A random photo, augmented."""
        if self._cut_outs and rng.random() < self._pasted:
            return frame_view(_pasted_record(*self._cut_outs.draw(rng)), config, rng)
        groups = self._by_kind[self._kinds[rng.choice(len(self._kinds), p=self._shares)]]
        return photo_view(one_of(groups, rng), config, rng)


def photo_view(photo: Photo, config: RgbFrameAugmentation, rng: np.random.Generator | None) -> FrameView:
    """A photo as the detector receives it, augmented with `rng`."""
    return frame_view(record_of(photo), config, rng)


def _pasted_record(image: np.ndarray, hands: Sequence[PastedHand]) -> dict[str, Any]:
    """As `record_of`: of pasted hands the side is known, and of empty ones that they hold nothing."""
    inside = [((hand.keypoints >= 0) & (hand.keypoints < image.shape[1::-1])).all(1).mean() for hand in hands]
    empty = [not hand.holds for hand in hands]
    count = len(hands)
    return {
        'image': image,
        'count': count,
        'square': np.array(
            [[*(hand.keypoints.min(0) + hand.keypoints.max(0)) / 2, hand.side] for hand in hands]
        ).reshape(-1, 3),
        'right': np.array([hand.right for hand in hands], bool),
        'visible': np.array(inside, float),
        'holds': ~np.array(empty, bool),
        'held': np.zeros((count, 4)),
        'known': np.array([[True, each, False] for each in empty], bool).reshape(-1, 3),
    }


def record_of(photo: Photo) -> dict[str, Any]:
    """The fields of RGB_FRAME_DTYPE for a photo, and which of them are `known`: the sides of its hands are not."""
    image = photo.image()
    height, width = image.shape[:2]
    boxes = photo.boxes * [width, height, width, height]
    sides = _SIDE * np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    count = len(boxes)
    return {
        'image': image,
        'count': count,
        'square': np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5, sides]).reshape(-1, 3),
        'right': np.zeros(count, bool),
        'visible': np.ones(count),
        'holds': np.full(count, photo.kind == 'held'),
        'held': np.zeros((count, 4)),
        'known': np.tile([False, True, False], (count, 1)),
    }
