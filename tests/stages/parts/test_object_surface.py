# SPDX-License-Identifier: Apache-2.0
"""The mesh of a held object from a depth image: a can that lies on an open palm, before a table or without one."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import KEYPOINT_NAMES
from hoi_ros.mesh.boxes import oriented_box
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import Can
from hoi_ros.stages.parts.object_surface import bounded_by_opening
from hoi_ros.stages.parts.object_surface import fitted_mesh
from hoi_ros.stages.parts.object_surface import HandSurface
from hoi_ros.stages.parts.object_surface import object_points

CAMERA = Pinhole(640, 480, 600.0, 600.0, 319.5, 239.5)
MODEL = HandModel.load()
BALL = trimesh.creation.icosphere(subdivisions=3)
RADIUS, LENGTH = 0.03, 0.14
GUESS = BALL.vertices * [LENGTH / 2, RADIUS, RADIUS]
"""A mesh about as large as the can."""


@pytest.fixture(scope='module')
def hand() -> HandSurface:
    """An open right hand half a metre away, its palm towards the camera, its fingers up."""
    zero = np.zeros(3, np.float32)
    rest = MODEL.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), zero)
    wrist, index, middle, little = (
        rest.keypoints[KEYPOINT_NAMES.index(name)].astype(float)
        for name in ('wrist', 'index_mcp', 'middle_mcp', 'little_mcp')
    )
    up = (middle - wrist) / np.linalg.norm(middle - wrist)
    out = np.cross(index - little, up)
    out /= np.linalg.norm(out)
    turn = np.stack([np.cross(up, out), -up, -out])
    place = np.array([0, 0, 0.5]) - turn @ (wrist + middle) / 2
    vertices, keypoints = (values.astype(float) @ turn.T + place for values in (rest.vertices, rest.keypoints))
    return HandSurface(vertices, vertex_normals(vertices, MODEL.faces), keypoints)


@pytest.fixture(scope='module')
def can(hand: HandSurface) -> trimesh.Trimesh:
    """A can across the palm, on its skin."""
    can = trimesh.creation.cylinder(RADIUS, LENGTH, sections=40)
    palm = hand.vertices[np.linalg.norm(hand.vertices[:, :2], axis=1) < 0.03]
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler('y', 90, degrees=True).as_matrix()
    turn[:3, 3] = 0, 0, palm[:, 2].min() - RADIUS
    return can.apply_transform(turn)


def seen(*meshes: tuple[np.ndarray, np.ndarray], wall: float = 0.9) -> np.ndarray:
    """The depth image of meshes before a wall."""
    rows, columns = np.mgrid[: CAMERA.height, : CAMERA.width]
    rays = np.stack([(columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy, np.ones(rows.shape)], -1)
    depth = np.full(rows.shape, wall, np.float32)
    for vertices, faces in meshes:
        depth = np.minimum(depth, TriangleScene(vertices, faces).cast(np.zeros(3), rays).reach)
    return depth.astype(np.float32)


@pytest.mark.parametrize('wall', [0.9, 0.53])
def test_a_wrong_object_is_moved_and_scaled_onto_the_surface(
    hand: HandSurface, can: trimesh.Trimesh, wall: float
) -> None:
    depth = seen((hand.vertices, MODEL.faces), (can.vertices, can.faces), wall=wall)
    # Twice as thick, too short, and three centimetres off.
    expected = BALL.vertices * [0.05, 0.05, 0.05] + can.vertices.mean(0) + [0.02, 0.02, 0.01]
    points = object_points(expected, hand, depth, CAMERA)
    assert points is not None
    scene = TriangleScene(can.vertices, can.faces)
    assert np.percentile(scene.distances(points.astype(np.float32)), 90) < 0.003
    mesh = fitted_mesh(points, hand, depth, CAMERA, BALL.vertices)
    assert np.median(TriangleScene(mesh, BALL.faces).distances(points.astype(np.float32))) < 0.003
    centre, _, size = oriented_box(mesh)
    assert np.linalg.norm(centre - can.vertices.mean(0)) < 0.02
    # The side away from the camera is bounded by the skin about it, which is curved; rounded ends reach further.
    np.testing.assert_allclose(size, [2 * RADIUS, 2 * RADIUS, LENGTH], atol=0.035)
    assert abs(size[0] - 2 * RADIUS) < 0.01
    # From outside, counter-clockwise.
    assert trimesh.Trimesh(mesh, BALL.faces, process=False).volume > 0


def test_an_empty_hand_before_a_table_holds_nothing(hand: HandSurface, can: trimesh.Trimesh) -> None:
    for depth in (
        seen((hand.vertices, MODEL.faces)),
        seen((hand.vertices, MODEL.faces), wall=0.53),
        np.zeros((480, 640), np.float32),
        np.full((480, 640), np.nan, np.float32),
    ):
        assert object_points(can.vertices, hand, depth, CAMERA) is None
    far = can.copy().apply_translation([0, 0, -0.12])
    assert (
        object_points(can.vertices, hand, seen((hand.vertices, MODEL.faces), (far.vertices, far.faces)), CAMERA) is None
    )


def test_the_other_hand_is_no_part_of_the_object() -> None:
    motion = HandMotion(MODEL, 'right', seed=1, solid=Can())
    apart: dict[str, list[float]] = {'unknown': [], 'known': []}
    for moment in np.arange(6) / 2:
        true = motion(moment)
        assert true.held is not None
        moved = [0, 0, 0.38] - true.joints.mean(0)
        held, vertices, keypoints = (each + moved for each in (true.held.vertices, true.vertices, true.joints))
        # A left hand on the other side of the can.
        middle = held.mean(0)
        aside = (middle - keypoints.mean(0)) * [1, 1, 0.3]
        aside /= np.linalg.norm(aside)
        others = [each - 2 * ((each - middle) @ aside)[:, None] * aside for each in (vertices, keypoints)]
        depth = seen((vertices, MODEL.faces), (held, motion.object_faces), (others[0], MODEL.faces[:, ::-1]))
        hand = HandSurface(vertices, vertex_normals(vertices, MODEL.faces), keypoints)
        scene = TriangleScene(held, motion.object_faces)
        for name, known in (('unknown', []), ('known', [(others[0], others[1])])):
            points = object_points(held, hand, depth, CAMERA, known)
            assert points is not None
            apart[name].append(float((scene.distances(np.float32(points)) > 0.006).mean()))
    assert np.mean(apart['unknown']) > 0.1 and max(apart['known']) < 0.03, apart


def test_what_an_object_stands_on_is_no_part_of_it(hand: HandSurface, can: trimesh.Trimesh) -> None:
    # A table that slants away from one end of the can, at which the can stands.
    end = can.vertices[:, 0].max()
    across, along = np.array([0.0, 1, 0]), np.array([0.8, 0, 0.6])
    foot = np.array([end, 0, can.vertices[:, 2].min()]) + 0.005 * along
    table = np.stack([foot + a * across + b * along for a, b in ((-0.5, 0), (0.5, 0), (0.5, 0.6), (-0.5, 0.6))])
    depth = seen((hand.vertices, MODEL.faces), (can.vertices, can.faces), (table, np.array([[0, 1, 2], [0, 2, 3]])))
    points = object_points(GUESS + can.vertices.mean(0), hand, depth, CAMERA)
    assert points is not None
    assert np.percentile(TriangleScene(can.vertices, can.faces).distances(np.float32(points)), 95) < 0.004


def test_an_object_is_no_thicker_than_the_hand_opens(hand: HandSurface) -> None:
    thumb = hand.keypoints[KEYPOINT_NAMES.index('thumb_tip')]
    tips = [hand.keypoints[KEYPOINT_NAMES.index(f'{name}_tip')] for name in ('index', 'middle', 'ring', 'little')]
    opening = max(float(np.linalg.norm(tip - thumb)) for tip in tips) + 0.015
    ball = BALL.vertices * opening + hand.keypoints.mean(0)
    smaller = bounded_by_opening(ball, 2 * opening, hand.keypoints)
    np.testing.assert_allclose(oriented_box(smaller)[2], opening, rtol=0.01)
    assert bounded_by_opening(ball / 4, opening / 2, hand.keypoints) is not smaller
    np.testing.assert_array_equal(bounded_by_opening(ball, opening, hand.keypoints), ball)
