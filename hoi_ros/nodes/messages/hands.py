# SPDX-License-Identifier: Apache-2.0
"""Hand estimates as messages and back, and as transforms."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from geometry_msgs.msg import Point
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import BoundingBox2D
from vision_msgs.msg import Point2D
from vision_msgs.msg import Pose2D

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from hoi_ros.hand import KEYPOINT_PARENTS
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import HandInImage
from hoi_ros.hand.estimates import LocatedBy
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.estimates import surest_by_side
from hoi_ros.hand.skeleton import FINGERTIPS
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.msg import ContactArray
from hoi_ros.msg import GraspArray
from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.contacts import contact_estimate
from hoi_ros.nodes.messages.geometry import quaternion_of_matrix
from hoi_ros.nodes.messages.geometry import quaternion_of_vector
from hoi_ros.nodes.messages.grasps import grasp_estimate
from hoi_ros.nodes.messages.objects import object_estimate
from hoi_ros.nodes.messages.objects import SIDES

_Name = TypeVar('_Name')
_LOCATED_BY = {'depth': Hand.LOCATED_BY_DEPTH, 'hand_size': Hand.LOCATED_BY_HAND_SIZE}
_SIDE_NAMES = {number: side for side, number in SIDES.items()}
_LOCATED_BY_NAMES: dict[int, LocatedBy] = {
    Hand.LOCATED_BY_DEPTH: 'depth',
    Hand.LOCATED_BY_HAND_SIZE: 'hand_size',
}


def hand_array(header: Header, hands: Iterable[HandEstimate], with_mesh: bool) -> HandArray:
    """The hands of one image under its header; without the mesh `vertices` stay empty."""
    return HandArray(header=header, hands=[_hand(hand, with_mesh) for hand in hands])


def hand_estimates(
    hands: HandArray,
    objects: HeldObjectArray | None = None,
    contacts: ContactArray | None = None,
    grasps: GraspArray | None = None,
) -> list[HandEstimate]:
    """The estimates that messages of one image carry: the inverse of `hand_array`, `held_objects`, `contact_array` and
    `grasp_array`.

    Args:
        hands: of the image.
        objects, contacts, grasps: of the same image; None where the system publishes none.

    Returns:
        One estimate a hand, with what it holds, its contact and its grasp. `vertices` are (0, 3) where they were not
        published.

    Raises:
        FrameRefused: a constant of a message is none that it declares.
    """
    held = {each.hand_id: object_estimate(each) for each in (objects.objects if objects else ())}
    contact = {each.hand_id: contact_estimate(each) for each in (contacts.contacts if contacts else ())}
    grasp = {each.hand_id: grasp_estimate(each) for each in (grasps.grasps if grasps else ())}
    return [
        HandEstimate(
            side=_named(_SIDE_NAMES, hand.side, 'side'),
            track_id=hand.id,
            score=hand.score,
            joints=np.array(hand.joints, np.float32).reshape(21, 3),
            joint_scores=np.array(hand.joint_scores, np.float32),
            pose=np.array(hand.pose, np.float32),
            shape=np.array(hand.shape, np.float32),
            translation=np.array(hand.translation, np.float32),
            vertices=np.frombuffer(hand.vertices, np.float32).reshape(-1, 3),
            located_by=_named(_LOCATED_BY_NAMES, hand.located_by, 'located_by'),
            held=held.get(hand.id),
            side_score=hand.side_score,
            in_image=_in_image(hand),
            contact=contact.get(hand.id),
            grasp=grasp.get(hand.id),
        )
        for hand in hands.hands
    ]


def _named(names: Mapping[int, _Name], number: int, field: str) -> _Name:
    if number not in names:
        raise FrameRefused(
            f'a hand has {field} {number}, expected {" or ".join(str(known) for known in sorted(names))}'
        )
    return names[number]


def mesh_topology(
    header: Header, right: HandModel, left: HandModel, object_faces: np.ndarray | None = None
) -> MeshTopology:
    """What is fixed over all frames; object_faces (F, 3) where the system reconstructs objects."""
    bones = [(parent, joint) for joint, parent in enumerate(KEYPOINT_PARENTS) if parent >= 0]
    message = MeshTopology(
        header=header,
        vertex_count=right.template.shape[0],
        joint_names=list(KEYPOINT_NAMES),
        bones=np.array(bones, np.uint8).reshape(-1),
    )
    message.right_faces.frombytes(right.faces.astype(np.uint32).tobytes())
    message.left_faces.frombytes(left.faces.astype(np.uint32).tobytes())
    if object_faces is not None and len(object_faces):
        message.object_vertex_count = int(object_faces.max()) + 1
        message.object_faces.frombytes(object_faces.astype(np.uint32).tobytes())
    return message


def hand_transforms(
    header: Header, hands: Sequence[HandEstimate], models: Mapping[str, HandModel], prefix: str
) -> TFMessage:
    """Camera → `<prefix><side>_wrist` and `<prefix><side>_<finger>_tip` of the hand of each side of `surest_by_side`.

    Positions are the joints', orientations those of the fitted hand: a fingertip turns as the last joint of
    its finger, whose axes at rest are the hand model's.
    """
    message = TFMessage()
    for side, hand in surest_by_side(hands).items():
        turned = models[side].forward(hand.pose, hand.shape, hand.translation, vertices=False).transforms
        for keypoint, joint in zip((0, *FINGERTIPS), (0, *TIP_JOINTS)):
            frame = f'{prefix}{side}_{KEYPOINT_NAMES[keypoint]}'
            transform = TransformStamped(header=header, child_frame_id=frame)
            place = transform.transform.translation
            place.x, place.y, place.z = hand.joints[keypoint].tolist()
            transform.transform.rotation = quaternion_of_matrix(turned[joint, :3, :3])
            message.transforms.append(transform)
    return message


def _hand(hand: HandEstimate, with_mesh: bool) -> Hand:
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
    if hand.in_image is not None:
        box = hand.in_image.box
        centre = Pose2D(position=Point2D(x=box.x + box.width / 2, y=box.y + box.height / 2))
        message.image_box = BoundingBox2D(center=centre, size_x=box.width, size_y=box.height)
        message.image_keypoints.frombytes(np.ascontiguousarray(hand.in_image.keypoints, np.float32).tobytes())
    if with_mesh:
        # Assigned, the array would be copied number by number.
        message.vertices.frombytes(np.ascontiguousarray(hand.vertices, np.float32).tobytes())
    return message


def _in_image(hand: Hand) -> HandInImage | None:
    """The hand in pixels; None where the message carries none."""
    if not hand.image_keypoints:
        return None
    box, centre = hand.image_box, hand.image_box.center.position
    return HandInImage(
        np.array(hand.image_keypoints, np.float32).reshape(21, 2),
        Region(centre.x - box.size_x / 2, centre.y - box.size_y / 2, box.size_x, box.size_y, _SIDE_NAMES[hand.side]),
    )
