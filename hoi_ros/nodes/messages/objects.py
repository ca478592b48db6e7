# SPDX-License-Identifier: Apache-2.0
"""What the hands hold, as messages and transforms."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import TransformStamped
from geometry_msgs.msg import Vector3
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from hoi_ros.msg import HeldObject
from hoi_ros.msg import HeldObjectArray
from hoi_ros.nodes.messages.hands import SIDES

HELD_OBJECT = 'held_object'
"""Class of what a hand holds, and the end of its frame's name."""


class ObjectFields(Protocol):
    """What of a held object goes into a message; metres in the camera's optical frame."""

    @property
    def score(self) -> float:
        """0 to 1."""

    @property
    def vertices(self) -> np.ndarray:
        """(M, 3)."""

    @property
    def position(self) -> np.ndarray:
        """(3,) centre of the oriented box."""

    @property
    def orientation(self) -> np.ndarray:
        """(4,) quaternion x, y, z, w of its axes."""

    @property
    def size(self) -> np.ndarray:
        """(3,) its sides along x, y and z."""

    @property
    def gap(self) -> float:
        """Least distance to the hand, below 0 inside."""

    @property
    def touching(self) -> bool:
        """Whether hand and object are in contact."""


class HoldingHand(Protocol):
    """What of a hand says whose object it is."""

    @property
    def side(self) -> str:
        """'right' or 'left'."""

    @property
    def track_id(self) -> int:
        """The same from frame to frame."""

    @property
    def held(self) -> ObjectFields | None:
        """What it holds."""


def held_objects(header: Header, hands: Iterable[HoldingHand], with_mesh: bool) -> HeldObjectArray:
    """What the hands seen in the image of that header hold; without the mesh, `vertices` stay empty."""
    message = HeldObjectArray(header=header)
    for hand, thing in holding(hands):
        held = HeldObject(
            hand_id=hand.track_id,
            hand_side=SIDES[hand.side],
            score=float(thing.score),
            pose=_pose(thing),
            size=_vector(thing.size),
            touching=bool(thing.touching),
            gap=float(thing.gap),
        )
        if with_mesh:
            # Assigned, the array would be copied number by number.
            held.vertices.frombytes(np.ascontiguousarray(thing.vertices, np.float32).tobytes())
        message.objects.append(held)
    return message


def object_boxes(header: Header, hands: Iterable[HoldingHand]) -> Detection3DArray:
    """The oriented boxes of what the hands hold; `id` is the number of the hand's track."""
    message = Detection3DArray(header=header)
    for hand, thing in holding(hands):
        detection = Detection3D(header=header, id=str(hand.track_id))
        detection.bbox.center, detection.bbox.size = _pose(thing), _vector(thing.size)
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = HELD_OBJECT, float(thing.score)
        result.pose.pose = detection.bbox.center
        detection.results.append(result)
        message.detections.append(detection)
    return message


def object_transforms(header: Header, hands: Iterable[HoldingHand], prefix: str) -> list[TransformStamped]:
    """Camera → `<prefix><side>_held_object`, the box of the surest object of each side."""
    surest = {hand.side: (hand, thing) for hand, thing in sorted(holding(hands), key=lambda pair: pair[1].score)}
    transforms = []
    for side, (_, thing) in surest.items():
        transform = TransformStamped(header=header, child_frame_id=f'{prefix}{side}_{HELD_OBJECT}')
        transform.transform.translation = _vector(thing.position)
        transform.transform.rotation = _pose(thing).orientation
        transforms.append(transform)
    return transforms


def holding(hands: Iterable[HoldingHand]) -> Iterator[tuple[HoldingHand, ObjectFields]]:
    """The hands that hold something, and what."""
    for hand in hands:
        if hand.held is not None:
            yield hand, hand.held


def _pose(thing: ObjectFields) -> Pose:
    return Pose(
        position=Point(**dict(zip('xyz', map(float, thing.position)))),
        orientation=Quaternion(**dict(zip('xyzw', map(float, thing.orientation)))),
    )


def _vector(values: np.ndarray) -> Vector3:
    return Vector3(**dict(zip('xyz', map(float, values))))
