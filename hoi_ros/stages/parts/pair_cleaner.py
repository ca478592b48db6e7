# SPDX-License-Identifier: Apache-2.0
"""Two observed hands → where the one that the observation has misplaced is likely to be.

Two hands that touch are often taken for one: both observations lie on the same hand. A network that has learned from
such observations and their truth tells which hand is misplaced, and places it by the other one and by the direction of
the camera. A2P (CVPR 2026) takes intersecting pairs to clean ones by a diffusion; here one step does it, from what an
estimator really makes of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import out_of_frame
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import rotation_of

Network = Callable[..., dict[str, np.ndarray]]
"""The engine of the model folder two_hand_clean, or any callable of its input by name that returns its outputs by
name."""
MISPLACED = 0.03
"""Error of a wrist's place from which on a hand is misplaced, metres."""
PLACED = 0.3
"""Probability of being misplaced from which on a hand is placed."""
_ROOT = ROOT.stop - ROOT.start
_MIRROR = np.array([-1, 1, 1], np.float32)


class CleanedPair(NamedTuple):
    """A pair in the camera's frame.

    Attributes:
        right, left: (64,) vectors; hands that are not misplaced are as they were observed.
        misplaced: (2,) probabilities that the right and the left hand are misplaced.
        replaced: 0, the right hand, or 1, the left one, if it was given another place, else None.
    """

    right: np.ndarray
    left: np.ndarray
    misplaced: np.ndarray
    replaced: int | None


class PairCleaner:
    """Places misplaced hands.

    Args:
        network: its outputs are the `roots` (B, 18) of the right and of the left hand in the frame of the left wrist as
            it was observed, and the probabilities (B, 2) that they are `misplaced`.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def __call__(
        self, right: np.ndarray, left: np.ndarray, keypoints: np.ndarray, confidences: np.ndarray
    ) -> CleanedPair:
        """Gives the hand that is misplaced, if one is, another place beside the other hand, which stays.

        Args:
            right, left: (64,) vectors in the camera's frame.
            keypoints: (2, 21, 3) of the right and of the left hand, in that frame.
            confidences: (2, 3) of both, as of `confidences_of`.
        """
        # The second view is the mirror image: its left hand is the right one.
        rights, lefts = np.stack([right, mirrored(left)]), np.stack([left, mirrored(right)])
        views = [np.stack([part, part[::-1]]) for part in (keypoints, confidences)]
        views[0][1] *= _MIRROR
        found = self._network(pair=view_of(rights, lefts, *views))
        roots, (own, other) = found['roots'].reshape(2, 2, _ROOT), found['misplaced']
        misplaced = (own + other[::-1]) / 2
        number = int(misplaced[1] > misplaced[0])
        if misplaced[number] < PLACED:
            return CleanedPair(right, left, misplaced, None)
        # From the view whose left hand stays. The network corrects that hand too: the other is placed relative to it.
        observed = np.stack([rights[number], lefts[number]])
        clean = np.concatenate([anchored(observed)[:, : ROOT.start], roots[number]], 1)
        clean = about_anchor(clean[0], clean[1])
        clean = out_of_frame(clean, rotation_of(lefts[number]), lefts[number][PLACE])
        if number:
            return CleanedPair(right, mirrored(clean), misplaced, number)
        return CleanedPair(clean, left, misplaced, number)


def view_of(right: np.ndarray, left: np.ndarray, keypoints: np.ndarray, confidences: np.ndarray) -> np.ndarray:
    """(B, 30) what the network is given of observed pairs.

    Root of the right hand (9) and direction of the camera (3) in the frame of the left wrist; how sure both
    observations are (6); distances between the keypoints of both (6); and, about the left wrist, how much nearer to the
    camera they are (6).

    Args:
        right, left: (B, 64) vectors in the camera's frame.
        keypoints: (B, 2, 21, 3) of the right and of the left hands in that frame.
        confidences: (B, 2, 3) of both.
    """
    towards = -left[:, PLACE] / np.maximum(np.linalg.norm(left[:, PLACE], axis=-1, keepdims=True), 1e-9)
    local = (rotation_of(left).swapaxes(-1, -2) @ towards[..., None])[..., 0]
    between = np.linalg.norm(keypoints[:, 0, :, None] - keypoints[:, 1, None], axis=-1)
    nearest = np.stack([between.min(1), between.min(2)])
    same = np.diagonal(between, axis1=1, axis2=2)
    near = [*nearest.mean(2), *nearest.max(2), same.mean(1), nearest[0].min(1)]
    depths = ((keypoints - left[:, None, None, PLACE]) @ towards[:, None, :, None])[..., 0]
    ends = [depths.mean(2), depths.max(2), depths.min(2)]
    sure = confidences.reshape(len(confidences), -1)
    parts = about_anchor(right, left)[:, ROOT], local, sure, np.stack(near, 1), *ends
    return np.concatenate(parts, 1).astype(np.float32)


def confidences_of(score: np.ndarray, side_score: np.ndarray, joint_scores: np.ndarray) -> np.ndarray:
    """(..., 3) of the scores (...,) of hands, of their sides (...,) and of their keypoints (..., 21)."""
    return np.stack([score, side_score, joint_scores.mean(-1)], -1).astype(np.float32)
