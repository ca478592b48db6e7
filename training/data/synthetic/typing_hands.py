# SPDX-License-Identifier: Apache-2.0
"""Both hands of a person who types, or rests the hands on a desk, placed before a camera."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.poses import joint_angles
from training.data.synthetic.desk import FACING
from training.data.synthetic.handling import fits
from training.data.synthetic.handling import hides_hand
from training.data.synthetic.placed_hands import empty_hand
from training.data.synthetic.placed_hands import PlacedHand
from training.data.synthetic.placed_hands import PosedHand
from training.data.synthetic.vectors import unit

_TRIALS = 30


def place_typing(
    model: HandModel,
    camera: Pinhole,
    depths: tuple[float, float],
    worn: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[list[PlacedHand], np.ndarray]:
    """Places both hands side by side, palms down, fingers on or just above a desk.

    Args:
        model: the right hand.
        camera: of the scene.
        depths: least and greatest depth of the point between the hands, metres.
        worn: (3,) up in the optical frame for a camera that the person wears, None for one that looks from any side.
        rng: of the scene.

    Returns:
        The hands in random order, none if no place was found; (3,) the desk's normal, unit.
    """
    shape = np.clip(rng.standard_normal(10), -2.5, 2.5).astype(np.float32)
    up = _desk_before_camera(rng) if worn is None else worn
    rests = rng.random() < 0.25
    posed = [_posed(model, shape, rests, rng) for _ in range(2)]
    posed[1] = posed[1].mirrored()
    for _ in range(_TRIALS):
        pixel = rng.uniform(0.1, 0.9, 2) * [camera.width, camera.height]
        middle = camera.unproject(pixel, float(np.exp(rng.uniform(*np.log(depths)))))
        if up @ unit(-middle) < FACING:
            continue
        right = unit(np.cross([0, 0, 1], up))
        heading = rng.normal(0, 0.25) if worn is not None else rng.uniform(-np.pi, np.pi)
        right = Rotation.from_rotvec(heading * up).apply(right)
        ahead = np.cross(up, right)
        apart = rng.uniform(0.09, 0.3)
        placed: list[PlacedHand] = []
        for hand, side, sign in zip(posed, ('right', 'left'), (1, -1)):
            turn = _turn(hand, side, right, ahead, up, rng)
            place = middle + sign * apart / 2 * right + rng.normal(0, 0.015) * ahead
            lowest = float((hand.moved(turn, place, side).hand.vertices @ up).min())
            above = rng.choice([0.0, rng.uniform(0, 0.03)], p=[0.7, 0.3])
            one = hand.moved(turn, place + (middle @ up + above - lowest) * up, side)
            arm = unit(one.hand.keypoints[0] - one.hand.keypoints[9]).astype(float)
            if not hides_hand(one.hand.centre, arm) and fits(one, placed):
                placed.append(one)
        if len(placed) == 2:
            return placed if rng.random() < 0.5 else placed[::-1], up
    return [], up


def _desk_before_camera(rng: np.random.Generator) -> np.ndarray:
    """(3,) up in the optical frame of a camera that looks down at a desk."""
    return Rotation.from_euler('xz', [rng.uniform(15, 85), rng.normal(0, 12)], degrees=True).apply([0, -1, 0])


def _posed(model: HandModel, shape: np.ndarray, rests: bool, rng: np.random.Generator) -> PosedHand:
    """A right hand with bent fingers, one of them at times pressed down; one that rests is nearly flat."""
    curl = rng.uniform(0.0, 0.2) if rests else rng.uniform(0.12, 0.5)
    shares = np.zeros((4, 5))
    shares[:2, 1:] = curl * rng.uniform(0.6, 1.2, (2, 1)) + rng.normal(0, 0.05, (2, 4))
    shares[2, 1:] = 0.5 * curl + rng.normal(0, 0.04, 4)
    shares[3, 1:] = np.array([0.2, 0.0, -0.2, -0.4]) * rng.uniform(-0.5, 1.5) + rng.normal(0, 0.08, 4)
    shares[:3, 0] = rng.uniform(0, 0.35, 3)
    shares[3, 0] = rng.uniform(-0.2, 0.6)
    if not rests and rng.random() < 0.5:
        shares[0, 1 + rng.choice(4, p=[0.5, 0.25, 0.15, 0.1])] += rng.uniform(0.05, 0.25)
    return empty_hand(model, joint_angles(model, shares), shape)


def _turn(
    hand: PosedHand, side: str, right: np.ndarray, ahead: np.ndarray, up: np.ndarray, rng: np.random.Generator
) -> Rotation:
    """The rotation that lays a hand on the desk: its fingers point ahead and inwards, its wrist is level or higher."""
    sign = 1 if side == 'right' else -1
    wrist, index, middle, little = hand.keypoints[[0, 5, 9, 17]].astype(float)
    back = -sign * unit(np.cross(index - wrist, little - wrist))
    along = unit(middle - wrist)
    own = np.stack([np.cross(along, back), along, back], 1)
    inwards, lowered, rolled = rng.normal(12, 12), rng.uniform(-2, 25), rng.normal(8, 8)
    tilt = Rotation.from_euler('ZXY', [sign * inwards, -lowered, sign * rolled], degrees=True).as_matrix()
    return Rotation.from_matrix(np.stack([right, ahead, up], 1) @ tilt @ own.T)
