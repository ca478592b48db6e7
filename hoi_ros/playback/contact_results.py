# SPDX-License-Identifier: Apache-2.0
"""Contact and grasps as JSON and as words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.skeleton import FINGERS
from hoi_ros.stages.parts.contact_points import PALM

_CM3 = 1e6
_CONTACT_DIGITS = 4


def hand_contact_record(hand: HandEstimate, vertices: bool) -> dict[str, Any]:
    """The contact of a hand and its grasp as JSON, nothing for a hand without contact.

    Args:
        hand: the estimate.
        vertices: whether to write the contact of the vertices of hand and object, too.
    """
    contact, grasp = hand.contact, hand.grasp
    if contact is None:
        return {}
    record = contact_record(contact)
    record['grasp'] = None if grasp is None else grasp_record(grasp, grasp.wrist_in_object)
    if vertices:
        record['hand_contact'] = rounded(contact.hand, _CONTACT_DIGITS)
        record['object_contact'] = rounded(contact.object, _CONTACT_DIGITS)
    return record


def contact_record(contact: ContactEstimate) -> dict[str, Any]:
    """Contact as JSON: `fingers` (five booleans, thumb first), `palm`, `penetration` (m), `intersection` (cm³) and
    `contact_points` (m)."""
    return {
        'fingers': [finger in contact.fingers for finger in range(PALM)],
        'palm': PALM in contact.fingers,
        'penetration': rounded(contact.penetration),
        'intersection': rounded(_CM3 * contact.intersection),
        'contact_points': {
            'points': rounded(contact.points),
            'normals': rounded(contact.normals),
            'fingers': contact.fingers.tolist(),
        },
    }


def grasp_record(grasp: GraspEstimate, wrist_in_object: np.ndarray) -> dict[str, Any]:
    """A grasp as JSON, metres; null for what is not known.

    Args:
        grasp: the estimate.
        wrist_in_object: (7,) position and quaternion of the wrist in a frame of the object.
    """
    return {
        'type': grasp.type,
        'confidence': rounded(grasp.confidence),
        'wrist': {'position': rounded(grasp.position), 'orientation': _canonical(grasp.orientation)},
        'wrist_in_object': {
            'position': rounded(wrist_in_object[:3]),
            'orientation': _canonical(wrist_in_object[3:]),
        },
        'approach': rounded(grasp.approach),
        'aperture': rounded(grasp.aperture),
        'centroids': rounded(grasp.centroids),
        'normals': rounded(grasp.normals),
        'force_closure': rounded(grasp.force_closure),
        'object_box': {
            'position': rounded(grasp.object_position),
            'orientation': _canonical(grasp.object_orientation),
            'size': rounded(grasp.object_size),
        },
    }


def touching_words(hand: HandEstimate) -> str:
    """', touches it with thumb and index, precision grasp'; an empty text without contact."""
    contact = hand.contact
    if contact is None:
        return ''
    names = [name for part, name in enumerate((*FINGERS, 'palm')) if part in contact.fingers]
    if not names:
        return ', does not touch it'
    listed = ', '.join(names[:-1]) + ' and ' + names[-1] if len(names) > 1 else names[0]
    return f', touches it with {listed}' + (f', {hand.grasp.type} grasp' if hand.grasp is not None else '')


def rounded(numbers: Any, digits: int = 6) -> Any:
    """Numbers as JSON; null for those that are not finite."""
    array = np.round(np.asarray(numbers, float), digits)
    if array.ndim:
        return [rounded(row, digits) for row in array] if not np.isfinite(array).all() else array.tolist()
    return float(array) if math.isfinite(array) else None


def _canonical(orientation: np.ndarray) -> Any:
    """A quaternion (4,) with w not negative."""
    known = np.isfinite(orientation).all()
    return rounded(Rotation.from_quat(orientation).as_quat(canonical=True) if known else orientation)
