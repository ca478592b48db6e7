# SPDX-License-Identifier: Apache-2.0
"""Things that hands hold in other images, in no hand: without them a thing alone would tell that a hand holds it."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from training.data.hand_object import ObjectLabel
from training.data.real.scans import ScannedObjects
from training.data.synthetic.objects import sample_object
from training.data.synthetic.placed_hands import PlacedHand
from training.data.synthetic.scene_parts import hides_middle
from training.data.synthetic.vectors import units

_GONE = 0.4
"""Share of the things that were let go and are not in the image."""
_WAY = 0.03, 0.15
"""Metres by which the others are moved."""
_BESIDE = 0.05, 0.3
"""Distance of the middle of a loose thing from that of a hand, metres."""
_CLEAR = 0.004
"""Least distance of a loose thing from hands, metres."""
_SCANNED, _STRETCH = 0.5, 0.3
"""Share of scanned things where there are any, and the largest logarithm by which others are stretched."""
_TRIES = 8


def let_go(
    placed: PlacedHand, others: list[PlacedHand], rng: np.random.Generator
) -> tuple[PlacedHand, ObjectLabel | None]:
    """A hand without what it holds, and that some way off; None where it is out of sight or there is no room beside the
    hand and the others."""
    held, empty = placed.held, placed._replace(held=None, contact=None)
    if held is None or rng.random() < _GONE:
        return empty, None
    trees = [cKDTree(placed.hand.vertices), *(cKDTree(other.points) for other in others)]
    away = units(held.placed.mean(0) - placed.hand.centre)
    for _ in range(_TRIES):
        pose = held.pose.copy()
        pose[:3, 3] += rng.uniform(*_WAY) * units(away + rng.normal(0, 0.5, 3))
        moved = dataclasses.replace(held, pose=pose)
        if _is_clear(moved, trees, [placed, *others]):
            return empty, moved
    return empty, None


def loose_thing(placed: list[PlacedHand], scans: ScannedObjects | None, rng: np.random.Generator) -> ObjectLabel | None:
    """A thing beside or behind one of the hands; None where there is no room."""
    if scans and rng.random() < _SCANNED:
        shape, stretch = scans.draw(rng), np.ones(3)
    else:
        shape, stretch = sample_object(rng), np.exp(rng.uniform(-_STRETCH, _STRETCH, 3))
    hands = [cKDTree(one.points) for one in placed]
    for _ in range(_TRIES):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.random(random_state=rng).as_matrix()
        centre = placed[rng.integers(len(placed))].hand.centre
        pose[:3, 3] = centre + rng.uniform(*_BESIDE) * units(rng.standard_normal(3))
        vertices = ((shape.vertices - shape.vertices.mean(0)) * stretch).astype(np.float32)
        thing = ObjectLabel(shape.family, vertices, shape.faces, pose, shape.texture)
        if _is_clear(thing, hands, placed):
            return thing
    return None


def _is_clear(thing: ObjectLabel, hands: list[cKDTree], placed: list[PlacedHand]) -> bool:
    """Whether a thing touches no hand and hides the middle of none."""
    vertices = thing.placed
    reach = float(np.ptp(vertices, axis=0).max()) / 2
    if vertices[:, 2].min() < 0.14 or any(hides_middle(vertices.mean(0), reach, one.hand) for one in placed):
        return False
    return all(tree.query(vertices)[0].min() > _CLEAR for tree in hands)
