# SPDX-License-Identifier: Apache-2.0
"""Points, poses and rotations of geometry_msgs from arrays and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import Vector3


def pose_message(position: np.ndarray | Sequence[float], orientation: np.ndarray | Sequence[float]) -> Pose:
    """A pose of a position (3,) and a quaternion x, y, z, w (4,)."""
    return Pose(
        position=Point(**dict(zip('xyz', map(float, position)))),
        orientation=Quaternion(**dict(zip('xyzw', map(float, orientation)))),
    )


def vector_message(values: np.ndarray | Sequence[float]) -> Vector3:
    """A vector (3,)."""
    return Vector3(**dict(zip('xyz', map(float, values))))


def position_of(pose: Pose) -> np.ndarray:
    """(3,) position of a pose."""
    return array_of(pose.position)


def orientation_of(pose: Pose) -> np.ndarray:
    """(4,) quaternion x, y, z, w of a pose."""
    turn = pose.orientation
    return np.array([turn.x, turn.y, turn.z, turn.w])


def array_of(vector: Point | Vector3) -> np.ndarray:
    """(3,) of a point or a vector."""
    return np.array([vector.x, vector.y, vector.z])


def quaternion_of_vector(vector: np.ndarray) -> Quaternion:
    """A rotation vector (3,), radians, as a quaternion."""
    angle = float(np.linalg.norm(vector))
    scale = math.sin(angle / 2) / angle if angle > 1e-9 else 0.5
    x, y, z = (np.asarray(vector, float) * scale).tolist()
    return Quaternion(x=x, y=y, z=z, w=math.cos(angle / 2))


def quaternion_of_matrix(matrix: np.ndarray) -> Quaternion:
    """A rotation matrix (3, 3) as a quaternion.

    The largest of the four numbers comes first: no division by what may be 0 (Shepperd 1978).
    """
    m = matrix.astype(float)
    squares = np.array(
        [
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        ]
    )
    products = np.array(
        [
            [0, m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], 0, m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], 0, m[1, 2] + m[2, 1]],
            [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], 0],
        ]
    )
    largest = int(np.argmax(squares))
    row = products[largest] + squares[largest] * np.eye(4)[largest]
    w, x, y, z = (row / np.linalg.norm(row)).tolist()
    return Quaternion(x=x, y=y, z=z, w=w)
