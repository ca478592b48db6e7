# SPDX-License-Identifier: Apache-2.0
"""Estimated hands as messages and transforms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from geometry_msgs.msg import Point
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from hoi_ros.hand import KEYPOINT_PARENTS
from hoi_ros.hand.skeleton import FINGERTIPS
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import MeshTopology

SIDES = {'left': Hand.LEFT, 'right': Hand.RIGHT}
_LOCATED_BY = {'depth': Hand.LOCATED_BY_DEPTH, 'hand_size': Hand.LOCATED_BY_HAND_SIZE}


class HandFields(Protocol):
    """What of an estimated hand goes into a message; metres and radians in the camera's optical frame."""

    @property
    def side(self) -> str:
        """'right' or 'left'."""

    @property
    def side_score(self) -> float:
        """0.5, a guess, to 1."""

    @property
    def track_id(self) -> int:
        """The same from frame to frame."""

    @property
    def score(self) -> float:
        """0 to 1."""

    @property
    def joints(self) -> np.ndarray:
        """(21, 3)."""

    @property
    def joint_scores(self) -> np.ndarray:
        """(21,) 0 to 1."""

    @property
    def pose(self) -> np.ndarray:
        """(48,) of the hand model of its side, as shape (10,), translation (3,) and vertices (V, 3)."""

    @property
    def shape(self) -> np.ndarray: ...

    @property
    def translation(self) -> np.ndarray: ...

    @property
    def vertices(self) -> np.ndarray: ...

    @property
    def located_by(self) -> str:
        """'depth' or 'hand_size'."""


def hand_array(header: Header, hands: Iterable[HandFields], with_mesh: bool) -> HandArray:
    """The hands seen in the image of that header; without the mesh, `vertices` stay empty."""
    return HandArray(header=header, hands=[_hand(hand, with_mesh) for hand in hands])


def mesh_topology(
    header: Header, right: HandModel, left: HandModel, object_faces: np.ndarray | None = None
) -> MeshTopology:
    """What does not change from frame to frame; object_faces (F, 3) where the system sees objects, too."""
    bones = [(parent, joint) for joint, parent in enumerate(KEYPOINT_PARENTS) if parent >= 0]
    message = MeshTopology(
        header=header,
        vertex_count=right.template.shape[0],
        joint_names=list(KEYPOINT_NAMES),
        bones=np.array(bones, np.uint8).reshape(-1),
    )
    message.right_faces.frombytes(right.faces.astype(np.uint32).tobytes())
    message.left_faces.frombytes(left.faces.astype(np.uint32).tobytes())
    if object_faces is not None:
        message.object_vertex_count = int(object_faces.max()) + 1
        message.object_faces.frombytes(object_faces.astype(np.uint32).tobytes())
    return message


def hand_transforms(
    header: Header, hands: Sequence[HandFields], models: dict[str, HandModel], prefix: str
) -> TFMessage:
    """Camera → `<prefix><side>_wrist` and `<prefix><side>_<finger>_tip` of the surest hand of each side.

    Positions are the joints', orientations those of the fitted hand: a fingertip turns as the last joint of
    its finger, whose axes at rest are the hand model's.
    """
    surest: dict[str, HandFields] = {}
    for hand in sorted(hands, key=lambda hand: hand.score):
        surest[hand.side] = hand
    message = TFMessage()
    for side, hand in surest.items():
        turned = models[side].forward(hand.pose, hand.shape, hand.translation, vertices=False).transforms
        for keypoint, joint in zip((0, *FINGERTIPS), (0, *TIP_JOINTS)):
            frame = f'{prefix}{side}_{KEYPOINT_NAMES[keypoint]}'
            transform = TransformStamped(header=header, child_frame_id=frame)
            place = transform.transform.translation
            place.x, place.y, place.z = hand.joints[keypoint].tolist()
            transform.transform.rotation = _quaternion_of_matrix(turned[joint, :3, :3])
            message.transforms.append(transform)
    return message


def _hand(hand: HandFields, with_mesh: bool) -> Hand:
    message = Hand(
        side=SIDES[hand.side],
        side_score=float(hand.side_score),
        id=hand.track_id,
        score=float(hand.score),
        located_by=_LOCATED_BY[hand.located_by],
        **{
            name: np.asarray(getattr(hand, name), np.float32).reshape(-1)
            for name in ('joints', 'joint_scores', 'pose', 'shape', 'translation')
        },
    )
    message.wrist.position = Point(**dict(zip('xyz', hand.joints[0].tolist())))
    message.wrist.orientation = quaternion_of_vector(hand.pose[:3])
    if with_mesh:
        # Assigned, the array would be copied number by number.
        message.vertices.frombytes(np.ascontiguousarray(hand.vertices, np.float32).tobytes())
    return message


def quaternion_of_vector(vector: np.ndarray) -> Quaternion:
    """A rotation vector (3,), radians, as a quaternion."""
    angle = float(np.linalg.norm(vector))
    scale = math.sin(angle / 2) / angle if angle > 1e-9 else 0.5
    x, y, z = (np.asarray(vector, float) * scale).tolist()
    return Quaternion(x=x, y=y, z=z, w=math.cos(angle / 2))


def _quaternion_of_matrix(matrix: np.ndarray) -> Quaternion:
    """The largest of the four numbers comes first: no division by what may be 0 (Shepperd 1978)."""
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
