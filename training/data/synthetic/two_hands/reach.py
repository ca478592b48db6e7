# SPDX-License-Identifier: Apache-2.0
"""The body whose two arms reach an object.

A body's frame: origin between the shoulders, x to its right, y ahead, z up, metres. What is said of the right arm holds
for the left one in the mirror, x → −x.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

FOREARM, UPPER_ARM, SHOULDER = 0.26, 0.29, 0.18
"""Lengths of the arm, and of half the distance between the shoulders, metres: an adult of average size."""
_STRETCH = 0.06
"""By how much a shoulder gives way, metres: it is raised, or the body leans."""
_CHEST = 0.13
"""Distance from the shoulders to the front of the body, metres."""
_BENDS = np.radians([[flexion, aside] for flexion in (0, 30, -30, 55, -55) for aside in (0, 15, 30, -18)])
"""Bends of the wrist that are tried: flexion and deviation."""
_FOREARMS = Rotation.from_euler('xz', _BENDS).apply([0, -1, 0])
"""(K, 3) directions from the wrist to the elbow in the hand's rest frame."""
_TWIST = np.cos(np.radians(105))
"""Least cosine between the thumb's side and the elbow's inner side: the forearm turns a quarter to either side."""
_STRAIGHT = 0.25
"""Sine of the elbow's angle below which the upper arm turns the thumb anywhere."""
_MARGIN = 0.034
"""Radius of a forearm, metres."""
_CUFF = 0.05
"""Length of the wrist, where the forearm may touch the object, metres."""
_MIRROR = np.array([-1.0, 1, 1])


class Body(NamedTuple):
    """A body before an object.

    Attributes:
        rotation: (3, 3) rotation from the object's frame to the body's.
        origin: (3,) the object's origin in the body's frame, metres.
    """

    rotation: np.ndarray
    origin: np.ndarray

    @classmethod
    def before(cls, extents: np.ndarray, turn: np.ndarray, rng: np.random.Generator) -> Body:
        """A body with an object before its chest or its belly.

        Args:
            extents: (3,) sides of the object's bounding box, metres.
            turn: (3, 3) rotation from the object's frame to the body's.
            rng: source of the place.
        """
        deep = np.abs(turn[1]) @ extents / 2
        ahead = _CHEST + deep + rng.uniform(0.03, 0.22)
        return cls(turn, np.array([rng.normal(0, 0.05), ahead, rng.uniform(-0.42, -0.06)]))

    def mirrored(self) -> Body:
        """The body and the object in the mirror."""
        return Body(_MIRROR[:, None] * self.rotation * _MIRROR, self.origin * _MIRROR)

    def direction(self, own: np.ndarray) -> np.ndarray:
        """A direction (3,) of the body's frame in the object's."""
        return own @ self.rotation

    def elbows(self, rotations: np.ndarray, wrists: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Elbows of the right arm for right hands at given places in the object's frame.

        Args:
            rotations: (N, 3, 3) from the hand's rest frame.
            wrists: (N, 3) metres.

        Returns:
            (N, K, 3) elbows in the object's frame, and (N, K) whether an arm has its elbow there.
        """
        turned = self.rotation @ rotations
        wrist = (wrists @ self.rotation.T + self.origin)[:, None]
        outwards = np.einsum('nij,kj->nki', turned, _FOREARMS)
        elbow = wrist + FOREARM * outwards
        upper = elbow - [SHOULDER, 0, 0]
        length = np.linalg.norm(upper, axis=-1)
        inner = -upper / length[..., None]
        inner = inner - (inner * outwards).sum(-1, keepdims=True) * outwards
        bent = np.linalg.norm(inner, axis=-1)
        thumb = (turned[:, None, :, 0] * inner).sum(-1) / np.maximum(bent, 1e-9)
        possible = np.abs(length - UPPER_ARM) < _STRETCH
        possible &= (thumb > _TWIST) | (bent < _STRAIGHT)
        possible &= (elbow[..., 0] > 0) & (elbow[..., 1] > -0.22) & (elbow[..., 2] < 0.06)
        # Elbow and forearm bend forwards, not through the chest.
        possible &= (wrist[..., 1] > _CHEST * 0.7) & (np.linalg.norm(wrist - [SHOULDER, 0, 0], axis=-1) > 0.16)
        return (elbow - self.origin) @ self.rotation, possible


def forearm_meets(points: np.ndarray, wrist: np.ndarray, elbow: np.ndarray) -> bool:
    """Whether one of points (N, 3) lies in the forearm between its wrist (3,) and its elbow (3,), metres."""
    along = (elbow - wrist) / FOREARM
    share = np.clip((points - wrist) @ along, _CUFF, FOREARM)
    return bool(((points - wrist - share[:, None] * along) ** 2).sum(1).min() < _MARGIN**2)


class Arm(NamedTuple):
    """A hand and its forearm.

    Attributes:
        wrist, elbow: (3,) metres.
        skin: (V, 3) vertices of the hand, metres.
    """

    wrist: np.ndarray
    elbow: np.ndarray
    skin: np.ndarray

    def mirrored(self) -> Arm:
        """The arm in the mirror."""
        return Arm(*(part * _MIRROR for part in self))

    def leaves_room(self, wrist: np.ndarray, elbow: np.ndarray) -> bool:
        """Whether another forearm, wrist (3,) to elbow (3,), meets neither this hand nor this forearm."""
        share = np.linspace(0, 1, 14)[:, None]
        other, own = wrist + share * (elbow - wrist), self.wrist + share * (self.elbow - self.wrist)
        if ((other[1:, None] - own[1:]) ** 2).sum(-1).min() < (2 * _MARGIN) ** 2:
            return False
        return bool(((other[2:, None] - self.skin[::3]) ** 2).sum(-1).min() > _MARGIN**2)
