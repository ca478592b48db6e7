# SPDX-License-Identifier: Apache-2.0
"""Two hands on one thing, placed before a camera."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import parameters_of
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.raycast import TriangleScene
from training.data.hand_object import ObjectLabel
from training.data.real.scans import ScannedObjects
from training.data.synthetic.handling import fits
from training.data.synthetic.handling import hides_hand
from training.data.synthetic.handling import REPEATS
from training.data.synthetic.handling import wearer_elbow
from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.placed_hands import PlacedHand
from training.data.synthetic.placed_hands import PosedHand
from training.data.synthetic.two_hands.object_pairs import ObjectPairs
from training.data.synthetic.vectors import unit

_PAIRS = {'train': ('train', 0), 'validation': ('validation', 0), 'test': ('validation', 1), 'held_out': ('test', 0)}
"""Split of `ObjectPairs` and step of the seed; its 'test' has the objects of 'held_out', too."""
_TRIALS = 32
"""Pairs that are tried for one whose thing is small enough."""


class SharedHolds:
    """Places pairs of hands that hold one thing or are about to.

    Args:
        model: the right hand.
        seed: of the whole set.
        split: 'train', 'validation', 'test' or 'held_out'.
        scans: scanned objects of that split.
        largest: greatest extent of the things, metres.
    """

    def __init__(
        self,
        model: HandModel,
        seed: int,
        split: str,
        scans: ScannedObjects | None = None,
        largest: float = np.inf,
    ) -> None:
        self._models, self._largest = (model, model.mirrored()), largest
        split, step = _PAIRS[split]
        self._pairs = ObjectPairs(seed + step, split, scans, model)
        self._last: tuple[int, tuple[PosedHand, PosedHand]] | None = None

    def place(
        self,
        stream: int,
        camera: Pinhole,
        depths: tuple[float, float],
        worn: np.ndarray | None,
        rng: np.random.Generator,
    ) -> list[PlacedHand]:
        """Both hands in random order, with one object; none if no place was found.

        Args:
            stream: number of the scene; it chooses the pair.
            camera: of the scene.
            depths: least and greatest depth of the first hand's centre, metres.
            worn: as of `HandlingHands.place`.
            rng: of the scene.
        """
        number = stream // REPEATS
        if self._last is None or self._last[0] != number:
            self._last = number, self._drawn(number)
        pair = self._last[1]
        order = [0, 1] if rng.random() < 0.5 else [1, 0]
        middles = [hand.keypoints.mean(0) for hand in pair]
        arms = [unit(hand.keypoints[0] - hand.keypoints[9]) for hand in pair]
        for _ in range(30):
            pixel = rng.uniform(0.03, 0.97, 2) * [camera.width, camera.height]
            first = camera.unproject(pixel, float(np.exp(rng.uniform(*np.log(depths)))))
            if worn is None:
                turn = Rotation.random(random_state=rng)
            else:
                away = unit(first - wearer_elbow(worn, 0.0, rng))
                turn = _turn(-unit(arms[0] + arms[1]), middles[0] - middles[1], away, worn)
            centres = [first + turn.apply(middle - middles[order[0]]) for middle in middles]
            if any(hides_hand(centre, turn.apply(arm)) for centre, arm in zip(centres, arms)):
                continue
            placed = [pair[one].moved(turn, centres[one], ('right', 'left')[one]) for one in order]
            placed[1] = placed[1]._replace(held=placed[0].held)
            if all(fits(one, []) for one in placed):
                return placed
        return []

    def _drawn(self, number: int) -> tuple[PosedHand, PosedHand]:
        for index in range(_TRIALS * number, _TRIALS * (number + 1)):
            record, thing = self._pairs.with_mesh(index)
            if np.ptp(thing.vertices, axis=0).max() <= self._largest:
                return self._posed(record, thing)
        raise RuntimeError(f'pair {number}: none of {_TRIALS} things is at most {self._largest} m large')

    def _posed(self, record: np.ndarray, thing: ObjectShape) -> tuple[PosedHand, PosedHand]:
        """The right and the left hand, in the frame of the thing."""
        label = ObjectLabel(thing.family, thing.vertices, thing.faces, np.eye(4), thing.texture)
        surface = TriangleScene(thing.vertices, thing.faces)
        hands = []
        for model, side in zip(self._models, ('right', 'left')):
            hand = parameters_of(model, record[side])
            geometry = model.forward(*hand)
            contact = surface.distances(geometry.vertices) < TOUCHING
            hands.append(PosedHand(*hand, geometry.keypoints, geometry.vertices, label, contact))
        return hands[0], hands[1]


def _turn(along: np.ndarray, across: np.ndarray, away: np.ndarray, up: np.ndarray) -> Rotation:
    """The rotation that takes `along` (3,) to `away` and `across` (3,), left to right, to the wearer's right."""
    frames = []
    for ahead, right in ((along, across), (away, np.cross([0, 0, 1], up))):
        right = unit(right - (right @ ahead) * ahead)
        frames.append(np.stack([right, ahead, np.cross(right, ahead)], 1))
    return Rotation.from_matrix(frames[1] @ frames[0].T)
