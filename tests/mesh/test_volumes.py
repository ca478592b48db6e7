# SPDX-License-Identifier: Apache-2.0
"""Penetration and shared volume against known solids, trimesh and Open3D."""

import numpy as np
import open3d
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import OpenSurfaceError
from hoi_ros.mesh.surface import Surface
from hoi_ros.mesh.volumes import grid_volume
from hoi_ros.mesh.volumes import penetration_depth
from hoi_ros.mesh.volumes import shared_volume

Point = tuple[float, float, float] | np.ndarray


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope='module')
def model() -> HandModel:
    return HandModel.load()


def ball(radius: float, centre: Point = (0, 0, 0), subdivisions: int = 3) -> Surface:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return Surface(mesh.vertices + np.array(centre), mesh.faces)


def box(lowest: list[float] | np.ndarray, highest: list[float]) -> Surface:
    mesh = trimesh.creation.box(bounds=[lowest, highest])
    return Surface(mesh.vertices, mesh.faces)


def penetration_mm(points: np.ndarray, solid: Surface) -> float:
    return 1e3 * penetration_depth(points, solid)


def shared_cm3(first: Surface, second: Surface, voxel: float = 0.005) -> float:
    return 1e6 * shared_volume(first, second, voxel)


def test_an_open_object_has_no_inside() -> None:
    held = ball(0.05)
    opened = Surface(held.vertices, held.faces[1:])
    with pytest.raises(OpenSurfaceError, match='1279 triangles has no inside'):
        penetration_mm(np.zeros((1, 3)), opened)
    # Far apart as well: that nothing overlaps is no volume of 0.
    with pytest.raises(OpenSurfaceError):
        shared_cm3(ball(0.05, (1, 0, 0)), opened)


def test_penetration_of_known_solids() -> None:
    held = box([-0.05, -0.05, -0.05], [0.05, 0.05, 0.05])
    # 12 mm below one face; near no corner.
    assert penetration_mm(np.array([[0, 0, 0.038], [0.01, 0.02, 0.049], [0, 0, 0.2]]), held) == pytest.approx(12)
    assert penetration_mm(np.array([[0, 0, 0.0501]]), held) == 0
    # The mesh far from the origin: single precision would round to 0.1 mm there.
    far = np.array([1000.0, -500, 200])
    assert penetration_mm(np.array([[0, 0, 0.038]]) + far, Surface(held.vertices + far, held.faces)) == pytest.approx(
        12, abs=1e-3
    )


def test_penetration_of_a_hand_agrees_with_open3d_and_trimesh(model: HandModel, rng: np.random.Generator) -> None:
    for _ in range(3):
        angles = model.limits[..., 0] + rng.random((16, 3)) * (model.limits[..., 1] - model.limits[..., 0])
        geometry = model.forward(model.pose_of(0.6 * angles), rng.normal(0, 0.5, 10), np.array([0.02, -0.03, 0.5]))
        vertices, keypoints = np.asarray(geometry.vertices, float), np.asarray(geometry.keypoints, float)
        shape = trimesh.creation.icosphere(subdivisions=3)
        lump = (0.035 + 0.008 * np.sin(4 * shape.vertices[:, :1])) * shape.vertices + keypoints[9] + [0, 0, 0.02]
        held = Surface(lump, shape.faces)
        scene = open3d.t.geometry.RaycastingScene()
        scene.add_triangles(
            open3d.core.Tensor(lump.astype(np.float32)), open3d.core.Tensor(shape.faces.astype(np.uint32))
        )
        signed = scene.compute_signed_distance(open3d.core.Tensor(vertices.astype(np.float32)), nsamples=3).numpy()
        assert signed.min() < -0.005
        assert penetration_mm(vertices, held) == pytest.approx(-signed.min() * 1e3, abs=1e-3)
        some = np.concatenate([vertices[signed < 0], vertices[::20]])
        _, distances, _ = trimesh.proximity.closest_point_naive(trimesh.Trimesh(lump, shape.faces), some)
        assert penetration_mm(vertices, held) == pytest.approx(distances[: (signed < 0).sum()].max() * 1e3, abs=1e-3)
        np.testing.assert_allclose(held.distances(some), distances, atol=1e-6)


