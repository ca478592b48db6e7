# SPDX-License-Identifier: Apache-2.0
"""What the `depth_pose` network infers from the crops of one hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.hand.fitting import HandFit
from hoi_ros.stages.parts.hand_square import HandSquare
from hoi_ros.stages.parts.scores import log_odds

SAME_HAND = 0.07
"""Two hands whose centres are nearer than this are one, metres."""


@dataclasses.dataclass(frozen=True)
class InferredHand:
    """A hand inferred from one crop, or the mean of several crops.

    Attributes:
        joints: (21, 3) metres, optical frame.
        spread: (21,) expected error of each joint, metres.
        score: probability of a hand.
        side_fits: probability that its side is the one that the crop was mirrored for.
        right: whether the crop was cut for a right hand.
        fit: the hand model at the joints, where it was fitted already.
    """

    joints: np.ndarray
    spread: np.ndarray
    score: float
    side_fits: float
    right: bool
    fit: HandFit | None = None

    @property
    def side(self) -> str:
        """'right' or 'left'."""
        return 'right' if self.right else 'left'

    @property
    def evidence(self) -> float:
        """Log-odds of a right hand."""
        return log_odds(self.side_fits) * (1 if self.right else -1)

    @property
    def centre(self) -> np.ndarray:
        """(3,) mean of the joints, metres."""
        return self.joints.mean(0)

    @property
    def weights(self) -> np.ndarray:
        """(21,) weight of each joint in a fit, 0 to 1."""
        return np.clip(0.01 / np.maximum(self.spread, 1e-3), 0.05, 1.0) ** 2

    @property
    def residual(self) -> float:
        """Mean distance between the joints and those of the fit, metres; 0.1 without a fit."""
        return max(self.fit.residual, 1e-4) if self.fit else 0.1

    def square(self, camera: Pinhole) -> HandSquare:
        """The square of its keypoints in an image."""
        return HandSquare(*outline(camera.project(self.joints), None))

    def near(self, others: Iterable[InferredHand]) -> bool:
        """Whether it is the same hand as one of the others."""
        return any(self.near_place(other.centre) for other in others)

    def near_place(self, centre: np.ndarray) -> bool:
        """Whether it may be the hand with a centre (3,), metres."""
        return bool(np.linalg.norm(self.centre - centre) < SAME_HAND)


def mean_of(hands: Sequence[InferredHand]) -> InferredHand:
    """The mean of several inferences, without a fit, on the side of the first."""
    if len(hands) == 1:
        return hands[0]
    return InferredHand(
        np.mean([hand.joints for hand in hands], 0),
        np.mean([hand.spread for hand in hands], 0),
        float(np.mean([hand.score for hand in hands])),
        float(np.mean([hand.side_fits for hand in hands])),
        hands[0].right,
    )


def side_evidence(hand: InferredHand, other: InferredHand) -> tuple[float, float]:
    """Evidence for the side of one of two inferences of a hand.

    Returns:
        The difference of the network's log-odds, and the logarithm of the ratio of the fits' residuals.
    """
    return log_odds(hand.side_fits) - log_odds(other.side_fits), math.log(other.residual / hand.residual)
