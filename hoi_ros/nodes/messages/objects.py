# SPDX-License-Identifier: Apache-2.0
"""Estimates of held objects as messages and back, and as transforms."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Pose
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.estimates import surest_by_side
from hoi_ros.msg import Hand
from hoi_ros.msg import HeldObject
from hoi_ros.msg import HeldObjectArray
from hoi_ros.nodes.messages.geometry import array_of
from hoi_ros.nodes.messages.geometry import orientation_of
from hoi_ros.nodes.messages.geometry import pose_message
from hoi_ros.nodes.messages.geometry import position_of
from hoi_ros.nodes.messages.geometry import vector_message

SIDES = {'left': Hand.LEFT, 'right': Hand.RIGHT}
"""Numbers of the sides in messages."""

HELD_OBJECT = 'held_object'
"""Class of a held object, and the end of its frame's name."""


def held_objects(header: Header, hands: Iterable[HandEstimate], with_mesh: bool) -> HeldObjectArray:
    """What the hands of one image hold, under its header; without the mesh `vertices` stay empty."""
    message = HeldObjectArray(header=header)
    for hand, thing in holding(hands):
        held = HeldObject(
            hand_id=hand.track_id,
            hand_side=SIDES[hand.side],
            score=float(thing.score),
            pose=_pose(thing),
            size=vector_message(thing.size),
            box_confidence=float(thing.confidence.box),
            touching=bool(thing.touching),
            touching_confidence=float(thing.confidence.touching),
            gap=float(thing.gap),
            gap_confidence=float(thing.confidence.gap),
        )
        if with_mesh:
            # Assigned, the array would be copied number by number.
            held.vertices.frombytes(np.ascontiguousarray(thing.vertices, np.float32).tobytes())
        message.objects.append(held)
    return message


def object_estimate(held: HeldObject) -> ObjectEstimate:
    """The estimate that a message carries; `vertices` are (0, 3) where they were not published."""
    return ObjectEstimate(
        score=held.score,
        vertices=np.frombuffer(held.vertices, np.float32).reshape(-1, 3),
        position=position_of(held.pose),
        orientation=orientation_of(held.pose),
        size=array_of(held.size),
        gap=held.gap,
        touching=held.touching,
        confidence=ClaimConfidence(held.touching_confidence, held.gap_confidence, held.box_confidence),
    )


def object_boxes(header: Header, hands: Iterable[HandEstimate]) -> Detection3DArray:
    """The oriented boxes of the held objects, without those that are withheld; `id` is the track of the hand."""
    message = Detection3DArray(header=header)
    for hand, thing in boxed(hands):
        detection = Detection3D(header=header, id=str(hand.track_id))
        detection.bbox.center, detection.bbox.size = _pose(thing), vector_message(thing.size)
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = HELD_OBJECT, float(thing.score)
        result.pose.pose = detection.bbox.center
        detection.results.append(result)
        message.detections.append(detection)
    return message


def object_transforms(header: Header, hands: Sequence[HandEstimate], prefix: str) -> list[TransformStamped]:
    """Camera → `<prefix><side>_held_object`, the box of what the hands of `surest_by_side` hold."""
    transforms = []
    for hand, thing in boxed(surest_by_side(hands).values()):
        transform = TransformStamped(header=header, child_frame_id=f'{prefix}{hand.side}_{HELD_OBJECT}')
        transform.transform.translation = vector_message(thing.position)
        transform.transform.rotation = _pose(thing).orientation
        transforms.append(transform)
    return transforms


def holding(hands: Iterable[HandEstimate]) -> Iterator[tuple[HandEstimate, ObjectEstimate]]:
    """The hands that hold something, and what."""
    for hand in hands:
        if hand.held is not None:
            yield hand, hand.held


def boxed(hands: Iterable[HandEstimate]) -> Iterator[tuple[HandEstimate, ObjectEstimate]]:
    """The hands that hold something whose box is known, and what."""
    return ((hand, thing) for hand, thing in holding(hands) if thing.has_box)


def _pose(thing: ObjectEstimate) -> Pose:
    return pose_message(thing.position, thing.orientation)
