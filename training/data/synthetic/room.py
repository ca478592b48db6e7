# SPDX-License-Identifier: Apache-2.0
"""Desks, tables, walls, clutter and held things."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from training.data.synthetic.desk import add_desk
from training.data.synthetic.desk import add_desk_below
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_parts import hides_middle
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.solids import BALL
from training.data.synthetic.solids import BOX
from training.data.synthetic.solids import capsule
from training.data.synthetic.solids import CYLINDER
from training.data.synthetic.solids import plane
from training.data.synthetic.vectors import unit


def add_room(
    parts: Parts,
    hands: list[SceneHand],
    camera: Pinhole,
    up: np.ndarray,
    config: SceneConfig,
    rng: np.random.Generator,
    desk: np.ndarray | None = None,
) -> None:
    """Adds a desk or a table, walls, clutter and held things; clutter keeps clear of the hands. `desk` is the normal
    (3,) of a desk on which all hands lie."""
    anchor = (
        hands[0].centre
        if hands
        else camera.unproject(
            rng.uniform([0, 0], [camera.width, camera.height]), rng.uniform(config.nearest, config.farthest)
        )
    )
    if desk is not None:
        add_desk_below(parts, hands, desk, rng)
        stands = True
    else:
        stands = config.desk and hands and rng.random() < config.desk and add_desk(parts, hands, rng)
    if not stands and rng.random() < config.table:
        lowest = min((float((hand.vertices @ up).min()) for hand in hands), default=float(anchor @ up))
        level = lowest - rng.choice([rng.uniform(0.0, 0.03), rng.uniform(0.03, 0.5)])
        level = min(level, -0.12)
        parts.add(*plane(up, level, anchor), -1, 'table')
    if rng.random() < config.wall:
        facing = unit(np.array([rng.normal(0, 0.4), rng.normal(0, 0.25), -1]))
        distance = rng.uniform(0.15, 1.5) + max((float(h.vertices[:, 2].max()) for h in hands), default=0.5)
        parts.add(*plane(facing, -distance * abs(facing[2]), np.array([0, 0, distance])), -1, 'wall')
    for _ in range(rng.poisson(config.clutter)):
        near_hand = hands and rng.random() < 0.4
        if near_hand:
            base = hands[rng.integers(len(hands))].centre
            place = base + unit(rng.standard_normal(3)) * rng.uniform(0.1, 0.3)
        else:
            place = camera.unproject(rng.uniform([0, 0], [camera.width, camera.height]), rng.uniform(0.3, 1.8))
        size = np.exp(rng.uniform(np.log(0.015), np.log(0.12), 3))
        if rng.random() < 0.3:
            size[1] = rng.uniform(0.15, 0.5)
        _add_thing(parts, hands, place, size, rng, clear=0.02)
    for hand in hands:
        if rng.random() < config.held:
            out = Rotation.from_rotvec(hand.pose[:3]).apply([0, 0, 1])
            palm = hand.keypoints[[0, 5, 9, 13, 17]].mean(0)
            size = rng.uniform(0.01, 0.04, 3)
            if rng.random() < 0.5:
                size[1] = rng.uniform(0.05, 0.15)
            # Behind the hand, so that the camera sees the hand.
            place = palm + out * (size[[0, 2]].mean() + rng.uniform(0.005, 0.03))
            _add_thing(parts, [], place, size, rng, clear=0)


def _add_thing(
    parts: Parts,
    hands: list[SceneHand],
    place: np.ndarray,
    size: np.ndarray,
    rng: np.random.Generator,
    clear: float,
) -> None:
    """Adds a box, cylinder, ball or capsule, unless it is too near the camera or hides a hand."""
    reach = float(np.linalg.norm(size)) + clear
    if place[2] - reach < 0.12:
        return
    if any(hides_middle(place, reach, hand) for hand in hands):
        return
    frame = Rotation.random(random_state=rng).as_matrix()
    kind = rng.integers(4)
    if kind == 0:
        vertices, faces = BOX
    elif kind == 1:
        vertices, faces = CYLINDER
    else:
        vertices, faces = BALL
    if kind == 3:
        half = frame[:, 1] * size[1]
        parts.add(*capsule(place - half, place + half, min(size[0], size[2])), -1)
    else:
        parts.add((vertices * size) @ frame.T + place, faces, -1)
