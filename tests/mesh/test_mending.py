# SPDX-License-Identifier: Apache-2.0
"""Meshes of scans become usable, or are said to be open; files that are no objects in metres are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh

from hoi_ros.mesh import object_files
from hoi_ros.mesh.mending import mended
from hoi_ros.mesh.object_files import ObjectFileError
from hoi_ros.mesh.object_files import read_object

BALL = trimesh.creation.icosphere(3, 0.04)
BOX = trimesh.creation.box((0.1, 0.05, 0.2))


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    return trimesh.Trimesh(vertices, faces, process=False).volume


def turned_over(faces: np.ndarray, share: float) -> np.ndarray:
    chosen = np.random.default_rng(0).random(len(faces)) < share
    return np.where(chosen[:, None], faces[:, ::-1], faces)


@pytest.mark.parametrize(
    ('faces', 'note'),
    [
        (BALL.faces, None),
        (turned_over(BALL.faces, 0.3), 'faced the other way'),
        (turned_over(BALL.faces, 0.8), 'faced inwards'),
        (BALL.faces[:, ::-1], '1280 triangles faced inwards'),
        (np.concatenate([BALL.faces, BALL.faces[:, ::-1]]), None),
        (np.concatenate([BALL.faces, BALL.faces[:, [0, 0, 1]]]), None),
        (BALL.faces[8:], 'small holes of 0.6 % of the area were closed'),
    ],
    ids=['good', 'some turned', 'most turned', 'inverted', 'double-sided', 'degenerate', 'hole'],
)
def test_a_scan_becomes_a_solid(faces: np.ndarray, note: str | None) -> None:
    mesh = mended(BALL.vertices, faces)
    assert mesh.closed and volume(mesh.vertices, mesh.faces) == pytest.approx(BALL.volume, rel=0.01)
    assert (note is None and mesh.notes == ()) or any(note in line for line in mesh.notes)


def test_pieces_face_outwards_each_and_debris_is_left_out() -> None:
    second = BALL.vertices + [0.1, 0, 0]
    speck = np.array([[0, 0, 0.1], [0.003, 0, 0.1], [0, 0.003, 0.1]])
    vertices = np.concatenate([BALL.vertices, second, speck])
    count = len(BALL.vertices)
    faces = np.concatenate([BALL.faces, BALL.faces[:, ::-1] + count, [[2 * count, 2 * count + 1, 2 * count + 2]]])
    mesh = mended(vertices, faces)
    assert mesh.closed and volume(mesh.vertices, mesh.faces) == pytest.approx(2 * BALL.volume)
    assert [note[:11] for note in mesh.notes] == ['small open ', '1280 triang']


def test_the_opening_of_a_cup_stays_open() -> None:
    kept = BALL.triangles_center[:, 2] < 0.02
    mesh = mended(BALL.vertices, BALL.faces[kept])
    assert not mesh.closed and 'the mesh is open' in mesh.notes[-1]
    assert len(mesh.faces) == kept.sum()


def test_order_and_mirror_images_are_kept() -> None:
    mesh = mended(BOX.vertices, BOX.faces)
    np.testing.assert_array_equal(mesh.faces, BOX.faces)
    np.testing.assert_array_equal(mesh.vertices, BOX.vertices)


@pytest.mark.parametrize('suffix', ['obj', 'ply', 'stl', 'glb'])
def test_the_formats_give_the_same_solid(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'box.{suffix}'
    BOX.export(path)
    mesh = read_object(path)
    assert (len(mesh.vertices), len(mesh.faces), mesh.closed, mesh.notes) == (8, 12, True, ())
    assert volume(mesh.vertices, mesh.faces) == pytest.approx(0.001)
    flipped = read_object(path, mirrored=True)
    np.testing.assert_allclose(flipped.vertices, mesh.vertices * [-1, 1, 1])
    assert volume(flipped.vertices, flipped.faces) == pytest.approx(0.001)


def test_a_huge_mesh_is_decimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_files, 'MOST_FACES', 1000)
    trimesh.creation.icosphere(4, 0.04).export(tmp_path / 'ball.stl')
    mesh = read_object(tmp_path / 'ball.stl')
    assert mesh.closed and len(mesh.faces) == 1000
    assert volume(mesh.vertices, mesh.faces) == pytest.approx(BALL.volume, rel=0.02)
    assert mesh.notes == ('the mesh of 5120 triangles was decimated to 1000',)


def text(path: Path, content: str) -> None:
    path.write_text(content)


UNUSABLE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    'missing': ('a.obj', lambda path: None, 'there is no such file'),
    'a folder': ('a.obj', Path.mkdir, 'there is no such file'),
    'another format': ('a.txt', lambda path: text(path, 'box'), "suffix is '.txt', expected .obj"),
    'empty': ('a.obj', lambda path: text(path, ''), '0 vertices and 0 triangles'),
    'no faces': ('a.obj', lambda path: text(path, 'v 0 0 0\nv 0.1 0 0\n'), 'expected a triangle mesh'),
    'no area': ('a.obj', lambda path: text(path, 'v 0 0 0\nv 0.1 0 0\nv 0.2 0 0\nf 1 2 3\n'), 'has an area'),
    'not finite': ('a.obj', lambda path: text(path, 'v 0 nan 0\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 3\n'), 'are not finite'),
    'wrong index': ('a.obj', lambda path: text(path, 'v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 9\n'), 'cannot be read'),
    'damaged': ('a.glb', lambda path: path.write_bytes(b'glTF' * 20), 'cannot be read as GLB'),
    'millimetres': ('a.ply', lambda path: BOX.copy().apply_scale(1000).export(path), '229.1 m across.*millimetres'),
    'a grain': ('a.ply', lambda path: BOX.copy().apply_scale(1e-3).export(path), 'expected at least 0.005 m'),
}


@pytest.mark.parametrize('fault', UNUSABLE)
def test_an_unusable_file_is_named_with_its_fault(tmp_path: Path, fault: str) -> None:
    name, write, said = UNUSABLE[fault]
    write(tmp_path / name)
    with pytest.raises(ObjectFileError, match=f'{name}: .*{said}'):
        read_object(tmp_path / name)
