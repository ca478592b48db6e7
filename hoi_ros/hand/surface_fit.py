# SPDX-License-Identifier: Apache-2.0
"""Moves a fitted hand onto the surface that a depth camera observed: a few steps of articulated ICP.

After Tagliasacchi et al., "Robust Articulated-ICP for Real-Time Hand Tracking" (SGP 2015): observed points are
matched to the nearest point of the posed mesh and pulled along its normal, while the inferred joints keep the rest
in place. Pose and shape move.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from scipy.linalg.lapack import dposv

from hoi_ros.hand.articulation import ANGLES
from hoi_ros.hand.articulation import Articulation
from hoi_ros.hand.articulation import PLACE
from hoi_ros.hand.articulation import SHAPE
from hoi_ros.hand.articulation import TURN
from hoi_ros.hand.articulation import turned
from hoi_ros.hand.articulation import UNKNOWNS
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skinning import PosedSurface
from hoi_ros.hand.skinning import Skin

_FEWEST = 40
"""Below this number of points on the hand a fit stays as it is."""
_EXTREME = 3.0
"""Standard deviations of the shape that a fit reaches, unless it begins further."""
_BOUNDED, _LONGEST = slice(0, SHAPE.start), 0.4
"""A step changes the turn, the place and the angles by at most 0.4 radians or metres each."""


@dataclasses.dataclass(frozen=True)
class SurfaceFitConfig:
    """How strongly the surface pulls. Lengths in metres."""

    steps: int = 2
    reach: float = 0.012
    """Observed points further than this from the mesh belong to something else."""
    surface_noise: float = 0.003
    """Standard deviation of an observed point about the mesh; further off, its pull fades."""
    keypoint_noise: float = 0.012
    """Standard deviation of a keypoint of weight 1 that the network inferred."""
    angle_noise: float = 0.25
    """Standard deviation of the joints' angles about those of the fit, radians."""
    shape_noise: float = 1.0
    """Standard deviation of the shape about that of the fit."""


class SurfaceFitter:
    """Refines fits of one side of a hand model."""

    def __init__(self, model: HandModel, config: SurfaceFitConfig | None = None) -> None:
        """Takes a HandModel held in NumPy arrays, right or left."""
        self._hand = Articulation(model)
        self._config = config = config or SurfaceFitConfig()
        self._skin = Skin(model)
        self._prior = np.repeat([0.0, config.angle_noise**-2, config.shape_noise**-2], [6, 45, 10])

    def refine(self, fit: HandFit, weights: np.ndarray, points: np.ndarray) -> HandFit:
        """Moves a fit towards observed points.

        Args:
            fit: the start; the surface does not move its keypoints far.
            weights: (21,) of the keypoints, 0 to 1.
            points: (N, 3) metres, observed points about the hand, in the camera's frame.

        Returns:
            The refined fit; the same fit where fewer than 40 points lie on the hand.
        """
        hand, config = self._hand, self._config
        start, shape = hand.angles_of(fit.pose), fit.shape.astype(float)
        # The hand of a child is beyond the shapes that are usual.
        extreme = np.maximum(np.abs(shape), _EXTREME)
        turn = cv2.Rodrigues(fit.pose[:3].astype(float))[0]
        state = hand.posed(turn, hand.place_of(fit.translation, shape), start, shape)
        trust = np.repeat(weights / config.keypoint_noise**2, 3)
        observed = np.ascontiguousarray(points.T, float)
        for _ in range(config.steps):
            surface = self._skin.posed(state)
            strength, push, count = self._matched(surface, observed)
            if count < _FEWEST:
                return fit
            flat = hand.jacobian(state)
            matched = np.flatnonzero(strength)
            along = self._skin.along(surface, state, flat, matched)
            rows = np.concatenate([along, flat.T], 1)
            normal = (rows * np.concatenate([strength[matched], trust])) @ rows.T
            right = along @ push[matched] + (trust * (fit.keypoints - state.keypoints).ravel()) @ flat
            right[ANGLES] += self._prior[ANGLES] * (start - state.angles).ravel()
            right[SHAPE] += self._prior[SHAPE] * (fit.shape - state.shape)
            diagonal = normal.ravel()[:: UNKNOWNS + 1]
            diagonal += self._prior
            diagonal *= 1.0001
            change = dposv(normal.T, right, overwrite_a=True)[1]
            change[_BOUNDED] = np.minimum(np.maximum(change[_BOUNDED], -_LONGEST), _LONGEST)
            angles = state.angles + change[ANGLES].reshape(5, 3, 3)
            state = hand.posed(
                turned(state.turn, change[TURN]),
                state.place + change[PLACE],
                np.minimum(np.maximum(angles, hand.low), hand.high),
                np.minimum(np.maximum(state.shape + change[SHAPE], -extreme), extreme),
            )
        return dataclasses.replace(
            fit,
            pose=hand.pose_of(state),
            shape=state.shape.astype(np.float32),
            translation=hand.translation_of(state),
            keypoints=state.keypoints.astype(np.float32),
        )

    def _matched(self, surface: PosedSurface, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """The pull of points (3, N) on the vertices that are nearest to them.

        Returns:
            Its strength (V,) and its strength times the distance along the normal (V,), and the number of points.
        """
        config, skin = self._config, self._skin
        # The camera sees only what faces it.
        facing = np.flatnonzero(np.einsum('iv,iv->v', surface.vertices, surface.normals) < 0)
        nearest = facing[_nearest(points, surface.vertices[:, facing])]
        gaps = points - surface.vertices[:, nearest]
        near = np.flatnonzero((np.einsum('in,in->n', gaps, gaps) < config.reach**2) & skin.hand[nearest])
        nearest, gaps = nearest[near], gaps[:, near]
        along = np.einsum('in,in->n', gaps, surface.normals[:, nearest])
        fading = 1 + (along * (0.5 / config.surface_noise)) ** 2
        pull = (1 / config.surface_noise**2) / (fading * fading)
        count = surface.vertices.shape[1]
        return np.bincount(nearest, pull, count), np.bincount(nearest, pull * along, count), len(nearest)


def _nearest(points: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """(N,) the nearest of vertices (3, V) to points (3, N): |p − v|² − |p|² = |v|² − 2 p·v, as one product."""
    if not vertices.size or not points.size:
        return np.zeros(0, int)
    origin = vertices[:, :1]
    factors, terms = np.ones((points.shape[1], 4), np.float32), np.empty((4, vertices.shape[1]), np.float32)
    np.subtract(points.T, origin.T, out=factors[:, :3], casting='same_kind')
    np.subtract(vertices, origin, out=terms[:3], casting='same_kind')
    np.einsum('iv,iv->v', terms[:3], terms[:3], out=terms[3])
    terms[:3] *= -2
    return (factors @ terms).argmin(1)
