# SPDX-License-Identifier: Apache-2.0
"""Closing the hand of a grip around the object."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.simulation.finger_closing import close_fingers
from hoi_ros.simulation.finger_closing import ClosedFingers
from hoi_ros.simulation.finger_closing import Fingers
from training.data.synthetic.grasps.anatomy import SIDE_LINK
from training.data.synthetic.grasps.anatomy import THUMB
from training.data.synthetic.grasps.grips import Grip
from training.data.synthetic.grasps.hand import GraspingHand
from training.data.synthetic.grasps.held_object import HeldObject
from training.data.synthetic.grasps.placement import Placement

_THUMBS = 5
"""Closed postures of the thumb that are tried."""
_THUMB_LINKS = np.isin(np.arange(16), FINGER_JOINTS[THUMB])


def close_hand(hand: GraspingHand, thing: HeldObject, place: Placement, rng: np.random.Generator) -> np.ndarray | None:
    """Closes the fingers around the object, then tries postures of the thumb until hand and object hold.

    Returns:
        (16,) progress of the joints from opened to closed; None if the object is not held.
    """
    progress, touching = _close(hand, thing, place, hand.anatomy.all_fingers, np.full(16, place.progress))
    touching[SIDE_LINK] |= hand.grip.side
    for _ in range(_THUMBS):
        if not holds(touching | _THUMB_LINKS, hand.grip):
            return None
        if holds(touching, hand.grip) and not hand.runs_into_itself(progress):
            return progress
        hand.turn_thumb(rng)
        progress[_THUMB_LINKS] = place.progress
        progress, thumb_touching = _close(hand, thing, place, hand.anatomy.thumb, progress)
        touching = touching & ~_THUMB_LINKS | thumb_touching
    return None


def holds(touching: np.ndarray, grip: Grip) -> bool:
    """Whether the thumb and enough fingers are among the touching links (16,): two, or three in a power grip."""
    fingers = touching[FINGER_JOINTS].any(1)
    return bool(fingers[THUMB] and fingers[1:].sum() >= (3 if grip.kind == 'power' else 2))


def _close(
    hand: GraspingHand, thing: HeldObject, place: Placement, fingers: Fingers, progress: np.ndarray
) -> ClosedFingers:
    """Closes some fingers. A finger of the grip that touches nothing bends as far as those that touch, on average."""
    progress, touching = close_fingers(
        fingers, lambda ways: place.of(hand.fingers(fingers, ways)), thing.scene.inside, progress
    )
    held = touching[FINGER_JOINTS].any(1)
    if held[1:].any():
        for finger in hand.grip.fingers:
            if not held[finger]:
                progress[FINGER_JOINTS[finger]] = progress[FINGER_JOINTS[1:][held[1:]]].mean()
    return ClosedFingers(progress, touching)
