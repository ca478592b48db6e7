# SPDX-License-Identifier: Apache-2.0
"""Force closure: whether the contacts of a grasp can resist every wrench."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

FRICTION = 0.6
"""Friction coefficient of dry skin on the palm: 0.62 on average in Zhang and Mak, "In vivo friction properties of human
skin" (1999)."""


def force_closure(points: np.ndarray, normals: np.ndarray, friction: float = FRICTION, edges: int = 8) -> bool:
    """Whether point contacts with Coulomb friction can balance every force and torque on the object.

    The origin must lie inside the convex hull of the wrenches along the edges of the friction cones (Ferrari and Canny,
    "Planning optimal grasps", 1992): the wrenches span all six dimensions, and a combination of all of them with
    positive coefficients vanishes.

    Args:
        points: (N, 3) contact points, metres.
        normals: (N, 3) unit normals into the object.
        friction: friction coefficient.
        edges: edges of the pyramid that approximates a friction cone.
    """
    if len(points) < 2:
        return False
    first = np.cross(normals, np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    turn = np.arange(edges) * 2 * np.pi / edges
    sideways = np.cos(turn)[:, None] * first[:, None] + np.sin(turn)[:, None] * second[:, None]
    forces = normals[:, None] + friction * sideways
    arms = points - points.mean(0)
    arms /= max(np.linalg.norm(arms, axis=1).max(), 1e-9)
    wrenches = np.concatenate([forces, np.cross(arms[:, None], forces)], -1).reshape(-1, 6).T
    if np.linalg.matrix_rank(wrenches, tol=1e-3) < 6:
        return False
    # Positive coefficients can be scaled until each is at least 1: 1 + x with x >= 0.
    try:
        remainder = nnls(wrenches, -wrenches.sum(1))[1]
    except RuntimeError:  # no convergence: force closure is not shown
        return False
    return bool(remainder < 1e-6 * np.linalg.norm(wrenches))
