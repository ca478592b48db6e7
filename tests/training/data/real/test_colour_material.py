# SPDX-License-Identifier: Apache-2.0
"""Real material in colour scenes: textures on their triangles, photos only behind the people, splits kept apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from training.data.hand_object import ObjectLabel
from training.data.hand_object import Texture
from training.data.real.colour_material import ColourMaterial
from training.data.real.light_probes import LightProbes
from training.data.real.material import origins
from training.data.real.scenery import Scenery
from training.data.real.surface_photos import SurfacePhotos
from training.data.synthetic.lighting import Lighting
from training.data.synthetic.material import SurfacePoints
from training.data.synthetic.picture import Picture
from training.data.synthetic.pictured import ScannedSurface
from training.data.synthetic.placed_hands import free_hand
from training.data.synthetic.rgb_config import RgbConfig
from training.data.synthetic.rgb_render import RgbScene
from training.data.synthetic.rgb_scenes import RgbScenes
from training.data.synthetic.scene_parts import NOTHING
from training.data.synthetic.surfaces import Surfaces

UP = np.array([0, -1.0, 0])
WHITE = Lighting((), np.ones((32, 64, 3), np.float32), UP)
SMALL = RgbConfig(width=160, height=120, hands=(0, 1, 0), samples=2)
RED, GREEN, BLUE, YELLOW = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0]])
SQUARE = np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0], [0.1, 0.1, 0], [-0.1, 0.1, 0]], np.float32)
"""In a camera's axes: the first corner is the upper left one."""


