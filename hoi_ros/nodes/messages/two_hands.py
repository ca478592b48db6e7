# SPDX-License-Identifier: Apache-2.0
"""Requests for samples of hands as the stage takes them, its answers as messages, and what became of two hands."""

from __future__ import annotations

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
from hoi_ros.stages.parts.sample_request import HandInteraction
from hoi_ros.stages.parts.sample_request import HandSamples
from hoi_ros.stages.parts.sample_request import SampleRequest

CUBIC_MILLIMETRE = 1e-9
_SIDES: dict[int, Literal['left', 'right', 'both']] = {
    SampleTwoHands.Request.LEFT: 'left',
    SampleTwoHands.Request.RIGHT: 'right',
    SampleTwoHands.Request.BOTH: 'both',
}
_FARTHEST = 20.0
"""Largest distance of an anchor or an object from the origin, metres."""
_STRANGEST = 8.0
"""Largest coefficient of an anchor's shape, standard deviations."""
_BEYOND = np.radians(60)
"""Angle by which an anchor's joints may be beyond their limits."""
_SMALLEST, _LARGEST = 0.002, 2.0
"""Longest side of an object, metres."""
_MOST_TRIANGLES = 50_000
_STRONGEST = 100.0
"""Largest strength of a guidance."""
_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_BOX_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4]]
    + [[1, 5, 7], [1, 7, 3]],
    np.uint32,
)
"""Of a box with these corners, counter-clockwise from outside."""


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
    most = SampleTwoHands.Request.MOST
    if not 1 <= request.count <= most:
        raise FrameRefused(f'count is {request.count}, expected 1 to {most}')
    if request.side not in _SIDES:
        raise FrameRefused(f'side is {request.side}, expected 0 (LEFT), 1 (RIGHT) or 2 (BOTH)')
    side = _SIDES[request.side]
    if len(request.anchor) > 1:
        raise FrameRefused(f'there are {len(request.anchor)} anchors, expected one hand or none')
    anchor = _anchor(request.anchor[0], models) if request.anchor else None
    if anchor is not None and anchor.side == side:
        raise FrameRefused(
            f'the anchor is a {side} hand and so are the samples: let side be that of the other hand, or BOTH'
        )
    vertices, faces = _object(request)
    return SampleRequest(
        request.count,
        request.seed,
        side,
        anchor,
        vertices,
        faces,
        _strength('guidance', request.guidance, guidance),
        _strength('anti_penetration', request.anti_penetration, anti_penetration),
    )


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
        penetration_before=float(interaction.penetration_before),
        penetration_after=float(interaction.penetration_after),
    )


def _strength(name: str, given: float, default: float) -> float:
    if not given <= _STRONGEST:  # NaN is neither
        raise FrameRefused(f'{name} is {given}, expected at most {_STRONGEST:g}, or a negative number for {default:g}')
    return default if given < 0 else given


def _anchor(hand: Hand, models: Mapping[str, HandModel]) -> HandEstimate:
    """The hand with joints and vertices of its parameters."""
    if hand.side not in (Hand.LEFT, Hand.RIGHT):
        raise FrameRefused(f'the side of the anchor is {hand.side}, expected 0 (LEFT) or 1 (RIGHT)')
    for name in ('pose', 'shape', 'translation'):
        if not np.isfinite(np.asarray(getattr(hand, name), np.float32)).all():
            raise FrameRefused(f'the {name} of the anchor is not all finite')
    if (strange := float(np.abs(hand.shape).max())) > _STRANGEST:
        raise FrameRefused(
            f'the anchor is no hand: a coefficient of its shape is {strange:.3g}, expected at most {_STRANGEST:g} '
            'standard deviations'
        )
    side = 'right' if hand.side == Hand.RIGHT else 'left'
    model = models[side]
    pose, shape, translation = (np.array(each, np.float32) for each in (hand.pose, hand.shape, hand.translation))
    angles, limits = model.anatomical(pose)[1:], model.limits[1:]
    beyond = np.maximum(angles - limits[..., 1], limits[..., 0] - angles).max()
    if beyond > _BEYOND:
        raise FrameRefused(
            f'the anchor is no hand: a joint is bent {np.degrees(beyond):.0f} degrees beyond its limit, expected at '
            f'most {np.degrees(_BEYOND):.0f}; pose is 16 rotation vectors in radians'
        )
    _refuse_far('the anchor', translation)
    posed = model.forward(pose, shape, translation)
    scores = np.array(hand.joint_scores, np.float32)
    return HandEstimate(
        side, hand.id, hand.score, posed.keypoints, scores, pose, shape, translation, np.asarray(posed.vertices)
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
    if faces.max() >= len(vertices):
        raise FrameRefused(f'a triangle of the object names vertex {faces.max()}, there are {len(vertices)}')
    _refuse_size(vertices)
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
    if not (size > 0).all() or not abs(np.linalg.norm(quaternion) - 1) < 0.01:
        raise FrameRefused(
            f'the box of the object has the size {size.tolist()} and the quaternion {quaternion.tolist()}, expected '
            'sides above 0 and a unit quaternion'
        )
    vertices = Rotation.from_quat(quaternion).apply(_CORNERS * size) + [place.x, place.y, place.z]
    _refuse_size(vertices)
    return vertices.astype(np.float32), _BOX_FACES


def _refuse_size(vertices: np.ndarray) -> None:
    if not np.isfinite(vertices).all():
        raise FrameRefused(f'{int((~np.isfinite(vertices).all(1)).sum())} vertices of the object are not finite')
    across = float(np.ptp(vertices, axis=0).max())
    if not _SMALLEST <= across <= _LARGEST:
        hint = ': it seems to be in millimetres' if across > _LARGEST else ''
        raise FrameRefused(f'the object measures {across:.4g} m across, expected {_SMALLEST:g} to {_LARGEST:g} m{hint}')
    _refuse_far('the object', vertices.mean(0))


def _refuse_far(what: str, place: np.ndarray) -> None:
    if (distance := float(np.linalg.norm(place.astype(float)))) > _FARTHEST:
        raise FrameRefused(
            f'{what} is {distance:.4g} m away from the origin of its frame, expected at most {_FARTHEST:g} m: it seems '
            'to be in millimetres'
        )
