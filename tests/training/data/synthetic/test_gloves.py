# SPDX-License-Identifier: Apache-2.0
"""Gloves have the colours of their kind, a coating where the palm is, and are worn by a share of people."""

import dataclasses

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.normals import vertex_normals
from training.data.synthetic.gloves import Glove
from training.data.synthetic.material import SurfacePoints
from training.data.synthetic.paint import Paint
from training.data.synthetic.rgb_config import RgbConfig
from training.data.synthetic.rgb_scenes import RgbScenes
from training.data.synthetic.scene_parts import THING
from training.data.synthetic.skin import HandMarks
from training.data.synthetic.surfaces import Surfaces

WHITE, BLACK = (Paint(np.full((2, 3), tone), wear=0.0) for tone in (0.8, 0.05))


def middles(model: HandModel) -> SurfacePoints:
    """The middle of each triangle of a hand at rest."""
    count = len(model.faces)
    corners = model.template[model.faces]
    normals = vertex_normals(model.template, model.faces)[model.faces].mean(1)
    weights = np.full((count, 3), 1 / 3, np.float32)
    return SurfacePoints(corners.mean(1).astype(np.float32), np.arange(count), weights, normals, np.full(count, 5e-4))


def test_the_coating_covers_the_palm_and_not_the_back() -> None:
    model = HandModel.load()
    marks, points = HandMarks.of(model), middles(model)
    palm = marks.at(points.faces, points.weights)[:, 0]
    glove = dataclasses.replace(Glove.sample(np.random.default_rng(0)), shell=WHITE, coating=BLACK, dipped=0.2)
    worn, cuff = glove.of_hand(marks).look(points), glove.look(points)
    assert worn.albedo[palm > 0.95].max() < 0.1 and worn.albedo[palm < 0.05].min() > 0.7
    np.testing.assert_allclose(cuff.albedo, 0.8)
    plain = dataclasses.replace(glove, coating=None).of_hand(marks).look(points)
    np.testing.assert_allclose(plain.albedo, 0.8)


def test_a_thin_glove_shows_the_knuckles_and_a_thick_one_does_not() -> None:
    model = HandModel.load()
    marks, points = HandMarks.of(model), middles(model)
    raised = marks.at(points.faces, points.weights)[:, -1]
    glove = dataclasses.replace(Glove.sample(np.random.default_rng(0)), shell=WHITE, coating=None, wrinkles=0.0)
    seen = {
        thickness: np.ptp(dataclasses.replace(glove, thickness=thickness).of_hand(marks).look(points).relief)
        for thickness in (0.0001, 0.002)
    }
    assert seen[0.0001] > 0.8e-3 * np.ptp(raised) and seen[0.002] < 0.05e-3 * np.ptp(raised)


def test_people_wear_gloves_on_both_hands_with_cuffs(monkeypatch) -> None:
    put = []
    original = Surfaces.put

    def recording(self, vertices, faces, owner, material, places):
        put.append((owner, material, vertices))
        original(self, vertices, faces, owner, material, places)

    monkeypatch.setattr(Surfaces, 'put', recording)
    scenes = RgbScenes(seed=3, config=RgbConfig(window=64, gloved=0.5))
    gloved, bare = 0, 0
    for index in range(40):
        put.clear()
        made = scenes._scene(0, index, np.random.default_rng(index))
        if made is None:
            continue
        hands = [material for owner, material, _ in put if owner >= 0]
        for owner, material, vertices in put:
            if owner >= 0:
                grown = np.linalg.norm(vertices - made[1][owner].hand.vertices, axis=1)
                thick = material.thickness if isinstance(material, Glove) else 0
                np.testing.assert_allclose(grown, thick, atol=2e-6)
        cuffs = [material for owner, material, _ in put if owner == THING and isinstance(material, Glove)]
        worn = [isinstance(material, Glove) for material in hands]
        assert len(cuffs) == sum(worn) and all(material.marks is None for material in cuffs)
        gloved, bare = gloved + sum(worn), bare + len(worn) - sum(worn)
    assert 0.3 < gloved / (gloved + bare) < 0.7


def test_kinds_of_gloves_differ() -> None:
    kinds = [Glove.sample(np.random.default_rng(seed)) for seed in range(200)]
    assert min(glove.thickness for glove in kinds) < 0.0003 < 0.0015 < max(glove.thickness for glove in kinds) < 0.003
    assert {glove.coating is None for glove in kinds} == {True, False}


def test_the_image_shows_a_gloved_hand_in_the_glove_s_colour(monkeypatch) -> None:
    green = dataclasses.replace(
        Glove.sample(np.random.default_rng(0)), shell=Paint(np.tile([0.02, 0.5, 0.02], (2, 1))), coating=None
    )
    monkeypatch.setattr(Glove, 'sample', lambda rng: green)
    frame = RgbScenes(seed=3, config=RgbConfig(window=64, gloved=1.0)).frame(0)
    red, shown, blue = frame.image[frame.view.owners == 0].astype(float).mean(0)
    assert shown > 1.5 * max(red, blue)
