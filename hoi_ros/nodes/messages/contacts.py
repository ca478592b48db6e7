# SPDX-License-Identifier: Apache-2.0
"""Estimates of contact as messages and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from std_msgs.msg import Header

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.msg import Contact
from hoi_ros.msg import ContactArray
from hoi_ros.nodes.messages.objects import SIDES


def contact_array(header: Header, hands: Iterable[HandEstimate], voxel: float) -> ContactArray:
    """The contact of the hands of one image; nothing of a hand without an estimate of it.

    Args:
        header: of the image.
        hands: in the image.
        voxel: edge of the voxels with which the intersections were measured, metres.
    """
    return ContactArray(
        header=header, contacts=[_contact(hand, hand.contact, voxel) for hand in hands if hand.contact is not None]
    )


def contact_estimate(message: Contact) -> ContactEstimate:
    """The estimate that a message carries: the inverse of `contact_array`."""
    return ContactEstimate(
        hand=np.frombuffer(message.hand_contact, np.float32),
        object=np.frombuffer(message.object_contact, np.float32),
        points=np.frombuffer(message.points, np.float32).reshape(-1, 3),
        normals=np.frombuffer(message.normals, np.float32).reshape(-1, 3),
        fingers=np.array(message.fingers, np.uint8),
        penetration=message.penetration,
        intersection=message.intersection,
    )


def _contact(hand: HandEstimate, contact: ContactEstimate, voxel: float) -> Contact:
    message = Contact(
        hand_id=hand.track_id,
        hand_side=SIDES[hand.side],
        penetration=float(contact.penetration),
        intersection=float(contact.intersection),
        intersection_voxel=voxel,
    )
    # Assigned, the arrays would be copied number by number.
    for field, values in (
        (message.hand_contact, contact.hand),
        (message.object_contact, contact.object),
        (message.points, contact.points),
        (message.normals, contact.normals),
    ):
        field.frombytes(np.ascontiguousarray(values, np.float32).tobytes())
    message.fingers.frombytes(np.ascontiguousarray(contact.fingers, np.uint8).tobytes())
    return message
