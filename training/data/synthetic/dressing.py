# SPDX-License-Identifier: Apache-2.0
"""Hands with their materials: skin or gloves, arms, sleeves, watches, people, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.normals import vertex_normals
from training.data.hand_object import ObjectLabel
from training.data.synthetic.arms import cover_arm
from training.data.synthetic.arms import forearm
from training.data.synthetic.arms import with_upper_arm
from training.data.synthetic.gloves import Glove
from training.data.synthetic.material import Material
from training.data.synthetic.paint import sample_paint
from training.data.synthetic.person import add_person
from training.data.synthetic.person import arm_of
from training.data.synthetic.pictured import ScannedSurface
from training.data.synthetic.placed_hands import PlacedHand
from training.data.synthetic.scene_parts import HELD
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.scene_parts import THING
from training.data.synthetic.skin import HandMarks
from training.data.synthetic.surfaces import Surfaces

_PERSON, _SLEEVE, _WATCH = 0.5, 0.55, 0.2
"""Share of arms with a person, of arms with a sleeve, and of bare arms with a watch or a bracelet."""
_SWELL = np.array([0.05, 0.09, 0.04, 0, 0, 0, 0])  # of a forearm's rings, shares of their radius


class Dresser:
    """Adds hands to surfaces.

    Args:
        model: the right hand.
        up: (3,) unit.
        worn: whether the people wear the camera, so that it does not see them.
        rng: of the scene.
    """

    def __init__(self, model: HandModel, up: np.ndarray, worn: bool, rng: np.random.Generator) -> None:
        marks = HandMarks.of(model)
        self._models = {'right': model, 'left': model.mirrored()}
        self._marks = {'right': marks, 'left': marks.mirrored()}
        self._up, self._worn, self._rng = up, worn, rng

    def add(
        self, surfaces: Surfaces, placed: list[PlacedHand], people: list[tuple[Material, Material, Glove | None]]
    ) -> None:
        """Adds hands with what they hold; two of them may hold one thing.

        Args:
            surfaces: of the scene.
            placed: the hands.
            people: skin, cloth and glove of each hand's person.
        """
        for number, (one, (skin, cloth, glove)) in enumerate(zip(placed, people)):
            surfaces.skin, surfaces.cloth = skin, cloth
            self._add_hand(surfaces, one.hand, number, glove)
            held = one.held
            if held is not None and not (number and held is placed[0].held):
                self._add_thing(surfaces, held, HELD - number)
            self._add_arm(surfaces, one.hand, glove)

    def add_things(self, surfaces: Surfaces, things: Sequence[ObjectLabel]) -> None:
        """Adds things that no hand holds."""
        for thing in things:
            self._add_thing(surfaces, thing, THING)

    def _add_thing(self, surfaces: Surfaces, thing: ObjectLabel, owner: int) -> None:
        surfaces.put(thing.placed, thing.faces, owner, self._material(surfaces, thing), thing.vertices)

    def _add_hand(self, surfaces: Surfaces, hand: SceneHand, number: int, glove: Glove | None) -> None:
        model, marks = self._models[hand.side], self._marks[hand.side]
        if glove is None:
            surfaces.put(hand.vertices, model.faces, number, surfaces.skin.of_hand(marks), model.template)
        else:
            outer = hand.vertices + np.float32(glove.thickness) * vertex_normals(hand.vertices, model.faces)
            surfaces.put(outer, model.faces, number, glove.of_hand(marks), model.template)

    def _add_arm(self, surfaces: Surfaces, hand: SceneHand, glove: Glove | None) -> None:
        rng, model = self._rng, self._models[hand.side]
        down, scale = arm_of(model, hand, rng)
        across, along, _ = Rotation.from_rotvec(hand.pose[:3]).as_matrix().T
        arm, _ = forearm(hand.keypoints[0], along, down, across, scale * rng.uniform(0.97, 1.12), 0.24, 1.0, rng)
        rings = arm[:-2].reshape(-1, 16, 3)
        # The arm emerges from the hand before the hand's mesh ends.
        rings = rings + (rings - rings.mean(1, keepdims=True)) * _SWELL[: len(rings), None, None]
        meshes = len(surfaces.materials)
        if not self._worn and rng.random() < _PERSON:
            add_person(surfaces, hand, rings[-1].mean(0), self._up, rng)
        if len(surfaces.materials) == meshes:
            rings = with_upper_arm(rings, rng)
        covers = [(surfaces.skin, 0.0, np.inf, 0.0)]
        if glove is not None:
            covers.append((glove, 0.0, glove.cuff, glove.loose))
        if rng.random() < _SLEEVE:
            start = rng.choice([rng.uniform(0.0, 0.04), rng.uniform(0.03, 0.2)])
            covers.append((surfaces.cloth, start, np.inf, rng.uniform(0.003, 0.014)))
        elif rng.random() < _WATCH:
            start = rng.uniform(0.02, 0.05)
            covers.append((sample_paint('thing', rng), start, start + rng.uniform(0.01, 0.03), 0.003))
        for material, start, end, loose in covers:
            vertices, faces = cover_arm(rings, start, end, loose, rng)
            surfaces.put(vertices, faces, THING, material, vertices)

    def _material(self, surfaces: Surfaces, held: ObjectLabel) -> Material:
        """The own colours of a scanned object; for others those of any thing."""
        if held.texture is not None:
            return ScannedSurface.sample(held.texture, held.vertices, self._rng)
        extent = np.ptp(held.vertices, axis=0)
        longest_last = np.roll(np.eye(3), 2 - int(extent.argmax()), 0)
        return surfaces.draw('thing', longest_last, float(extent.max()))
