# SPDX-License-Identifier: Apache-2.0
"""RGB scenes: reproducible, with labels on the visible surfaces and physical light."""

import dataclasses
import itertools
import pickle
import types

import cv2
import numpy as np
import pytest
import trimesh
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand import mirror_pose
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.skeleton import FINGERTIPS
from hoi_ros.simulation.sensor import SensorModel
from training.data.hand_object import HandObjectSample
from training.data.synthetic.lighting import Lamp
from training.data.synthetic.lighting import Lighting
from training.data.synthetic.paint import Paint
from training.data.synthetic.rgb_config import scenes_of
from training.data.synthetic.rgb_render import RgbScene
from training.data.synthetic.rgb_scenes import RgbFrame
from training.data.synthetic.rgb_scenes import RgbScenes
from training.data.synthetic.rgb_sensor import RgbSensor
from training.data.synthetic.scene_parts import HELD
from training.data.synthetic.skin import HandMarks
from training.data.synthetic.skin import skin_colour
from training.data.synthetic.surfaces import Surfaces

SMALL = dataclasses.replace(scenes_of('plain'), width=160, height=120)
FLIP = np.array([-1, 1, 1])
GREY, SILVER = 0.5, np.array([0.2, 0.3, 0.4])


class Cylinders:
    """Right hands closed around cylinders at random places."""

    def __init__(self, model: HandModel) -> None:
        self._model = model

    def __getitem__(self, index: int) -> types.SimpleNamespace:
        rng = np.random.default_rng(index)
        model = self._model
        pose = model.pose_of(gesture_angles(model, 'power_cylinder')).astype(np.float32)
        pose[:3] = Rotation.random(random_state=rng).as_rotvec()
        shape, translation = rng.standard_normal(10).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)
        hand = model.forward(pose, shape, translation)
        can = trimesh.creation.cylinder(0.02, 0.15, sections=24)
        place = np.eye(4)
        place[:3, :3] = Rotation.from_rotvec(pose[:3]).as_matrix() @ Rotation.from_euler('y', 90, True).as_matrix()
        place[:3, 3] = hand.keypoints[[4, 9, 12]].mean(0)
        contact = cdist(hand.vertices, place[:3, 3][None])[:, 0] < 0.03
        thing = types.SimpleNamespace(
            family='can', vertices=np.asarray(can.vertices, np.float32), faces=can.faces, texture=None
        )
        return types.SimpleNamespace(
            pose=pose,
            shape=shape,
            translation=translation,
            keypoints=hand.keypoints,
            vertices=hand.vertices,
            object=thing,
            object_pose=place,
            contact=contact,
        )


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def scenes(hand: HandModel) -> RgbScenes:
    return RgbScenes(Cylinders(hand), seed=3, config=SMALL, model=hand)


@pytest.fixture(scope='module')
def frames(scenes: RgbScenes) -> list[RgbFrame]:
    return [scenes.frame(index) for index in range(12)]


@pytest.fixture(scope='module')
def samples(frames: list[RgbFrame]) -> list[HandObjectSample]:
    return [sample for frame in frames for sample in frame.hands]


@pytest.fixture(scope='module')
def windows(hand: HandModel) -> list[RgbFrame]:
    scenes = RgbScenes(Cylinders(hand), seed=4, config=dataclasses.replace(SMALL, window=96), model=hand)
    return [scenes.frame(index) for index in range(8)]


def same(one: RgbFrame, other: RgbFrame) -> bool:
    return (
        np.array_equal(one.image, other.image)
        and np.array_equal(one.depth, other.depth)
        and np.array_equal(one.view.owners, other.view.owners)
        and all(np.array_equal(a.keypoints, b.keypoints) for a, b in zip(one.hands, other.hands, strict=True))
    )


