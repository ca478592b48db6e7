# SPDX-License-Identifier: Apache-2.0
"""Contact and grasps as RViz markers: meshes coloured by contact, contact points with normals, the approach."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from hoi_ros.drawing.contact_colours import contact_colours
from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.messages.markers import estimate_markers
from hoi_ros.nodes.messages.markers import marker_of
from hoi_ros.nodes.messages.objects import HELD_OBJECT

_LEVELS = 32
_OPAQUE, _SEE_THROUGH = 1.0, 0.85
_POINT = ColorRGBA(r=0.10, g=0.10, b=0.10, a=1.0)
_NORMAL = ColorRGBA(r=0.95, g=0.95, b=0.95, a=1.0)
_APPROACH = ColorRGBA(r=0.60, g=0.20, b=0.80, a=1.0)
_NORMAL_LENGTH, _APPROACH_LENGTH = 0.02, 0.08
"""Metres."""


def contact_markers(
    header: Header,
    hands: Sequence[HandEstimate],
    faces: Mapping[str, np.ndarray],
    object_faces: np.ndarray | None,
    lifetime: float,
) -> MarkerArray:
    """The markers of `estimate_markers`, whose meshes are coloured by contact where it is known; with contact points,
    their normals, and an arrow along the approach that ends at the wrist."""
    markers = estimate_markers(header, hands, faces, object_faces, lifetime)
    coloured = {
        (name, hand.track_id): (contact, corners, opacity)
        for hand in hands
        if hand.contact is not None and object_faces is not None
        for name, contact, corners, opacity in (
            (f'{hand.side}_mesh', hand.contact.hand, faces[hand.side], _SEE_THROUGH),
            (f'{hand.side}_{HELD_OBJECT}', hand.contact.object, object_faces, _OPAQUE),
        )
    }
    for marker in markers.markers:
        if (marker.ns, marker.id) in coloured:
            contact, corners, opacity = coloured[marker.ns, marker.id]
            # One colour object a level: a hand has 7,000 corners.
            palette = _palette(marker.color, opacity)
            levels = np.rint(np.clip(contact, 0, 1) * (_LEVELS - 1)).astype(int)
            marker.colors = [palette[level] for level in levels[corners].reshape(-1).tolist()]
    for hand in hands:
        if hand.contact is not None and len(hand.contact.points):
            markers.markers += _points(header, hand, hand.contact, lifetime)
        if hand.grasp is not None:
            markers.markers.append(_approach(header, hand, hand.grasp, lifetime))
    return markers


def _palette(own: ColorRGBA, opacity: float) -> list[ColorRGBA]:
    """The colours of a surface from no contact, its own, to full contact."""
    colours = contact_colours(np.linspace(0, 1, _LEVELS), (255 * own.r, 255 * own.g, 255 * own.b)) / 255
    return [ColorRGBA(r=red, g=green, b=blue, a=opacity) for red, green, blue in colours.tolist()]


def _points(header: Header, hand: HandEstimate, contact: ContactEstimate, lifetime: float) -> list[Marker]:
    # Outside the object: inside it they would not be seen.
    lines = np.stack([contact.points - _NORMAL_LENGTH * contact.normals, contact.points], 1).reshape(-1, 3)
    return [
        marker_of(header, f'{hand.side}_{name}', hand.track_id, kind, size, colour, points, lifetime)
        for name, kind, size, colour, points in (
            ('contact_points', Marker.SPHERE_LIST, 0.005, _POINT, contact.points),
            ('contact_normals', Marker.LINE_LIST, 0.0015, _NORMAL, lines),
        )
    ]


def _approach(header: Header, hand: HandEstimate, grasp: GraspEstimate, lifetime: float) -> Marker:
    ends = np.stack([grasp.position - _APPROACH_LENGTH * grasp.approach, grasp.position])
    arrow = marker_of(header, f'{hand.side}_approach', hand.track_id, Marker.ARROW, 0.006, _APPROACH, ends, lifetime)
    arrow.scale.y, arrow.scale.z = 0.012, 0.02  # the head
    return arrow
