# SPDX-License-Identifier: Apache-2.0
"""Grasps as messages and back, and as transforms."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header

from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import GraspType
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import surest_by_side
from hoi_ros.msg import Grasp
from hoi_ros.msg import GraspArray
from hoi_ros.nodes.messages.geometry import array_of
from hoi_ros.nodes.messages.geometry import orientation_of
from hoi_ros.nodes.messages.geometry import pose_message
from hoi_ros.nodes.messages.geometry import position_of
from hoi_ros.nodes.messages.geometry import quaternion_of_matrix
from hoi_ros.nodes.messages.geometry import vector_message
from hoi_ros.nodes.messages.objects import SIDES

GRASP = 'grasp'
"""End of the name of a grasp's frame."""
_TYPES: dict[GraspType, int] = {'power': Grasp.POWER, 'precision': Grasp.PRECISION, 'lateral': Grasp.LATERAL}
_TYPE_NAMES = {number: name for name, number in _TYPES.items()}
_LEAST_ANGLE = 0.1
"""Sine of the least angle between the approach and the direction in which the fingers close."""


def grasp_array(header: Header, hands: Iterable[HandEstimate]) -> GraspArray:
    """The grasps of the hands of one image, under its header."""
    return GraspArray(header=header, grasps=[_grasp(hand, hand.grasp) for hand in hands if hand.grasp is not None])


def grasp_estimate(message: Grasp) -> GraspEstimate:
    """The estimate that a message carries: the inverse of `grasp_array`."""
    return GraspEstimate(
        type=_TYPE_NAMES[message.type],
        confidence=message.confidence,
        position=position_of(message.wrist),
        orientation=orientation_of(message.wrist),
        object_position=position_of(message.object),
        object_orientation=orientation_of(message.object),
        object_size=array_of(message.object_size),
        wrist_in_object=np.concatenate([position_of(message.wrist_in_object), orientation_of(message.wrist_in_object)]),
        approach=array_of(message.approach),
        aperture=message.aperture,
        fingers=np.array(message.touching, bool),
        centroids=np.array(message.centroids, np.float32).reshape(5, 3),
        normals=np.array(message.normals, np.float32).reshape(5, 3),
        force_closure=message.force_closure,
    )


def grasp_transforms(header: Header, hands: Sequence[HandEstimate], prefix: str) -> list[TransformStamped]:
    """Camera → `<prefix><side>_grasp` of those hands of `surest_by_side` whose grasp has such a frame, see
    `grasp_frame`."""
    transforms = []
    for side, hand in surest_by_side(hands).items():
        frame = None if hand.grasp is None else grasp_frame(hand.grasp)
        if frame is not None:
            transform = TransformStamped(header=header, child_frame_id=f'{prefix}{side}_{GRASP}')
            transform.transform.translation = vector_message(frame[:3, 3])
            transform.transform.rotation = quaternion_of_matrix(frame[:3, :3])
            transforms.append(transform)
    return transforms


def grasp_frame(grasp: GraspEstimate) -> np.ndarray | None:
    """The frame of a gripper with two jaws that grasps as the hand does.

    Its origin is midway between the thumb's contact and the mean contact of the fingers that press against it. x runs
    from the thumb to these fingers, z along the approach as far as it is perpendicular to x.

    Returns:
        (4, 4) from this frame to the camera's; None where no finger presses against the thumb, or where the fingers
        close along the approach.
    """
    against = grasp.normals[1:].astype(float) @ grasp.normals[0].astype(float) < 0  # NaN, which touches nothing, is not
    if not against.any():
        return None
    thumb, opposite = grasp.centroids[0].astype(float), grasp.centroids[1:][against].mean(0).astype(float)
    distance = np.linalg.norm(opposite - thumb)
    if not distance > 0:
        return None
    x = (opposite - thumb) / distance
    z = grasp.approach - grasp.approach @ x * x
    length = np.linalg.norm(z)
    if not length > _LEAST_ANGLE:
        return None
    z = z / length
    frame = np.eye(4)
    frame[:3] = np.column_stack([x, np.cross(z, x), z, (thumb + opposite) / 2])
    return frame


def _grasp(hand: HandEstimate, grasp: GraspEstimate) -> Grasp:
    return Grasp(
        hand_id=hand.track_id,
        hand_side=SIDES[hand.side],
        type=_TYPES[grasp.type],
        confidence=float(grasp.confidence),
        wrist=pose_message(grasp.position, grasp.orientation),
        wrist_in_object=pose_message(grasp.wrist_in_object[:3], grasp.wrist_in_object[3:]),
        object=pose_message(grasp.object_position, grasp.object_orientation),
        object_size=vector_message(grasp.object_size),
        approach=vector_message(grasp.approach),
        aperture=float(grasp.aperture),
        touching=[bool(touches) for touches in grasp.fingers],
        centroids=np.asarray(grasp.centroids, np.float32).reshape(-1),
        normals=np.asarray(grasp.normals, np.float32).reshape(-1),
        force_closure=float(grasp.force_closure),
    )
