# SPDX-License-Identifier: Apache-2.0
"""Contact and grasps as JSON and as words."""

from __future__ import annotations

from typing import Any

import numpy as np

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import HandEstimate

_FINGERS = 'thumb', 'index', 'middle', 'ring', 'little', 'palm'
_CM3 = 1e6


def contact_record(hand: HandEstimate, vertices: bool) -> dict[str, Any]:
    """The contact of a hand and its grasp as JSON: `fingers` (five booleans, thumb first), `palm`, `penetration` (m),
    `intersection` (cm³), `contact_points` and `contact_normals` (m), `grasp`; null where nothing is known. Nothing for
    a hand without contact.

    Args:
        hand: the estimate.
        vertices: whether to write the contact of the vertices of hand and object, too.
    """
    contact = hand.contact
    if contact is None:
        return {}
    touching = _touching(contact)
    record = {
        'fingers': touching[:5].tolist(),
        'palm': bool(touching[5]),
        'penetration': _known(contact.penetration),
        'intersection': _known(contact.intersection * _CM3),
        'contact_points': _known(contact.points),
        'contact_normals': _known(contact.normals),
        'grasp': None if hand.grasp is None else grasp_record(hand.grasp),
    }
    if vertices:
        record['hand_contact'], record['object_contact'] = _known(contact.hand), _known(contact.object)
    return record


def grasp_record(grasp: GraspEstimate) -> dict[str, Any]:
    """A grasp as JSON, metres; null for a finger that does not touch and for what is not known."""
    return {
        'type': grasp.type,
        'confidence': _known(grasp.confidence),
        'wrist': {'position': _known(grasp.position), 'orientation': _known(grasp.orientation)},
        'wrist_in_object': {
            'position': _known(grasp.wrist_in_object[:3]),
            'orientation': _known(grasp.wrist_in_object[3:]),
        },
        'approach': _known(grasp.approach),
        'aperture': _known(grasp.aperture),
        'fingers': np.asarray(grasp.fingers, bool).tolist(),
        'centroids': [_known(centroid) for centroid in grasp.centroids],
        'normals': [_known(normal) for normal in grasp.normals],
        'force_closure': _known(grasp.force_closure),
    }


def touching_words(hand: HandEstimate) -> str:
    """', touches it with thumb and index, precision grasp'; an empty text without contact."""
    if hand.contact is None:
        return ''
    names = [name for name, touches in zip(_FINGERS, _touching(hand.contact)) if touches]
    if not names:
        return ', does not touch it'
    listed = ', '.join(names[:-1]) + ' and ' + names[-1] if len(names) > 1 else names[0]
    return f', touches it with {listed}' + (f', {hand.grasp.type} grasp' if hand.grasp is not None else '')


def _touching(contact: ContactEstimate) -> np.ndarray:
    """(6,) whether each finger and the palm touch."""
    return np.isin(np.arange(len(_FINGERS)), contact.fingers)


def _known(values: float | np.ndarray) -> Any:
    """Numbers to six places; None where one of them is NaN."""
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        return None
    return round(float(array), 6) if array.ndim == 0 else np.round(array, 6).tolist()
