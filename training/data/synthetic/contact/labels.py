# SPDX-License-Identifier: Apache-2.0
"""Soft contact on a hand and on an object, like the thermal maps of ContactPose.

ContactPose (Brahmbhatt et al., ECCV 2020) photographs the heat that a hand has left on an object. Its maps, after their
sigmoid, are 0 where nothing touched and 1 where a hand pressed firmly; ≥ 0.4 counts as touching. Here a place's contact
is the greater of two terms:

* its touch, from the gap to the other surface: 1 where that lies 0.6 mm inside, 0.4 at TOUCHING (4 mm), below 0.4
  beyond. Surfaces that do not face each other have a greater gap.
* the heat of other places: their touch times a falloff with the distance along the surface. Near a firm touch it widens
  the footprint by a few millimetres, far from it a weak background remains, as heat conducts and cameras are noisy.

A place is ≥ 0.4 only where it, or a place a few millimetres beside it, is within TOUCHING. The falloff lengths are
fitted on the first 100 grasps of seed 0. Mean share of the 2,048 object points in each tenth of contact, and percent of
points ≥ 0.4 at the 10th, 50th and 90th percentile of grasps:

    thermal            0.430 0.300 0.070 0.035 0.026 0.023 0.023 0.027 0.040 0.024    4.8 / 13.6 / 31.3
    train, 300 others  0.381 0.329 0.064 0.042 0.037 0.035 0.034 0.031 0.027 0.021    5.4 / 14.4 / 36.8
    test, 150          0.411 0.311 0.061 0.041 0.036 0.034 0.033 0.030 0.025 0.020    4.6 / 14.3 / 36.9

Only 3.4 / 7.8 / 22.3 % of the points are within TOUCHING of the rigid generated hands (200 grasps): the heat adds the
rest. What thermal maps have between 0.1 and 0.2 is mostly conduction and noise; the background has its amount, not its
pattern.
`python -m training.data.synthetic.contact.preview` measures it again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.mesh.raycast import TriangleScene
from training.data.synthetic.grasps.held_object import Gap
from training.data.synthetic.grasps.held_object import signed_gap

TOUCHED = 0.4
"""Contact from which on a place counts as touching."""
_FIRM = -0.0006
"""Gap of the firmest touch, metres."""
_FIRMNESS = 0.7
"""Exponent of the touch between TOUCHING and _FIRM."""
_FADING = 0.005
"""Distance beyond TOUCHING in which the touch falls by a factor e, metres."""
_FACING, _SLANT = 0.5, 0.004
"""Opposition of the normals below which the gap grows, and its growth in metres a unit of opposition."""
_FOOTPRINT, _BACKGROUND, _CONDUCTION = 0.008, 0.19, 0.057
"""Length of the footprint's falloff in metres, share of the background, and length of its falloff in metres."""
_AROUND_EDGES = 0.005
"""Length of the detour of heat to a surface that faces elsewhere, metres a unit of difference of the normals."""
_COLD = 0.1
"""Places of less touch warm no other place."""


class SoftContact(NamedTuple):
    """Contact in [0, 1] of the vertices of a hand (V,) and of points on an object (N,), float32."""

    hand: np.ndarray
    object: np.ndarray


def soft_contact(
    hand: tuple[np.ndarray, np.ndarray],
    thing: tuple[np.ndarray, np.ndarray],
    points: np.ndarray,
    normals: np.ndarray,
) -> SoftContact:
    """Contact between a hand and an object in one frame, metres.

    Args:
        hand, thing: closed meshes, vertices (V, 3) and faces (F, 3) each.
        points: (N, 3) on the object.
        normals: (N, 3) outward unit normals there.
    """
    hand_normals = vertex_normals(*hand)
    on_hand = touch(signed_gap(TriangleScene(*thing), hand[0]), hand_normals)
    on_object = touch(signed_gap(TriangleScene(*hand), points), normals)
    return SoftContact(
        warmed(hand[0], hand_normals, on_hand).astype(np.float32), warmed(points, normals, on_object).astype(np.float32)
    )


def touch(gap: Gap, normals: np.ndarray) -> np.ndarray:
    """(N,) touch of places in [0, 1]: falls with the gap, and is ≥ TOUCHED where opposed surfaces are within TOUCHING.

    Args:
        gap: to the other surface, with the normals there.
        normals: (N, 3) outward unit normals of the places.
    """
    opposition = -(gap.normals * normals).sum(1)
    distance = gap.distance + _SLANT * np.maximum(_FACING - opposition, 0)
    firmness = np.clip((TOUCHING - distance) / (TOUCHING - _FIRM), 0, 1) ** _FIRMNESS
    return TOUCHED * np.exp(np.minimum(TOUCHING - distance, 0) / _FADING) + (1 - TOUCHED) * firmness


def warmed(points: np.ndarray, normals: np.ndarray, touches: np.ndarray) -> np.ndarray:
    """(N,) contact of places that are touched by `touches` (N,) and that heat spreads between.

    Args:
        points: (N, 3) metres.
        normals: (N, 3) outward unit normals.
        touches: as of `touch`.
    """
    warm = np.flatnonzero(touches > _COLD)
    if not len(warm):
        return touches
    # Distances in position and normal together: they grow around edges and through walls.
    places = np.concatenate([points - points.mean(0), _AROUND_EDGES * normals], 1).astype(np.float32)
    squared = (places**2).sum(1)
    apart = np.maximum(squared[:, None] + squared[warm] - 2 * places @ places[warm].T, 0)
    heat = (1 - _BACKGROUND) * np.exp(apart / np.float32(-(_FOOTPRINT**2)))
    heat += _BACKGROUND * np.exp(np.sqrt(apart) / np.float32(-_CONDUCTION))
    return np.maximum(touches, (heat * touches[warm].astype(np.float32)).max(1))
