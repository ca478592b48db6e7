# SPDX-License-Identifier: Apache-2.0
"""Estimates as RViz markers: mesh, joints and bones of a hand, mesh of an object."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from hoi_ros.hand import KEYPOINT_PARENTS
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.messages.objects import HELD_OBJECT
from hoi_ros.nodes.messages.objects import holding

_SKIN = {'right': ColorRGBA(r=0.92, g=0.75, b=0.63, a=0.8), 'left': ColorRGBA(r=0.63, g=0.80, b=0.92, a=0.8)}
_BONE = ColorRGBA(r=0.95, g=0.95, b=0.95, a=1.0)
_JOINT = ColorRGBA(r=0.90, g=0.30, b=0.25, a=1.0)
_OBJECT = ColorRGBA(r=0.45, g=0.78, b=0.42, a=0.9)
_UNSURE_OBJECT = ColorRGBA(r=0.45, g=0.78, b=0.42, a=0.35)
"""Of an object whose box is withheld."""


def estimate_markers(
    header: Header,
    hands: Sequence[HandEstimate],
    faces: Mapping[str, np.ndarray],
    object_faces: np.ndarray | None,
    lifetime: float,
) -> MarkerArray:
    """The hands and what they hold; object_faces (F, 3), None without objects, the rest as for `hand_markers`."""
    markers = hand_markers(header, hands, faces, lifetime)
    if object_faces is not None:
        markers.markers += object_markers(header, hands, object_faces, lifetime)
    return markers


def hand_markers(
    header: Header, hands: Sequence[HandEstimate], faces: Mapping[str, np.ndarray], lifetime: float
) -> MarkerArray:
    """Three markers a hand, two without its mesh. Takes some 10 ms: build them only for subscribers.

    Args:
        header: of the image.
        hands: in the image.
        faces: (F, 3) vertex indices by side.
        lifetime: seconds after which RViz removes a marker that is not renewed.
    """
    markers = MarkerArray()
    for hand in hands:
        bones = [
            point
            for joint, parent in enumerate(KEYPOINT_PARENTS)
            if parent >= 0
            for point in (hand.joints[parent], hand.joints[joint])
        ]
        # Messages without meshes give hands without vertices.
        mesh = hand.vertices[faces[hand.side]].reshape(-1, 3) if len(hand.vertices) else hand.vertices
        parts = (
            ('mesh', Marker.TRIANGLE_LIST, 1.0, _SKIN[hand.side], mesh),
            ('joints', Marker.SPHERE_LIST, 0.008, _JOINT, hand.joints),
            ('bones', Marker.LINE_LIST, 0.004, _BONE, np.array(bones)),
        )
        for part, kind, size, colour, points in parts:
            if not len(points):
                continue
            markers.markers.append(
                marker_of(header, f'{hand.side}_{part}', hand.track_id, kind, size, colour, points, lifetime)
            )
    return markers


def object_markers(header: Header, hands: Iterable[HandEstimate], faces: np.ndarray, lifetime: float) -> list[Marker]:
    """One marker an object, under the number of its hand's track; faces (F, 3), the rest as for `hand_markers`."""
    return [
        marker_of(
            header,
            f'{hand.side}_{HELD_OBJECT}',
            hand.track_id,
            Marker.TRIANGLE_LIST,
            1.0,
            _OBJECT if thing.has_box else _UNSURE_OBJECT,
            thing.vertices[faces].reshape(-1, 3),
            lifetime,
        )
        for hand, thing in holding(hands)
        if len(thing.vertices)
    ]


def marker_of(
    header: Header,
    name: str,
    number: int,
    kind: int,
    size: float,
    colour: ColorRGBA,
    points: np.ndarray,
    lifetime: float,
) -> Marker:
    """One marker of points (N, 3), metres.

    Args:
        header: of the image.
        name: of its namespace.
        number: in that namespace.
        kind: `Marker.TRIANGLE_LIST` and the like.
        size: scale along every axis, metres; 1 for triangles.
        colour: of the whole marker.
        points: of the marker's kind.
        lifetime: seconds.
    """
    marker = Marker(
        header=header,
        ns=name,
        id=number,
        type=kind,
        action=Marker.ADD,
        color=colour,
        lifetime=Duration(sec=int(lifetime), nanosec=int(lifetime % 1 * 1e9)),
    )
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = size
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in points.tolist()]
    return marker
