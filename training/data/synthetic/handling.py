# SPDX-License-Identifier: Apache-2.0
"""Hands that handle things, placed before a depth camera: the camera of a robot or one that the person wears."""

from __future__ import annotations

import functools

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.raycast import TriangleScene
from training.data.real.scans import ScannedObjects
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.placed_hands import free_hand
from training.data.synthetic.placed_hands import PlacedHand
from training.data.synthetic.placed_hands import posed_hand
from training.data.synthetic.placed_hands import PosedHand
from training.data.synthetic.scene_parts import hides_middle
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scene_parts import THING
from training.data.synthetic.two_hands.postures import PostureLibrary
from training.data.synthetic.vectors import unit

_HOLDING = 0.75
"""Share of hands in handling scenes that hold something or are about to."""
REPEATS = 24
"""Successive scenes that show the same grasp, each from another side, at another place and of either hand."""
_SEEN = 0.25
"""Least share of a hand that its object leaves visible."""
_NEAREST_POINT, _CLEAR = 0.13, 0.01
"""Least depth of a hand or an object, and least distance between two hands with their objects, metres."""
_ARM_REACH = 0.33
"""From the middle of the hand to the elbow, metres."""
WORN_FARTHEST = 0.75
"""Greatest depth of the wearer's own hands, metres."""


class HandlingHands:
    """Places hands with objects.

    Args:
        model: the right hand.
        seed: of the whole set.
        split: of `GraspGenerator`; 'held_out' has object families that the other splits never show.
        scans: scanned objects of that split, beside the parametric ones.
        postures: of real hands, for those that hold nothing.
    """

    def __init__(
        self,
        model: HandModel,
        seed: int,
        split: str,
        scans: ScannedObjects | None = None,
        postures: PostureLibrary | None = None,
    ) -> None:
        self._right, self._postures = model, postures
        grasps = GraspGenerator(model, seed, split, scans)
        self._grasp = functools.lru_cache(maxsize=8)(lambda index: posed_hand(grasps[index]))

    def place(
        self,
        stream: int,
        camera: Pinhole,
        depths: tuple[float, float],
        worn: np.ndarray | None,
        others: list[PlacedHand],
        rng: np.random.Generator,
    ) -> PlacedHand | None:
        """Places one hand; None if no place was found.

        Args:
            stream: number of the hand among those of all scenes; it chooses the grasp.
            camera: of the scene.
            depths: least and greatest depth of the hand's centre, metres.
            worn: (3,) up in the optical frame for a camera that the person wears, None for one that faces people.
            others: hands that are already placed.
            rng: of the scene.
        """
        holds = rng.random() < _HOLDING
        posed = self._grasp(stream // REPEATS) if holds else free_hand(self._right, rng, self._postures)
        return placed_before(posed, camera, depths, worn, others, rng)

    def add_objects(
        self, parts: Parts, stream: int, camera: Pinhole, placed: list[PlacedHand], rng: np.random.Generator
    ) -> None:
        """Adds objects that nobody holds, clear of the hands: those of the grasps of this stream, stretched."""
        shape = self._grasp(stream // REPEATS).held
        trees = [cKDTree(one.points) for one in placed]
        for _ in range(rng.poisson(1.2)):
            middle = camera.unproject(
                rng.uniform(0, 1, 2) * [camera.width, camera.height], float(np.exp(rng.uniform(-1.3, 0.3)))
            )
            stretched = (shape.vertices - shape.vertices.mean(0)) * np.exp(rng.uniform(-0.5, 0.5, 3))
            vertices = stretched @ Rotation.random(random_state=rng).as_matrix().T + middle
            reach = float(np.ptp(vertices, axis=0).max()) / 2
            if vertices[:, 2].min() < _NEAREST_POINT:
                continue
            if any(hides_middle(vertices.mean(0), reach, one.hand) for one in placed):
                continue
            if all(tree.query(vertices)[0].min() > 0.015 for tree in trees):
                parts.add(vertices, shape.faces, THING)


def placed_before(
    posed: PosedHand,
    camera: Pinhole,
    depths: tuple[float, float],
    worn: np.ndarray | None,
    others: list[PlacedHand],
    rng: np.random.Generator,
) -> PlacedHand | None:
    """Places a right hand or its mirror image; None if no place was found. Arguments as of `HandlingHands.place`."""
    for _ in range(30):
        side = 'right' if rng.random() < 0.5 else 'left'
        if others and rng.random() < 0.9:
            side = 'left' if others[0].hand.side == 'right' else 'right'
        hand = posed if side == 'right' else posed.mirrored()
        low, high = depths
        depth = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        if others:
            depth = float(np.clip(others[0].hand.centre[2] + rng.normal(0, 0.08), low, high))
        pixel = rng.uniform(0.03, 0.97, 2) * [camera.width, camera.height]
        centre = camera.unproject(pixel, depth)
        turn = Rotation.random(random_state=rng) if worn is None else _worn_turn(centre, worn, side, rng)
        arm = turn.apply([0, -1, 0])
        if hides_hand(centre, arm):
            continue
        placed = hand.moved(turn * Rotation.from_rotvec(hand.pose[:3]).inv(), centre, side)
        if fits(placed, others):
            return placed
    return None


def hides_hand(centre: np.ndarray, arm: np.ndarray) -> bool:
    """Whether the arm at a hand, in direction (3,) from its centre (3,), hides it or reaches into the camera."""
    return bool(arm @ -unit(centre) > 0.75 or np.linalg.norm(centre + _ARM_REACH * arm) < 0.2)


def fits(placed: PlacedHand, others: list[PlacedHand]) -> bool:
    """Whether a hand and its object are before the camera and clear of others, and the object does not hide it."""
    points = placed.points
    if points[:, 2].min() < _NEAREST_POINT:
        return False
    if any(cKDTree(other.points).query(points)[0].min() < _CLEAR for other in others):
        return False
    if placed.held is None:
        return True
    cover = TriangleScene(placed.held.placed, placed.held.faces)
    hidden = cover.occluded(np.zeros(3), placed.hand.vertices[::4], 0, 0.999).mean()
    return bool(1 - hidden >= _SEEN)


def worn_up(rng: np.random.Generator) -> np.ndarray:
    """(3,) up in the optical frame of a camera on a head or a chest that looks ahead or down."""
    return Rotation.from_euler('xz', [rng.uniform(0, 70), rng.normal(0, 8)], degrees=True).apply([0, -1, 0])


def wearer_elbow(up: np.ndarray, aside: float, rng: np.random.Generator) -> np.ndarray:
    """(3,) an elbow of the camera's wearer, `aside` metres to the right."""
    right = unit(np.cross([0, 0, 1], up))
    ahead = np.cross(up, right)
    return aside * right - rng.uniform(0.15, 0.45) * up + rng.uniform(-0.05, 0.3) * ahead


def _worn_turn(centre: np.ndarray, up: np.ndarray, side: str, rng: np.random.Generator) -> Rotation:
    """Orientation of a hand whose forearm comes from the wearer's own elbow, at any roll about the forearm."""
    elbow = wearer_elbow(up, rng.uniform(0.05, 0.35) * (1 if side == 'right' else -1), rng)
    along = unit(centre - elbow + rng.normal(0, 0.08, 3))
    across = unit(np.cross(along, unit(rng.standard_normal(3))))
    return Rotation.from_matrix(np.stack([across, along, np.cross(across, along)], 1))
