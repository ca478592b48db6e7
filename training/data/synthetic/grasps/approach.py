# SPDX-License-Identifier: Apache-2.0
"""Moving the opened hand to the object, and back from the grasp."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.mesh.contact import TOUCHING
from training.data.synthetic.grasps.hand import GraspingHand
from training.data.synthetic.grasps.held_object import CANDIDATES
from training.data.synthetic.grasps.held_object import HeldObject
from training.data.synthetic.grasps.held_object import WITHDRAWN
from training.data.synthetic.grasps.placement import Placement

FARTHEST = 0.1
"""Greatest distance by which a hand before its grasp is withdrawn, metres."""


def approach(hand: GraspingHand, thing: HeldObject, rng: np.random.Generator) -> Placement | None:
    """Moves the opened hand to the object, two opposite sides of which come between thumb and fingers.

    A precision grip stops where the object lies between the pads, a power grip where the palm touches. None if every
    tunnel that is tried is blocked.
    """
    grip = hand.grip
    tunnels = thing.tunnels(grip, rng)
    if tunnels is None:
        return None
    start, own = hand.opened_for(tunnels.widths, rng)
    spans = np.flatnonzero(np.isfinite(start))
    if not len(spans):
        return None
    tilt = Rotation.from_rotvec(rng.normal(0, 0.12, (CANDIDATES, 3))).as_matrix()
    turns = tilt @ tunnels.frames @ own.frames.transpose(0, 2, 1)
    directions = (turns @ own.frames[:, :, 1:2])[..., 0]
    slack = 0.003 * rng.standard_normal((CANDIDATES, 3)) * ([0 if grip.side else 1, 1, 1])
    targets = tunnels.middles + (tunnels.frames @ slack[:, :, None])[..., 0]
    shifts = targets - (turns @ own.middles[:, :, None])[..., 0] - WITHDRAWN * directions

    # A third of the vertices rejects most blocked tunnels quickly.
    used, which = np.unique(start[spans], return_inverse=True)
    skins = hand.core(np.repeat(used[:, None], 16, 1))
    rough = skins[which][:, ::3] @ turns[spans].transpose(0, 2, 1).astype(np.float32)
    rough += shifts[spans, None].astype(np.float32)
    nearest, farthest = WITHDRAWN + np.array(grip.depth)
    unblocked = (thing.scene.cast(rough, directions[spans, None]).reach > nearest).all(1)
    for candidate, posture in zip(spans[unblocked], which[unblocked], strict=True):
        place = Placement(turns[candidate], shifts[candidate], directions[candidate], float(start[candidate]))
        skin = place.of(skins[posture])
        room = thing.scene.cast(skin, place.approach).reach
        first = int(room.argmin())
        if room[first] < nearest or (grip.kind == 'power' and hand.anatomy.is_fingertip[first]):
            continue
        reached = place.moved(min(room[first], farthest))
        if not thing.scene.inside(skin).any() and not thing.scene.inside(reached.of(hand.arm())).any():
            return reached
    return None


def withdraw(
    hand: GraspingHand, thing: HeldObject, place: Placement, progress: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, Placement, float] | None:
    """Moves a grasping hand back along its approach and partly opens its fingers.

    Returns:
        Progress (16,) of the joints, the placement, and the distance in metres; None if every trial touches.
    """
    for _ in range(4):
        distance, least = float(rng.uniform(0, FARTHEST)), rng.uniform(0.35, 1)
        back = place.moved(-distance)
        if thing.scene.inside(back.of(hand.arm())).any():
            continue
        for opening in (least, (least + 1) / 2, 1.0):
            partly = progress + opening * (place.progress - progress)
            vertices = back.of(hand.vertices(partly))
            if hand.runs_into_itself(partly) or thing.gap(vertices).distance.min() <= TOUCHING:
                continue
            if thing.depth_in(vertices, hand.anatomy.closed_faces) == 0:
                return partly, back, distance
    return None
