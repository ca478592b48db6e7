# SPDX-License-Identifier: Apache-2.0
"""Scanned objects: closed surfaces with their texture, in the hands of generated scenes, twelve of them held out."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from hoi_ros.hand.model import HandModel
from training.data.real.depth_material import DepthMaterial
from training.data.real.material import origins
from training.data.real.scans import HELD_OUT
from training.data.real.scans import scanned
from training.data.real.scans import ScannedObjects
from training.data.real.thing_pictures import thing
from training.data.synthetic.grasps import GraspGenerator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A can that trains and one that is held out, an open sheet, and something too large to hold."""
    sheet = trimesh.Trimesh([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], [[0, 1, 2]])
    meshes = {
        'can': trimesh.creation.cylinder(0.03, 0.1).apply_translation([0.4, 0, 0.2]),
        HELD_OUT[0]: trimesh.creation.icosphere(radius=0.03),
        'sheet': sheet,
        'wardrobe': trimesh.creation.box([0.5, 0.5, 2.0]),
    }
    for name, mesh in meshes.items():
        (tmp_path / name).mkdir()
        places = np.column_stack([mesh.vertices[:, 0] * 10, mesh.vertices[:, 1] * 10])
        # Each triangle has corners of its own, as at the seams of a texture.
        corners = mesh.vertices[mesh.faces].reshape(-1, 3)
        lines = [f'v {x} {y} {z}' for x, y, z in corners]
        lines += [f'vt {u} {v}' for u, v in places[mesh.faces].reshape(-1, 2)]
        for number in range(1, len(corners), 3):
            lines.append('f ' + ' '.join(f'{corner}/{corner}' for corner in range(number, number + 3)))
        (tmp_path / name / 'mesh.obj').write_text('\n'.join(lines) + '\n')
    return tmp_path


def test_the_splits_share_no_object(folder: Path) -> None:
    train, held_out = (set(ScannedObjects(folder, split).names) for split in ('train', 'held_out'))
    assert train == {'can', 'sheet', 'wardrobe'} and held_out == {HELD_OUT[0]}
    assert len(set(HELD_OUT)) == 12
    with pytest.raises(FileNotFoundError, match='nowhere: no NAME/mesh.obj'):
        ScannedObjects(folder / 'nowhere', 'train')


def test_an_object_is_closed_and_keeps_its_texture(folder: Path) -> None:
    shape = scanned(folder / 'can')
    assert shape is not None and shape.texture is not None and shape.family == 'scan can'
    assert trimesh.Trimesh(shape.vertices, shape.faces).is_watertight
    np.testing.assert_allclose(shape.extents, [0.06, 0.06, 0.1], atol=1e-4)
    np.testing.assert_allclose(shape.vertices.max(0), -shape.vertices.min(0), atol=1e-6)
    # The corners of a triangle stand on its vertices, and keep the place that the file gives them.
    texture = shape.texture
    np.testing.assert_array_equal(texture.vertices[texture.faces], shape.faces)
    np.testing.assert_allclose(texture.places[:, 1], 10 * shape.vertices[texture.vertices, 1], atol=1e-4)
    assert scanned(folder / 'sheet') is None and scanned(folder / 'wardrobe') is None


def test_hands_hold_scanned_objects(folder: Path) -> None:
    grasps = GraspGenerator(HandModel.load(), 0, 'train', ScannedObjects(folder, 'train'))
    families = {grasps[index].object.family for index in range(8)}
    assert 'scan can' in families and len(families) > 1
    same = GraspGenerator(HandModel.load(), 0, 'train', ScannedObjects(folder, 'train'))
    np.testing.assert_array_equal(grasps[3].vertices, same[3].vertices)


def test_the_material_is_named_for_pools_and_cards(folder: Path) -> None:
    material = DepthMaterial(scans=folder)
    key = material.key
    assert key.startswith('scans ') and DepthMaterial().key == '' and not DepthMaterial().files
    assert origins(*material.files) == {folder.name: '3 files'}
    (folder / 'can' / 'mesh.obj').open('a').write('\n')
    assert DepthMaterial(scans=folder).key != key


def test_a_picture_shows_an_object_alone_in_its_colours(folder: Path) -> None:
    cv2.imwrite(str(folder / 'can' / 'texture.jpg'), np.full((64, 64, 3), [200, 60, 20], np.uint8))
    mesh, places = folder / 'can' / 'mesh.obj', itertools.cycle(['vt 0.2 0.2', 'vt 0.8 0.2', 'vt 0.2 0.8'])
    lines = mesh.read_text().splitlines()
    mesh.write_text('\n'.join(next(places) if line.startswith('vt') else line for line in lines) + '\n')
    sides = []
    for seed in range(6):
        image, cover = thing(ScannedObjects(folder, 'train'), np.random.default_rng(seed))
        seen = cover > 200
        red, _, blue = image[seen].mean(0)
        assert blue > 3 * red and not image[cover == 0].any()
        sides.append(np.ptp(np.argwhere(seen), 0))
        # One of its sides fills the picture, and its longest axis is about upright.
        assert abs(max(sides[-1]) - 152) < 4 and sides[-1][0] > 0.6 * sides[-1][1]
    assert len({tuple(side) for side in sides}) > 3
