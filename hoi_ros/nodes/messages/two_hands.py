# SPDX-License-Identifier: Apache-2.0
"""Requests for samples of hands as the stage takes them, its answers as messages, and what became of two hands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox3D

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.normals import face_normals
from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import HandInteraction as HandInteractionMessage
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.srv import SampleTwoHands
from hoi_ros.stages.parts.object_points import box_mesh
from hoi_ros.stages.parts.object_points import checked_centre
from hoi_ros.stages.parts.object_points import ObjectError
from hoi_ros.stages.parts.sample_request import HandInteraction
from hoi_ros.stages.parts.sample_request import HandSamples
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.stages.parts.two_hand_samples import refuse_far
from hoi_ros.stages.parts.two_hand_samples import refuse_unfit

_SIDES: dict[int, Literal['left', 'right', 'both']] = {
    SampleTwoHands.Request.LEFT: 'left',
    SampleTwoHands.Request.RIGHT: 'right',
    SampleTwoHands.Request.BOTH: 'both',
}
_MOST_TRIANGLES = 50_000


def sample_request(
    request: SampleTwoHands.Request, models: Mapping[str, HandModel], guidance: float, anti_penetration: float
) -> SampleRequest:
    """A request as the stage takes it.

    Args:
        request: of the service.
        models: the hand models by side.
        guidance, anti_penetration: the strengths where the request leaves them to the node.

    Raises:
        FrameRefused: something in it cannot be used.
    """
    if request.side not in _SIDES:
        raise FrameRefused(f'side is {request.side}, expected 0 (LEFT), 1 (RIGHT) or 2 (BOTH)')
    if len(request.anchor) > 1:
        raise FrameRefused(f'there are {len(request.anchor)} anchors, expected one hand or none')
    vertices, faces = _object(request)
    wanted = SampleRequest(
        count=request.count,
        seed=request.seed,
        side=_SIDES[request.side],
        anchor=_anchor(request.anchor[0]) if request.anchor else None,
        object_vertices=vertices,
        object_faces=faces,
        guidance=guidance if request.guidance < 0 else request.guidance,
        anti_penetration=anti_penetration if request.anti_penetration < 0 else request.anti_penetration,
    )
    refuse_unfit(wanted, models)
    if (anchor := wanted.anchor) is None:
        return wanted
    posed = models[anchor.side].forward(anchor.pose, anchor.shape, anchor.translation)
    vertices = np.asarray(posed.vertices, np.float32)
    return dataclasses.replace(wanted, anchor=dataclasses.replace(anchor, joints=posed.keypoints, vertices=vertices))


def sample_arrays(
    header: Header, samples: HandSamples, with_mesh: bool, between: Callable[[], object]
) -> list[HandArray]:
    """An array a sample, of its hands.

    Args:
        header: of the arrays.
        samples: of the stage.
        with_mesh: whether the hands have vertices.
        between: called between the samples.
    """
    arrays = []
    for hands in samples.hands:
        arrays.append(hand_array(header, hands, with_mesh))
        between()
    return arrays


def interaction_message(header: Header, interaction: HandInteraction) -> HandInteractionMessage:
    """What became of the hands of one image under its header."""
    return HandInteractionMessage(
        header=header,
        regularised=bool(interaction.regularised),
        reason=interaction.reason,
        left_id=int(interaction.left_id),
        right_id=int(interaction.right_id),
        gap=float(interaction.gap),
        intersection_before=float(interaction.intersection_before),
        intersection_after=float(interaction.intersection_after),
    )


def _anchor(hand: Hand) -> HandEstimate:
    """The hand without joints and vertices."""
    if hand.side not in (Hand.LEFT, Hand.RIGHT):
        raise FrameRefused(f'the side of the anchor is {hand.side}, expected 0 (LEFT) or 1 (RIGHT)')
    pose, shape, translation, scores = (
        np.array(part, np.float32) for part in (hand.pose, hand.shape, hand.translation, hand.joint_scores)
    )
    nowhere = np.zeros((0, 3), np.float32)
    return HandEstimate(
        _SIDES[hand.side], hand.id, hand.score, nowhere, scores, pose, shape, translation, vertices=nowhere
    )


def _object(request: SampleTwoHands.Request) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Vertices (M, 3) and triangles (F, 3) of the object; None without one."""
    given, corners = np.asarray(request.object_vertices, np.float32), np.asarray(request.object_faces, np.uint32)
    if not len(given) and not len(corners):
        return _box(request.object_box)
    if len(given) % 3 or len(corners) % 3:
        raise FrameRefused(
            f'the object has {len(given)} numbers of vertices and {len(corners)} of triangles, expected three each'
        )
    if len(corners) > 3 * _MOST_TRIANGLES or len(given) > 3 * _MOST_TRIANGLES:
        raise FrameRefused(
            f'the object has {len(given) // 3} vertices and {len(corners) // 3} triangles, expected at most '
            f'{_MOST_TRIANGLES}: simplify its mesh'
        )
    vertices, faces = given.reshape(-1, 3), corners.reshape(-1, 3)
    if len(vertices) < 4 or len(faces) < 4:
        raise FrameRefused(
            f'the object has {len(vertices)} vertices and {len(faces)} triangles, expected a closed mesh'
        )
    _refuse_object(vertices, faces)
    if not is_closed(vertices, faces):
        raise FrameRefused('the mesh of the object is not closed: close its holes, or give its box')
    about = vertices - vertices.mean(0)
    if (face_normals(about, faces) * about[faces[:, 0]]).sum() < 0:
        raise FrameRefused('the triangles of the object face inwards, expected counter-clockwise from outside')
    return vertices, faces


def _box(box: BoundingBox3D) -> tuple[np.ndarray | None, np.ndarray | None]:
    size = np.array([box.size.x, box.size.y, box.size.z])
    if not size.any():
        return None, None
    place, turn = box.center.position, box.center.orientation
    quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
    if not abs(np.linalg.norm(quaternion) - 1) < 0.01:
        raise FrameRefused(f'the quaternion of the box is {quaternion.tolist()}, expected one of length 1')
    try:
        corners, faces = box_mesh(size)
    except ObjectError as error:
        raise FrameRefused(str(error)) from error
    vertices = Rotation.from_quat(quaternion).apply(corners) + [place.x, place.y, place.z]
    _refuse_object(vertices, faces)
    return vertices.astype(np.float32), faces.astype(np.uint32)


def _refuse_object(vertices: np.ndarray, faces: np.ndarray) -> None:
    try:
        centre = checked_centre(vertices, faces)
    except ObjectError as error:
        raise FrameRefused(str(error)) from error
    refuse_far('the object', centre)
