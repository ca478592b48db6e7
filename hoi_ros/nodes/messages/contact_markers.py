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

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.messages.markers import estimate_markers
from hoi_ros.nodes.messages.markers import marker_of
from hoi_ros.nodes.messages.objects import HELD_OBJECT

_STOPS = ((0.16, 0.25, 0.70), (0.10, 0.60, 0.85), (0.35, 0.80, 0.45), (0.95, 0.80, 0.20), (0.85, 0.15, 0.10))
"""Colours of no contact to full contact, at equal distances: blue, cyan, green, yellow, red."""
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
            palette = [contact_colour(level / (_LEVELS - 1), opacity) for level in range(_LEVELS)]
            levels = np.rint(np.clip(contact, 0, 1) * (_LEVELS - 1)).astype(int)
            marker.colors = [palette[level] for level in levels[corners].reshape(-1).tolist()]
    for hand in hands:
        if hand.contact is not None and len(hand.contact.points):
            markers.markers += _points(header, hand, hand.contact, lifetime)
        if hand.grasp is not None:
            markers.markers.append(_approach(header, hand, hand.grasp, lifetime))
    return markers


def contact_colour(contact: float, opacity: float = _OPAQUE) -> ColorRGBA:
    """The colour of a contact from 0, blue, to 1, red."""
    place = np.linspace(0, 1, len(_STOPS))
    red, green, blue = (float(np.interp(contact, place, channel)) for channel in zip(*_STOPS))
    return ColorRGBA(r=red, g=green, b=blue, a=opacity)


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