def at(frame: RgbFrame, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points (N, 3) lie inside the image, and their rows and columns (2, M)."""
    camera = frame.view.camera
    pixels = np.rint(camera.project(points)).astype(int)
    inside = ((pixels >= 0) & (pixels < [camera.width, camera.height])).all(1)
    return inside, pixels[inside, ::-1].T


def test_an_index_always_gives_the_same_image(hand: HandModel, scenes: RgbScenes, frames: list[RgbFrame]) -> None:
    again = pickle.loads(pickle.dumps(scenes))
    assert same(again.frame(9), frames[9]) and same(again.frame(2), frames[2])
    for other in (
        RgbScenes(Cylinders(hand), 4, config=SMALL, model=hand),
        RgbScenes(Cylinders(hand), 3, 'validation', SMALL, hand),
    ):
        assert not np.array_equal(other.frame(2).image, frames[2].image)
    with pytest.raises(IndexError, match='index -1'):
        scenes[-1]


def test_successive_images_can_share_a_grasp(hand: HandModel) -> None:
    """At several places; an image does not depend on those that were made before."""
    config = dataclasses.replace(SMALL, window=64, free=0.0, repeats=4)
    samples = [RgbScenes(Cylinders(hand), 3, config=config, model=hand)[index] for index in range(8)]
    scenes = RgbScenes(Cylinders(hand), 3, config=config, model=hand)
    for index in (6, 2):
        np.testing.assert_array_equal(scenes[index].image, samples[index].image)
    alike = [
        (one // 4 == other // 4, np.array_equal(samples[one].shape, samples[other].shape))
        for one, other in itertools.combinations(range(8), 2)
    ]
    assert not any(same and not near for near, same in alike) and sum(same for _, same in alike) >= 6
    assert len({tuple(sample.keypoints[0]) for sample in samples}) == 8


def test_images_and_depth_are_complete(frames: list[RgbFrame], windows: list[RgbFrame]) -> None:
    for frame in frames + windows:
        camera = frame.view.camera
        assert frame.image.shape == (camera.height, camera.width, 3) and frame.image.dtype == np.uint8
        assert frame.depth.shape == frame.image.shape[:2] and frame.depth.dtype == np.float32
        assert np.isfinite(frame.depth).all() and (frame.depth >= 0).all()
        assert frame.image.std() > 5 and 25 < frame.image[frame.image.max(2) > 0].mean() < 235
    counts = np.bincount([len(frame.hands) for frame in frames], minlength=3)
    assert counts[0] >= 1 and counts[1] >= 5 and counts[2] >= 2


def test_the_arm_before_a_worn_camera_comes_from_its_wearer(hand: HandModel) -> None:
    reaches = {}
    for worn in (0.0, 1.0):
        config = dataclasses.replace(SMALL, worn=worn, hands=(0, 1, 0))
        samples = [RgbScenes(Cylinders(hand), 8, config=config, model=hand)[index] for index in range(24)]
        centres = np.array([sample.keypoints.mean(0) for sample in samples])
        arms = np.array([sample.keypoints[0] - sample.keypoints[9] for sample in samples])
        elbows = centres + 0.33 * arms / np.linalg.norm(arms, axis=1, keepdims=True)
        reaches[worn] = np.median(elbows[:, 2] / centres[:, 2])
        assert centres[:, 2].min() > (0.15 if worn else 0.25) and centres[:, 2].max() < (0.8 if worn else 1.0)
    assert reaches[1.0] < 0.9 < 0.95 < reaches[0.0]


def test_a_frame_without_a_hand_has_no_labels(hand: HandModel) -> None:
    empty = RgbScenes(None, 0, config=dataclasses.replace(SMALL, hands=(1, 0, 0)), model=hand)[0]
    assert empty.keypoints is None and empty.held is None and empty.depth is not None


def test_some_hands_hold_objects(samples: list[HandObjectSample]) -> None:
    held = np.array([sample.held is not None for sample in samples])
    assert 0.5 < held.mean() < 0.95
    assert {sample.side for sample in samples} == {'left', 'right'}
    for sample in samples:
        assert (sample.held is None) == (sample.contact is None)
        if sample.held is not None:
            touching = sample.hand_vertices[sample.contact]
            middle = sample.held.pose[:3, 3]
            assert np.linalg.norm(touching - middle, axis=1).max() < 0.031
            np.testing.assert_allclose(sample.held.placed.mean(0), middle, atol=1e-5)


def test_pose_and_shape_give_the_vertices(hand: HandModel, samples: list[HandObjectSample]) -> None:
    for sample in samples:
        model = hand if sample.side == 'right' else hand.mirrored()
        posed = model.forward(
            sample.pose,
            sample.shape,
            sample.keypoints[0] - model.forward(sample.pose, sample.shape, np.zeros(3, np.float32)).keypoints[0],
        )
        np.testing.assert_allclose(posed.vertices, sample.hand_vertices, atol=2e-5)
        np.testing.assert_allclose(posed.keypoints, sample.keypoints, atol=2e-5)


@pytest.mark.parametrize('worn', [0.0, 1.0])
def test_a_left_hand_and_its_object_mirror_a_right_hand(hand: HandModel, worn: float) -> None:
    grasps = Cylinders(hand)
    asked = []

    class Remembered:
        def __getitem__(self, index: int) -> types.SimpleNamespace:
            asked.append(grasps[index])
            return asked[-1]

    config = dataclasses.replace(SMALL, hands=(0, 1, 0), free=0, worn=worn)
    scenes = RgbScenes(Remembered(), 5, config=config, model=hand)
    left = next(sample for sample in map(scenes.__getitem__, range(20)) if sample.side == 'left')
    right = asked[-1]
    own = np.concatenate([left.hand_vertices, left.held.placed]) * FLIP
    placed = right.object.vertices @ right.object_pose[:3, :3].T + right.object_pose[:3, 3]
    other = np.concatenate([right.vertices, placed])
    # What is left after the mirror is a motion: a proper rotation and a shift, to a tenth of a millimetre.
    turn, _ = Rotation.align_vectors(own - own.mean(0), other - other.mean(0))
    np.testing.assert_allclose(turn.apply(other - other.mean(0)), own - own.mean(0), atol=1e-4)
    assert np.linalg.det(left.held.pose[:3, :3]) == pytest.approx(1)
    assert trimesh.Trimesh(left.held.placed, left.held.faces, process=False).volume > 0
    np.testing.assert_allclose(hand.anatomical(mirror_pose(left.pose))[1:], hand.anatomical(right.pose)[1:], atol=1e-5)


def test_visible_fingertips_lie_at_the_rendered_depth(frames: list[RgbFrame], windows: list[RgbFrame]) -> None:
    tips = 0
    for frame in frames + windows:
        for number, sample in enumerate(frame.hands):
            points = sample.keypoints[list(FINGERTIPS)]
            inside, (rows, columns) = at(frame, points)
            gap = points[inside, 2] - frame.view.depth[rows, columns]
            shown = frame.view.owners[rows, columns] == number
            assert (gap[shown] > -0.004).all()
            tips += (shown & (gap < 0.02)).sum()
            # Where a tip is not shown, something stands before it or its pixel looks just past it.
            assert ((gap > 0.003) | (gap < -0.02))[~shown].mean() > 0.8 if (~shown).any() else True
    assert tips > 40


def test_depth_is_that_of_the_labelled_meshes(frames: list[RgbFrame], hand: HandModel) -> None:
    for frame in [frame for frame in frames if frame.hands][:8]:
        sample, camera = frame.hands[0], frame.view.camera
        sides = [(0, sample.hand_vertices, hand.faces)]
        if sample.held is not None:
            sides.append((HELD, sample.held.placed, sample.held.faces))
        for owner, vertices, faces in sides:
            rows, columns = np.nonzero(frame.view.owners == owner)
            picked = np.linspace(0, len(rows) - 1, 15).astype(int)
            for row, column in zip(rows[picked], columns[picked], strict=True):
                ray = camera.unproject(np.array([column, row]), 1.0)
                expected = nearest_hit(vertices[faces], ray)
                assert frame.view.depth[row, column] == pytest.approx(expected, abs=2e-4)


def nearest_hit(triangles: np.ndarray, ray: np.ndarray) -> float:
    """How many rays from the origin the first of triangles (F, 3, 3) is: Cramer's rule for each."""
    a, b, c = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    systems = np.stack([b, c, np.broadcast_to(-ray, a.shape)], -1)
    solvable = np.abs(np.linalg.det(systems)) > 1e-14
    u, v, t = np.linalg.solve(systems[solvable], -a[solvable][..., None])[..., 0].T
    hit = (u > -1e-4) & (v > -1e-4) & (u + v < 1 + 1e-4)
    return float(t[hit].min())


def test_depth_and_image_share_the_camera(monkeypatch: pytest.MonkeyPatch, hand: HandModel) -> None:
    monkeypatch.setattr(SensorModel, 'observe', lambda self, depth, *_: depth.astype(np.float32))
    for config in (SMALL, dataclasses.replace(SMALL, window=96)):
        frame = RgbScenes(None, 6, config=dataclasses.replace(config, hands=(0, 1, 0)), model=hand).frame(1)
        own = (frame.view.owners == 0) & (frame.depth > 0)
        assert own.sum() > 100
        np.testing.assert_array_equal(frame.depth[own], frame.view.depth[own])


def test_each_hand_has_the_configured_visible_share(hand: HandModel) -> None:
    config = dataclasses.replace(SMALL, visible=0.8, hands=(0, 1, 0))
    scenes = RgbScenes(Cylinders(hand), 7, config=config, model=hand)
    for frame in map(scenes.frame, range(5)):
        assert frame.visible[0] >= 0.8
        outline = np.zeros((2000, 2000), np.uint8)
        pixels = frame.view.camera.project(frame.hands[0].hand_vertices)
        corners = np.rint((pixels - pixels.mean(0)) * 8 + 1000).astype(np.int32)
        for triangle in corners[hand.faces]:
            cv2.fillConvexPoly(outline, triangle, 1)
        shown = (frame.view.owners == 0).sum() / (outline.sum() / 64)
        assert shown == pytest.approx(frame.visible[0], abs=0.06)


def lit_wall(lamp: Lamp, paint: Paint, plate: bool) -> tuple[np.ndarray, RgbScene]:
    """The light of a wall 1 m away, half of it behind a plate to the lamp, in a room of even light."""
    up = np.array([0.0, -1, 0])
    surfaces = Surfaces(up, np.random.default_rng(0))
    wall = np.array([[-2, -2, 1], [2, -2, 1], [2, 2, 1], [-2, 2, 1.0]])
    surfaces.put(wall, np.array([[0, 1, 2], [0, 2, 3]]), -1, paint, wall)
    if plate:  # between the lamp and the left half of the wall, behind the camera
        shade = np.array([[-3, -3, -1], [0, -3, -1], [0, 3, -1], [-3, 3, -1.0]])
        surfaces.put(shade, np.array([[0, 1, 2], [0, 2, 3]]), -1, paint, shade)
    scene = RgbScene(
        Pinhole(32, 32, 32, 32, 15.5, 15.5), (), surfaces, Lighting((lamp,), np.full((32, 64, 3), 0.25, np.float32), up)
    )
    return scene.look(scene.camera, 4, np.random.default_rng(1))[0], scene


def test_a_wall_reflects_by_lamberts_law_and_less_in_shadow() -> None:
    paint = Paint(np.full((2, 3), GREY), wear=0, reflectance=0)
    direction = np.array([0, -0.6, -0.8])
    lamp = Lamp(direction, SILVER, 1e-4)
    open_light, _ = lit_wall(lamp, paint, plate=False)
    np.testing.assert_allclose(open_light, np.broadcast_to(GREY * (0.25 + 0.8 * SILVER), open_light.shape), rtol=0.01)
    shaded, _ = lit_wall(lamp, paint, plate=True)
    np.testing.assert_allclose(shaded[:, 18:], open_light[:, 18:], rtol=1e-4)
    np.testing.assert_allclose(shaded[:, :14], GREY * 0.25, rtol=0.01)


def test_a_large_lamp_casts_a_soft_shadow() -> None:
    paint = Paint(np.full((2, 3), GREY), wear=0, reflectance=0)
    widths = []
    for size in (0.01, 0.1):
        light, _ = lit_wall(Lamp(np.array([0, 0, -1.0]), np.ones(3), size), paint, plate=True)
        across = light[..., 0].mean(0)
        share = (across - across.min()) / np.ptp(across)
        widths.append(((share > 0.05) & (share < 0.95)).sum())
    assert widths[0] <= 3 < 6 <= widths[1]


def test_people_have_skins_of_all_typology_angles(hand: HandModel) -> None:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    for angle in (-40, 0, 30, 55):
        x, y, z = np.cbrt(to_xyz @ skin_colour(angle, 10, 14) / [0.9505, 1, 1.089])
        lightness, red, yellow = 116 * y - 16, 500 * (x - y), 200 * (y - z)
        assert np.degrees(np.arctan2(lightness - 50, yellow)) == pytest.approx(angle, abs=1)
        assert red == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize('side', ['right', 'left'])
def test_nails_are_on_the_backs_of_fingertips_and_palms_inside(hand: HandModel, side: str) -> None:
    model, marks = (hand, HandMarks.of(hand)) if side == 'right' else (hand.mirrored(), HandMarks.of(hand).mirrored())
    mesh = trimesh.Trimesh(model.template, model.faces, process=False)
    faces = np.arange(len(model.faces))
    weights = np.random.default_rng(0).dirichlet([1, 1, 1], len(faces))
    palm, _, _, nail, _, _ = marks.at(faces, weights).T
    centres = np.einsum('fk,fkc->fc', weights, model.template[model.faces])
    on_nail = nail > 0.5
    assert cdist(centres[on_nail], model.tips).min(1).max() < 0.015
    for tip in model.tips:
        assert (np.linalg.norm(centres[on_nail] - tip, axis=1) < 0.015).any()
    assert palm[on_nail].max() < 0.3
    # The rest pose shows its palm to +z.
    flat = np.abs(mesh.face_normals[:, 2]) > 0.8
    assert palm[flat & (mesh.face_normals[:, 2] > 0) & (centres[:, 1] > 0.02)].mean() > 0.9
    assert palm[flat & (mesh.face_normals[:, 2] < 0) & (centres[:, 1] > 0.02)].mean() < 0.1


def test_a_camera_is_monotonic_and_keeps_grey_grey() -> None:
    camera = Pinhole(64, 48, 60, 60, 31.5, 23.5)
    ramp = np.repeat(np.linspace(0.05, 1, 64, dtype=np.float32)[None, :, None], 48, 0) * np.ones(3, np.float32)
    image = RgbSensor(defocus=0).develop(ramp, camera, np.random.default_rng(0)).astype(int)
    assert (np.diff(image[..., 0], axis=1) >= 0).all() and np.ptp(image, axis=2).max() == 0
    brighter = RgbSensor(exposure=1, defocus=0).develop(ramp, camera, np.random.default_rng(0)).astype(int)
    assert (brighter >= image).all() and brighter.mean() > image.mean() + 20
    warm = RgbSensor(gains=(0.5, 1, 1), defocus=0).develop(ramp, camera, np.random.default_rng(0)).astype(int)
    assert (warm[..., 0] < image[..., 0]).mean() > 0.9
    edge = np.where(np.arange(64)[None, :, None] < 32, 0.1, 1).astype(np.float32) * np.ones((48, 64, 3), np.float32)
    sharp, smeared = (
        RgbSensor(motion=(way, 0), defocus=0).develop(edge, camera, np.random.default_rng(0)).astype(int)
        for way in (0, 9)
    )
    assert np.abs(np.diff(sharp[24, :, 0])).max() > 3 * np.abs(np.diff(smeared[24, :, 0])).max()
