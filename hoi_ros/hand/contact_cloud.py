# SPDX-License-Identifier: Apache-2.0
"""The input of the contact networks: the points of a hand and of an object in one cloud, with features.

The features are those of Grady et al., "ContactOpt" (CVPR 2021), which S²Contact (Tse et al., ECCV 2022) takes over.
Both bring the cloud into a random rotation about the axis from object to hand, at test time too; here the palm's
keypoints give the axes, so that the same hand and object always give the same contact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from hoi_ros.hand.skeleton import KEYPOINT_NAMES
from hoi_ros.mesh.nearest import nearest_points

UNIT = 0.1
"""Metres of 1 in points and features: the size of a hand, so that distances weigh like the hand's flag."""
FEATURES = 4 + len(KEYPOINT_NAMES)
"""Features of a point."""
WRIST, INDEX, MIDDLE, LITTLE = (
    KEYPOINT_NAMES.index(name) for name in ('wrist', 'index_mcp', 'middle_mcp', 'little_mcp')
)


class ContactCloud(NamedTuple):
    """A hand and an object as points, the hand's first.

    Attributes:
        points: (N, 3) float32 about the object's centroid in the axes of the palm, units of `UNIT`.
        features: (N, `FEATURES`) float32: 1 for the hand and 0 for the object; the offset from the other's centroid
            along the normal; the distance to the other's nearest point; the offset from it along the normal; the
            distances to the keypoints. Units of `UNIT`.
    """

    points: np.ndarray
    features: np.ndarray


def contact_cloud(
    hand_points: np.ndarray,
    hand_normals: np.ndarray,
    object_points: np.ndarray,
    object_normals: np.ndarray,
    keypoints: np.ndarray,
    hand_rows: np.ndarray | slice = slice(None),
    object_rows: np.ndarray | slice = slice(None),
) -> ContactCloud:
    """The cloud of a right hand and an object in any common frame; a left hand is mirrored before.

    Args:
        hand_points: (H, 3) metres.
        hand_normals: (H, 3) unit normals, outwards.
        object_points: (M, 3) metres.
        object_normals: (M, 3) unit normals, outwards.
        keypoints: (21, 3) of the hand, metres.
        hand_rows: hand points that are in the cloud; the others count in the features only.
        object_rows: object points, likewise.
    """
    centroid = object_points.mean(0)
    axes = palm_axes(keypoints)
    hand, thing, joints = ((part - centroid) @ axes / UNIT for part in (hand_points, object_points, keypoints))
    own_hand, own_thing = hand[hand_rows], thing[object_rows]
    points = np.concatenate([own_hand, own_thing])
    normals = np.concatenate([hand_normals[hand_rows], object_normals[object_rows]]) @ axes
    other = np.concatenate([thing[nearest_points(own_hand, thing)], hand[nearest_points(own_thing, hand)]])
    is_hand = np.arange(len(points)) < len(own_hand)
    features = np.empty((len(points), FEATURES), np.float32)
    features[:, 0] = is_hand
    features[:, 1] = ((points - np.where(is_hand[:, None], thing.mean(0), hand.mean(0))) * normals).sum(1)
    features[:, 2] = np.linalg.norm(points - other, axis=1)
    features[:, 3] = ((points - other) * normals).sum(1)
    features[:, 4:] = cdist(points, joints)
    return ContactCloud(points.astype(np.float32), features)


def palm_axes(keypoints: np.ndarray) -> np.ndarray:
    """(3, 3) axes of a right hand's palm as columns: x to the thumb's side, y along the middle finger's metacarpal, z
    out of the palm, as of the hand model at rest.

    Args:
        keypoints: (21, 3).
    """
    along = _unit(keypoints[MIDDLE] - keypoints[WRIST])
    out = _unit(np.cross(keypoints[INDEX] - keypoints[LITTLE], along))
    return np.stack([np.cross(along, out), along, out], 1)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