def test_boxes_on_the_lattice_share_exactly_their_overlap() -> None:
    left, right = box([-0.04, -0.03, 0.5], [0.02, 0.03, 0.56]), box([0, 0, 0.53], [0.05, 0.05, 0.6])
    assert shared_cm3(left, right) == pytest.approx(2 * 3 * 3)
    assert shared_cm3(left, box([0.03, 0, 0.5], [0.05, 0.05, 0.6])) == 0


def test_two_balls_share_a_lens() -> None:
    # A lens of 49 cm³ in voxels of 0.125 cm³: within 5 % in each place, less over many and with finer voxels; the
    # balls' meshes alone are 0.4 % smaller than balls.
    rng = np.random.default_rng(1)
    radius, apart = 0.04, 0.05
    cap = radius - apart / 2
    lens = 2 * np.pi * cap**2 * (3 * radius - cap) / 3 * 1e6
    coarse, fine = [], []
    for _ in range(6):
        centre, direction = rng.uniform(-0.1, 0.1, 3), rng.normal(size=3)
        pair = (ball(radius, centre, 4), ball(radius, centre + apart * direction / np.linalg.norm(direction), 4))
        coarse.append(shared_cm3(*pair) / lens)
        fine.append(shared_cm3(*pair, voxel=0.0025) / lens)
    np.testing.assert_allclose(coarse, 1, atol=0.05)
    np.testing.assert_allclose(fine, 1, atol=0.015)
    assert np.mean(coarse) == pytest.approx(1, abs=0.02)


def test_a_hand_cut_by_a_box_has_the_volume_of_its_slice(model: HandModel, rng: np.random.Generator) -> None:
    # Tetrahedra with their tip on the cut need no cap, so trimesh's open slice has an exact volume. The hand is
    # unbent, so that it does not overlap itself, which the sum would count twice, and lies slanted in the voxels.
    geometry = model.forward(np.zeros(48), np.zeros(10), np.zeros(3))
    place = np.asarray(geometry.keypoints[9], float)
    for axis in np.eye(3):
        turn = Rotation.from_quat(rng.normal(size=4))
        hand = Surface(turn.apply(geometry.vertices - place), model.faces)
        kept, faces, _ = trimesh.intersections.slice_faces_plane(hand.vertices, hand.faces, turn.apply(axis), (0, 0, 0))
        exact = np.linalg.det(kept[faces]).sum() / 6 * 1e6
        assert 30 < exact < 330
        half = box(axis - 1, [1, 1, 1])
        half = Surface(turn.apply(half.vertices), half.faces)
        assert shared_cm3(hand, half) == pytest.approx(exact, rel=0.03)
        if axis[0]:
            assert shared_cm3(hand, half, voxel=0.0025) == pytest.approx(exact, rel=0.005)


def test_overlapping_parts_of_a_mesh_are_inside() -> None:
    # One closed mesh of two balls that overlap: crossings are even in the lens, yet it is inside.
    first, second = ball(0.04), ball(0.04, (0.05, 0, 0))
    both = Surface(
        np.concatenate([first.vertices, second.vertices]),
        np.concatenate([first.faces, second.faces + len(first.vertices)]),
    )
    middle = np.array([[0.025, 0, 0]])
    assert both.closed and both.contains(middle).all()
    assert penetration_mm(middle, both) > 10
    room = box([-0.1, -0.1, -0.1], [0.2, 0.1, 0.1])
    separate = shared_cm3(first, room) + shared_cm3(second, room)
    assert shared_cm3(both, room) == pytest.approx(separate - shared_cm3(first, second))
    inside_out = Surface(first.vertices, first.faces[:, ::-1])
    np.testing.assert_array_equal(inside_out.contains(second.vertices), first.contains(second.vertices))


def test_the_volume_at_camera_rate_has_the_same_voxels(model: HandModel, rng: np.random.Generator) -> None:
    hand = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.zeros(3, np.float32)).vertices
    for shift in (0.0, 0.05, 0.3):
        held = ball(0.04, np.array([shift, 0.08, 0.02]) + rng.normal(0, 0.003, 3))
        fast = grid_volume(hand, model.faces, held.vertices, held.faces, 0.005)
        assert fast == pytest.approx(shared_volume(Surface(hand, model.faces), held, 0.005), abs=1e-12)
        assert fast == grid_volume(held.vertices, held.faces, hand, model.faces, 0.005)
