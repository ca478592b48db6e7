# SPDX-License-Identifier: Apache-2.0
"""Closing fingers around a body, link by link, as in Miller and Allen, "GraspIt!" (2004).

All joints of a finger turn together. When a link touches the body, the joints that carry the link stop, and the joints
beyond it go on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS

_COARSE_STEPS, _FINE_STEPS = 12, 5
"""Steps of the search for the first contact along a joint's remaining way, then within one of those steps."""
_FINGER_OF_JOINT = np.full(16, -1)
_FINGER_OF_JOINT[FINGER_JOINTS] = np.arange(5)[:, None]


class Fingers(NamedTuple):
    """The skin of some fingers.

    Attributes:
        model: the hand model with the N vertices of these fingers only; it has no valid faces.
        links: (N, 16) float32, 1 at the joint that carries the vertex.
        joints: (16,) bool, the joints of these fingers.
    """

    model: HandModel
    links: np.ndarray
    joints: np.ndarray


class ClosedFingers(NamedTuple):
    """Fingers that have closed.

    Attributes:
        progress: (16,) share of each joint's way from opened, 0, to closed, 1.
        touching: (16,) bool, the links that touch the body.
    """

    progress: np.ndarray
    touching: np.ndarray


def close_fingers(
    fingers: Fingers,
    posed: Callable[[np.ndarray], np.ndarray],
    inside: Callable[[np.ndarray], np.ndarray],
    progress: np.ndarray,
) -> ClosedFingers:
    """Closes fingers until each link touches the body or reaches the end of its way.

    Args:
        fingers: the fingers that close.
        posed: progress of the joints (S, 16) → vertices of `fingers` (S, N, 3), metres, in the body's frame.
        inside: points (S, N, 3) → (S, N) bool, whether they lie in the body deeper than a contact allows: the sign of a
            signed distance, offset by the depth that flesh gives.
        progress: (16,) where the joints begin; the joints of other fingers stay there.
    """
    moving, touching = fingers.joints.copy(), np.zeros(16, bool)
    while moving.any():
        begin = progress
        low: np.ndarray = np.zeros(5)
        high: np.ndarray = np.ones(5)
        for steps in (_COARSE_STEPS, _FINE_STEPS):
            shares = low + (high - low) * np.arange(1, steps + 1)[:, None] / steps
            ways = begin + moving * (1 - begin) * shares[:, _FINGER_OF_JOINT]
            struck = ((inside(posed(ways)) @ fingers.links) > 0) & moving
            stopped = struck[:, FINGER_JOINTS].any(2)
            first = np.where(stopped.any(0), stopped.argmax(0), steps)
            step = (high - low) / steps
            low = low + first * step
            high = np.minimum(low + step, 1)
        progress = begin + moving * (1 - begin) * low[_FINGER_OF_JOINT]
        for finger, joints in enumerate(FINGER_JOINTS):
            if first[finger] == steps:
                moving[joints] = False
                continue
            links = struck[first[finger], joints]
            touching[joints[links]] = True
            moving[joints[: links.argmax() + 1]] = False
    return ClosedFingers(progress, touching)


def fingers_of(model: HandModel, fingers: Iterable[int] = range(5)) -> Fingers:
    """The skin of some fingers of a hand; 0 is the thumb, 4 the little finger."""
    owners, joints = model.weights.argmax(1), FINGER_JOINTS[list(fingers)]
    vertices = np.flatnonzero(np.isin(owners, joints))
    return Fingers(
        with_vertices(model, vertices),
        np.eye(16, dtype=np.float32)[owners[vertices]],
        np.isin(np.arange(16), joints),
    )


def with_vertices(model: HandModel, chosen: np.ndarray) -> HandModel:
    """The hand model with the chosen vertices (N,) only, which poses faster; its faces are no longer valid."""
    return dataclasses.replace(
        model,
        template=model.template[chosen],
        shape_basis=model.shape_basis[chosen],
        weights=model.weights[chosen],
        pose_basis=None if model.pose_basis is None else model.pose_basis[chosen],
    )
