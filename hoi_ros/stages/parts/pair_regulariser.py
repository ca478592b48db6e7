# SPDX-License-Identifier: Apache-2.0
"""Two observed hands → the nearest two hands that the two-hand prior finds likely and that do not share space.

Section 3.5 of InterHandGen (Lee et al., CVPR 2024): S, one forward and one reverse step of the diffusion, moves a pair
to where pairs are dense; equation 9 draws the pair to S, whose derivative is left out. The forward step adds the mean
of its noise, 0, so that equal hands give equal results. S runs both ways in one batch: the right hand given the left
one, and the mirrored left one given the mirrored right one.

The fit is Gauss and Newton's over the numbers of both hands but their shapes, in standard deviations of the training
data. Its terms are the keypoints as they were observed, the prior, and the depths of what is inside the other hand.
A depth camera sees places better than forms, so that the place of a hand counts more than its form.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor
from scipy.linalg import cho_solve

from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import orthonormal
from hoi_ros.hand.pair import out_of_frame
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import SHAPE
from hoi_ros.hand.pair import SIZE
from hoi_ros.hand.pair_surface import PosedPoints
from hoi_ros.stages.parts.diffusion import SIGNAL
from hoi_ros.stages.parts.hand_separation import HandSurfaces
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler

_MIRROR = np.array([-1, 1, 1], np.float32)
_AXES = np.eye(3, dtype=np.float32)
_LEAST = 0.1
"""Weight of each number's place, which leaves no number free."""
_LARGEST = 1.0
"""A step changes no number by more than this, in standard deviations."""


@dataclasses.dataclass(frozen=True)
class RegulariserConfig:
    """What two observed hands are drawn to. Lengths in metres."""

    steps: int = 1
    """Of the fit with all its terms."""
    apart: int = 1
    """Most steps after them that take hands out of each other only."""
    time: int = 48
    """Of the forward step, 1 to 255: more noise draws farther to what is common."""
    prior: float = 0.1
    """Weight of the prior; 1 takes the network's word for the density of pairs."""
    keypoint_noise: float = 0.004
    """Standard deviation of an observed keypoint of weight 1 about its hand."""
    place_noise: float = 0.001
    """Standard deviation of a hand's observed place, common to its keypoints."""
    depth_noise: float = 0.002
    """Standard deviation of what is left of the depths of one hand in the other."""