@pytest.fixture
def label(tmp_path: Path) -> ObjectLabel:
    """A square of four colours on a black picture: red and green above, blue and yellow below."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[8:56, 8:56] = np.block([[[RED], [GREEN]], [[BLUE], [YELLOW]]]).repeat(24, 0).repeat(24, 1)
    cv2.imwrite(str(tmp_path / 'texture.png'), picture[..., ::-1])
    faces = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    places = np.array([[8, 56], [56, 56], [56, 8], [8, 8]], np.float32) / 64
    reflection = np.diag([-1.0, 1, 1, 1])
    texture = Texture(tmp_path / 'texture.png', np.arange(4, dtype=np.int32), faces, places, reflection)
    pose = np.eye(4)
    pose[2, 3] = 0.5
    return ObjectLabel('scan square', SQUARE, faces, pose, texture)


def quadrants(label: ObjectLabel) -> list[np.ndarray]:
    """Colours of the light from the four parts of a square: upper left, upper right, lower left, lower right."""
    camera = Pinhole(48, 48, 120, 120, 23.5, 23.5)
    surfaces = Surfaces(UP, np.random.default_rng(0))
    # Another mesh before it: faces count from the start of their own mesh.
    surfaces.add(SQUARE - [0, 0, 9], np.array([[0, 1, 2]]), -1)
    material = ScannedSurface.sample(label.texture, label.vertices, np.random.default_rng(0))
    surfaces.put(label.placed, label.faces, -4, material, label.vertices)
    light, _ = RgbScene(camera, (), surfaces, WHITE).look(camera, 2, np.random.default_rng(0))
    parts = [light[rows, columns].mean((0, 1)) for rows in (UPPER, LOWER) for columns in (UPPER, LOWER)]
    return [part / part.max() for part in parts]


UPPER, LOWER = slice(5, 20), slice(28, 43)


def test_a_texture_lies_on_its_triangles(label: ObjectLabel) -> None:
    for seen, colour in zip(quadrants(label), (RED, GREEN, BLUE, YELLOW), strict=True):
        np.testing.assert_allclose(seen, colour / 200, atol=0.12)


def test_a_left_hand_holds_a_legible_object_if_it_is_symmetric(label: ObjectLabel) -> None:
    hand = free_hand(HandModel.load(), np.random.default_rng(0))._replace(held=label)
    held = hand.mirrored().held
    assert np.linalg.det(held.pose) == pytest.approx(1)
    for seen, colour in zip(quadrants(held), (RED, GREEN, BLUE, YELLOW), strict=True):
        np.testing.assert_allclose(seen, colour / 200, atol=0.12)
    asymmetric = dataclasses.replace(label, texture=dataclasses.replace(label.texture, reflection=None))
    held = hand._replace(held=asymmetric).mirrored().held
    for seen, colour in zip(quadrants(held), (GREEN, RED, YELLOW, BLUE), strict=True):
        np.testing.assert_allclose(seen, colour / 200, atol=0.12)


def test_reduced_pictures_keep_their_mean_and_fill_what_does_not_count() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2] = 255
    far = Picture.of(image).sample(np.full((1, 2), 0.5, np.float32), np.array([64.0]))
    np.testing.assert_allclose(far, 0.5, atol=0.01)
    mask = np.zeros((64, 64), bool)
    mask[::2] = True
    np.testing.assert_array_equal(Picture.of(image, mask).levels[0], 255)


@pytest.fixture
def painted_root(photo_root: Path) -> Path:
    """The miniature material, whose photos without hands are green; one of the other split is red."""
    for path in (photo_root / 'backgrounds_rgb').glob('*.jpg'):
        colour = (0, 0, 200) if path.name.startswith('cards') else (0, 200, 0)
        cv2.imwrite(str(path), np.full((60, 90, 3), colour, np.uint8))
    return photo_root


def test_a_photo_shows_only_behind_what_is_rendered(painted_root: Path) -> None:
    # Gloves may be green, too; the others leave less of a hand.
    config = dataclasses.replace(SMALL, scenery=1.0, typing=0.0, gloved=0.0, worn=0.0, desk=0.0)
    scenes = RgbScenes(None, 2, config=config, material=ColourMaterial(photos=painted_root))
    hands = 0
    for index in range(4):
        frame = scenes.frame(index)
        green = frame.image[..., 1].astype(int) - frame.image[..., [0, 2]].max(-1)
        behind = (frame.view.owners == NOTHING).astype(np.uint8)
        far, near = (cv2.erode(mask, np.ones((7, 7))) > 0 for mask in (behind, 1 - behind))
        assert far.any() and (green[far] > 30).mean() > 0.98
        assert not frame.view.depth[behind > 0].any()
        hand = near & (frame.view.owners >= 0)
        hands += hand.sum()
        assert (green[hand] < 15).mean() > 0.98
    assert hands > 100
    again = RgbScenes(None, 2, config=config, material=ColourMaterial(photos=painted_root)).frame(3)
    np.testing.assert_array_equal(again.image, frame.image)


def test_a_photo_without_people_shows_no_trace_of_a_scene(painted_root: Path) -> None:
    config = dataclasses.replace(SMALL, scenery=1.0, hands=(1, 0, 0))
    scenes = RgbScenes(None, 2, config=config, material=ColourMaterial(photos=painted_root))
    assert any((scenes.frame(index).view.owners == NOTHING).all() for index in range(8))


def test_without_material_nothing_changes() -> None:
    plain, same = (RgbScenes(None, 1, config=SMALL, **more).frame(0) for more in ({}, {'material': ColourMaterial()}))
    np.testing.assert_array_equal(plain.image, same.image)
    assert ColourMaterial().key == '' and ColourMaterial().files == []


@pytest.fixture
def textures(tmp_path: Path) -> Path:
    """Surfaces with a ramp, which does not continue over its edges, and dark rooms with one bright spot."""
    ramp = np.linspace(40, 220, 124).astype(np.uint8)
    (tmp_path / 'ambientcg').mkdir()
    for name in ('Wood', 'Tiles', 'Fabric', 'SolarPanel'):
        for number in range(6):
            path = tmp_path / 'ambientcg' / f'{name}_{number:03}.jpg'
            cv2.imwrite(str(path), np.repeat(np.repeat(ramp[None], 124, 0)[..., None], 3, 2))
    room = np.full((64, 128, 3), 0.2, np.float32)
    room[16:18, 32:34] = 500
    (tmp_path / 'hdri').mkdir()
    for number in range(6):
        cv2.imwrite(str(tmp_path / 'hdri' / f'room_{number}.hdr'), room)
    return tmp_path


def test_the_splits_share_no_picture(painted_root: Path, textures: Path) -> None:
    for source in (SurfacePhotos, LightProbes):
        train, validation, test = (set(source(textures, split).paths) for split in ('train', 'validation', 'test'))
        assert train and validation == test and not train & validation
    assert not any('SolarPanel' in path.name for path in SurfacePhotos(textures, 'train').paths)
    shown = {split: Scenery(painted_root, split).photos for split in ('train', 'validation')}
    names = {split: {photo.path.name for photo in photos} for split, photos in shown.items()}
    assert names['train'] and not names['train'] & names['validation'] and 'cards_a.jpg' in names['validation']
    assert all(photo.kind == 'none' for photos in shown.values() for photo in photos)


@pytest.mark.parametrize('kind', ['table', 'wall', 'cloth'])
def test_surfaces_repeat_without_seams(textures: Path, kind: str) -> None:
    for seed in range(3):
        photographed = SurfacePhotos(textures, 'train').draw(kind, np.random.default_rng(seed), np.eye(3))
        photographed = dataclasses.replace(photographed, wear=0.0)
        along = np.linspace(0, 3 * photographed.size, 1500, dtype=np.float32)
        for axis in range(2):
            places = np.zeros((len(along), 3), np.float32)
            places[:, axis] = along
            normals = np.tile(np.float32([0, 0, 1]), (len(along), 1))
            points = SurfacePoints(places, np.zeros(0), np.zeros(0), normals, np.full(len(along), 1e-4, np.float32))
            albedo = photographed.look(points).albedo
            assert np.abs(np.diff(albedo, axis=0)).max() < 0.05


def test_the_bright_spot_of_a_room_becomes_a_lamp(textures: Path) -> None:
    lighting = LightProbes(textures, 'train').draw(UP, np.random.default_rng(4))
    (lamp,) = lighting.lamps
    # The spot is at 17 of 64 rows: 48 degrees from the zenith.
    assert np.degrees(np.arccos(lamp.direction @ UP)) == pytest.approx(17 / 64 * 180, abs=3)
    # Radiance of a white surface before it, in units of the room's: 500 / 0.2 × solid angle / π, dimmed at random.
    expected = 500 / 0.2 * 4 * (np.pi / 64) ** 2 * np.sin(17 / 64 * np.pi) / np.pi
    assert 0.45 * expected < lamp.colour[0] / np.median(lighting.room) < 1.55 * expected
    # A lamp in a place of the room shines from where the room shows that place.
    room = np.zeros((32, 64, 3), np.float32)
    room[8, 40] = 1
    direction = Lighting((), room, UP).direction(8.5, 40.5)
    assert Lighting((), room, UP).seen(direction[None])[0, 0] > 3 * Lighting((), room, UP).seen(-direction[None])[0, 0]


def test_material_is_named_for_pools_and_cards(painted_root: Path, textures: Path) -> None:
    material = ColourMaterial(surfaces=textures, photos=painted_root)
    key = material.key
    assert 'surfaces ' in key and 'light ' in key and 'scenery ' in key
    (painted_root / 'backgrounds_rgb' / 'hdri_0.jpg').open('ab').write(b' ')
    assert material.key != key
    assert origins(*material.files)['hdri'].endswith('images, MIT')