class PairRegulariser:
    """Regularises pairs of hands.

    Args:
        sampler: its network, whitening and hand model.
        config: of the fit.
    """

    def __init__(self, sampler: TwoHandSampler, config: RegulariserConfig | None = None) -> None:
        self.config = config or RegulariserConfig()
        self._sampler, self._separation = sampler, sampler.separation
        self._surface = sampler.separation.surface
        self._deviation = sampler.whitening.deviation.astype(np.float32)
        self._keypoints = np.repeat(self._surface.vertices + np.arange(21), 3)[None].repeat(2, 0)
        self._along = np.tile(_AXES, (21, 1))[None].repeat(2, 0)

    def __call__(
        self, right: np.ndarray, left: np.ndarray, keypoints: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The vectors (64,) of the right and of the left hand, regularised.

        Args:
            right, left: (64,) vectors in one frame, near its origin, where single precision is finest.
            keypoints: (2, 21, 3) observed, of the right and of the left hand in that frame.
            weights: (2, 21) of the keypoints, 0 to 1.
        """
        # Both are treated as right hands: the left one in the mirrored frame.
        hands = np.stack([right, mirrored(left)])
        observed = np.stack([keypoints[0], keypoints[1] * _MIRROR])
        wanted, drawn = self.likelier(hands), self._drawn()
        posed = self._surface.posed(hands)
        terms = self._terms(posed, weights, drawn)
        for step in range(self.config.steps + self.config.apart):
            if step:
                posed = self._surface.posed(hands)
            change = np.zeros(2 * SIZE)
            if step < self.config.steps:
                missed = observed - posed.points[:, self._surface.vertices :]
                pull = [drawn * (wanted[hand] - hands[hand]) / self._deviation for hand in (0, 1)]
                pull = [pull[hand] + np.tensordot(terms.rows[hand], missed[hand], 2) for hand in (0, 1)]
                change = terms.solved(np.concatenate(pull))
            rows, depths = self._depths(posed)
            if step >= self.config.steps and not len(depths):
                break
            change = change + _way_out(terms, rows, depths - rows @ change, self.config.depth_noise)
            change = change.reshape(2, SIZE) / max(float(np.abs(change).max()) / _LARGEST, 1)
            hands = (hands + self._deviation * change).astype(np.float32)
            hands = orthonormal(hands)
        return hands[0], mirrored(hands[1])

    def posed(self, right: np.ndarray, left: np.ndarray) -> tuple[HandSurfaces, HandSurfaces]:
        """The surfaces (1, V, 3) of a right and of a left hand (64,) in one frame."""
        return self._surfaces(self._surface.posed(np.stack([right, mirrored(left)])))

    def likelier(self, hands: np.ndarray) -> np.ndarray:
        """(2, 64) S of both hands: each as the network makes it of a noisy one, given the other.

        Args:
            hands: (2, 64) a right hand, and a mirrored left one in the mirrored frame.
        """
        anchors = mirrored(hands[::-1])
        whitening, time = self._sampler.whitening, self.config.time
        state = (SIGNAL[time] * whitening.whiten(about_anchor(hands, anchors))).astype(np.float32)
        clean = whitening.unwhiten(self._sampler.denoised(state, time, whitening.whiten(anchored(anchors))))
        return out_of_frame(clean, rotation_of(anchors), anchors[:, PLACE])

    def _drawn(self) -> np.ndarray:
        """(64,) weights of the prior, for changes in standard deviations."""
        # (S − x) / σ² is the slope of the logarithm of the density, whose noise has the variance σ² = (1 − ᾱ) / ᾱ.
        kept = SIGNAL[self.config.time] ** 2
        weights = np.full(SIZE, self.config.prior * kept / (1 - kept))
        weights[SHAPE] = 0
        return weights

    def _terms(self, posed: PosedPoints, weights: np.ndarray, drawn: np.ndarray) -> _Terms:
        """The observation and the prior about posed hands, of keypoints with weights (2, 21)."""
        config = self.config
        rows = (self._surface.rows(posed, self._keypoints, self._along) * self._deviation).reshape(2, 21, 3, SIZE)
        pulls, factors = [], []
        for hand in (0, 1):
            total = max(float(weights[hand].sum()), 1e-3)
            share = (weights[hand] / total)[:, None, None]
            mean = (share * rows[hand]).sum(0)
            own = (rows[hand] - mean) * weights[hand][:, None, None] / config.keypoint_noise**2
            common = mean * share / (config.place_noise**2 + config.keypoint_noise**2 / total)
            pull = np.moveaxis(own + common, -1, 0)
            normal = np.tensordot(pull, rows[hand], 2) + np.diag(drawn + _LEAST)
            pulls.append(pull)
            factors.append(cho_factor((normal + normal.T) / 2))
        return _Terms(np.stack(pulls), factors)

    def _depths(self, posed: PosedPoints) -> tuple[np.ndarray, np.ndarray]:
        """How far the numbers of both hands (P, 128) move what is inside the other hand apart, and its depths (P,)."""
        found = self._separation.penetration(*self._surfaces(posed))
        some = np.flatnonzero(found.depths[0])
        which = np.stack([found.own[0, some], found.other[0, some]])
        directions = found.directions[0, some]
        rows = self._surface.rows(posed, which, np.stack([directions, -directions * _MIRROR])) * self._deviation
        return np.concatenate(rows, -1), found.depths[0, some] + self._separation.config.margin

    def _surfaces(self, posed: PosedPoints) -> tuple[HandSurfaces, HandSurfaces]:
        """(1, V, 3) of a right hand and of a left one, the second mirrored back."""
        vertices, normals = self._separation.surfaces(posed)
        return HandSurfaces(vertices[:1], normals[:1]), HandSurfaces(vertices[1:] * _MIRROR, normals[1:] * _MIRROR)


class _Terms(NamedTuple):
    """Of both hands.

    Attributes:
        rows: (2, 64, 21, 3) what each keypoint's distance from where it was observed pulls.
        factors: of the normal matrices.
    """

    rows: np.ndarray
    factors: list[Any]

    def solved(self, right: np.ndarray) -> np.ndarray:
        """(128, ...) the solution for a right side (128, ...)."""
        halves = right[:SIZE], right[SIZE:]
        return np.concatenate([cho_solve(factor, half) for factor, half in zip(self.factors, halves, strict=True)])


def _way_out(terms: _Terms, rows: np.ndarray, depths: np.ndarray, noise: float) -> np.ndarray:
    """(128,) the change that costs observation and prior least and takes vertices of rows (P, 128) out by depths (P,);
    vertices that are outside already do not count."""
    rows, depths = rows[depths > 0].astype(float), depths[depths > 0]
    if not len(rows):
        return np.zeros(2 * SIZE)
    moved = terms.solved(rows.T)
    pulls = np.linalg.solve(rows @ moved + noise**2 * np.eye(len(rows)), depths)
    return moved @ pulls
