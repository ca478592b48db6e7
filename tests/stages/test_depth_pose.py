# SPDX-License-Identifier: Apache-2.0
"""The depth_pose stage with the shipped networks, on rendered scenes and on real frames."""

import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.engines import EngineError
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.model import HandModel
from hoi_ros.resources import models_dir
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scenes import SceneGenerator

DATA = Path(os.environ.get('HOI_DATA', '../shared/data'))
CAMERA = Pinhole(640, 480, 476.007, 476.007, 313.683, 242.755)
EASY = SceneConfig(hands=(0, 1, 0), nearest=0.35, farthest=0.6, person=0.0, table=0.0, wall=1.0, clutter=0.0, held=0.0)


@pytest.fixture(scope='module')
def stage() -> DepthPoseStage:
    return DepthPoseStage()


@pytest.fixture(scope='module')
def frames() -> list[tuple]:
    """Twelve rendered frames of one hand before a wall: (depth, scene)."""
    scenes = SceneGenerator(HandModel.load(), EASY, 77, 'validation')
    kept = []
    for index in range(60):
        scene = scenes[index]
        view = scene.look(scene.camera)
        if scene.hands and scene.visible_share(0, view) > 0.97:
            kept.append((view.depth.astype(np.float32), scene))
        if len(kept) == 12:
            break
    return kept


def estimate(stage: DepthPoseStage, depth: np.ndarray, camera: Pinhole, **more) -> list:
    stage.reset()
    return stage(depth, camera, 0.0, **more)


@pytest.mark.slow
def test_joints_are_in_metres_where_the_hand_is(stage, frames):
    errors = []
    for depth, scene in frames:
        hands = estimate(stage, depth, scene.camera)
        truth = scene.hands[0]
        near = [hand for hand in hands if np.linalg.norm(hand.joints.mean(0) - truth.centre) < 0.06]
        if near:
            errors.append(np.linalg.norm(near[0].joints - truth.keypoints, axis=1).mean())
    assert len(errors) >= 11
    assert np.median(errors) < 0.02


@pytest.mark.slow
def test_a_mirrored_image_swaps_the_side(stage, frames):
    compared = 0
    for depth, scene in frames:
        camera = scene.camera
        mirrored = dataclasses.replace(camera, cx=camera.width - 1 - camera.cx)
        pairs = [estimate(stage, depth, camera), estimate(stage, np.ascontiguousarray(depth[:, ::-1]), mirrored)]
        if not all(pairs):
            continue
        first, second = (hands[0] for hands in pairs)
        if np.linalg.norm(first.joints.mean(0) * [-1, 1, 1] - second.joints.mean(0)) < 0.02:
            assert first.side != second.side
            compared += 1
    assert compared >= len(frames) // 2


@pytest.mark.slow
def test_an_upside_down_camera_gives_the_same_hand(stage, frames):
    apart, same_side = [], []
    for depth, scene in frames:
        camera = scene.camera
        turned = dataclasses.replace(camera, cx=camera.width - 1 - camera.cx, cy=camera.height - 1 - camera.cy)
        pairs = [estimate(stage, depth, camera), estimate(stage, np.ascontiguousarray(depth[::-1, ::-1]), turned)]
        if all(pairs):
            first, second = (hands[0] for hands in pairs)
            apart.append(np.linalg.norm(first.joints * [-1, -1, 1] - second.joints, axis=1).mean())
            same_side.append(first.side == second.side)
    assert len(apart) >= 11
    assert np.median(apart) < 0.005
    assert np.mean(same_side) > 0.9


def test_mesh_pose_and_joints_agree(stage, frames):
    depth, scene = frames[0]
    hand = estimate(stage, depth, scene.camera)[0]
    geometry = stage.hand_model(hand.side).forward(hand.pose, hand.shape, hand.translation)
    np.testing.assert_allclose(geometry.vertices, hand.vertices, atol=1e-4)
    np.testing.assert_allclose(geometry.keypoints, hand.joints, atol=1e-4)
    assert ((hand.joint_scores > 0) & (hand.joint_scores < 1)).all()


def test_nothing_is_reported_where_there_is_no_hand(stage):
    rows, columns = np.mgrid[:480, :640].astype(np.float32)
    table = 0.5 + 0.0008 * (480 - rows)
    ball = np.where((columns - 320) ** 2 + (rows - 240) ** 2 < 60**2, 0.5, 0).astype(np.float32)
    for depth in (table, ball, np.zeros((480, 640), np.float32), np.full((480, 640), np.nan, np.float32)):
        assert estimate(stage, depth, CAMERA) == []


def test_the_score_falls_as_the_hand_leaves_the_image(stage, frames):
    depth, scene = frames[1]
    pixels = scene.camera.project(scene.hands[0].keypoints)
    region = Region(*(pixels.min(0) - 30), *(np.ptp(pixels, axis=0) + 60), side=scene.hands[0].side)
    stage.min_score = 0.0
    try:
        whole = max(hand.score for hand in estimate(stage, depth, scene.camera, regions=[region]))
        cut = depth.copy()
        cut[:, int(np.percentile(pixels[:, 0], 12)) :] = 0
        rest = [hand.score for hand in estimate(stage, cut, scene.camera, regions=[region])]
    finally:
        stage.min_score = 0.5
    assert whole > 0.8
    assert max(rest, default=0.0) < whole


def test_a_region_takes_the_place_of_the_finder(stage, frames):
    depth, scene = frames[2]
    pixels = scene.camera.project(scene.hands[0].keypoints)
    low, high = pixels.min(0), pixels.max(0)
    hands = estimate(stage, depth, scene.camera, regions=[Region(*low, *(high - low), side=scene.hands[0].side)])
    assert len(hands) == 1
    assert hands[0].side == scene.hands[0].side
    assert np.linalg.norm(hands[0].joints.mean(0) - scene.hands[0].centre) < 0.03
    assert estimate(stage, depth, scene.camera, regions=[]) == []


def test_a_track_keeps_its_number_until_time_runs_backwards(stage, frames):
    depth, scene = frames[3]
    stage.reset()
    first = stage(depth, scene.camera, 1.0)[0]
    second = stage(depth, scene.camera, 1.03)[0]
    again = stage(depth, scene.camera, 0.5)[0]
    assert second.track_id == first.track_id
    assert again.track_id != first.track_id


@pytest.mark.parametrize('views', [1, 3])
def test_a_followed_hand_takes_one_crop_a_view(frames, views, monkeypatch):
    stage = DepthPoseStage(max_hands=1, following_views=views)
    depth, scene = next(pair for pair in frames if estimate(stage, pair[0], pair[1].camera))
    identity, crops, run = estimate(stage, depth, scene.camera)[0].track_id, [], stage.network.run
    monkeypatch.setattr(stage.network, 'run', lambda depth, batch: crops.extend(batch) or run(depth, batch))
    (hand,) = stage(depth, scene.camera, 1 / 30)
    assert hand.track_id == identity
    assert len(crops) == views


def test_smoothing_steadies_a_resting_hand(frames):
    depth, scene = frames[4]
    rng = np.random.default_rng(0)
    noisy = [np.where(depth > 0, depth + rng.normal(0, 0.004, depth.shape), 0).astype(np.float32) for _ in range(12)]
    jitter = {}
    for name, config in (('plain', None), ('smooth', OneEuroConfig())):
        stage = DepthPoseStage(smoothing=config)
        joints = [stage(image, scene.camera, k / 30)[0].joints for k, image in enumerate(noisy)]
        jitter[name] = np.linalg.norm(np.diff(joints, axis=0), axis=-1)[4:].mean()
    assert jitter['smooth'] < 0.7 * jitter['plain']


def test_a_damaged_or_missing_model_is_named(tmp_path):
    for name in ('depth_pose', 'hand_finder', 'hand_model'):
        (tmp_path / name).mkdir()
        for file in (models_dir() / name).iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    model = tmp_path / 'depth_pose' / 'model.onnx'
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(EngineError, match='depth_pose'):
        DepthPoseStage(tmp_path)
    with pytest.raises(ValueError, match='variant'):
        DepthPoseStage(variant='nothing')
    with pytest.raises(EngineError, match='python -m training train depth_pose --help'):
        DepthPoseStage(variant='depth_pose_lsps')


@pytest.mark.skipif(not (DATA / 'depth_sr305').is_dir(), reason=f'{DATA}/depth_sr305 is absent (set HOI_DATA)')
def test_real_frames_lose_no_hand(stage):
    paths = sorted((DATA / 'depth_sr305').rglob('*.png'))
    assert len(paths) == 8
    for path in paths:
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) * np.float32(0.125e-3)
        hands = estimate(stage, depth, CAMERA)
        assert hands, path
        # The open hand is the nearest thing in each of these frames.
        hand = min(hands, key=lambda hand: hand.joints[:, 2].mean())
        pixels = np.rint(CAMERA.project(hand.joints)).astype(int)
        observed = depth[pixels[:, 1], pixels[:, 0]]
        assert np.median(np.abs(observed - hand.joints[:, 2])[observed > 0]) < 0.02, path


@pytest.fixture(scope='module')
def two_hands() -> list[np.ndarray]:
    """Depth images of two hands that move away from the camera, thirty a second."""
    model = HandModel.load()
    motions = [HandMotion(model, side, seed=seed, aside=0.28, period=4.0) for side, seed in (('right', 1), ('left', 2))]
    simulated = SimulatedCamera(CAMERA, motions)
    depth, colour = np.zeros((480, 640), np.uint16), np.zeros((480, 640, 3), np.uint8)
    images = []
    for number in range(24):
        simulated.paint(simulated.look(1 + number / 30), depth, colour)
        images.append(depth.astype(np.float32) / 1000)
    return images


@pytest.mark.slow
def test_stamps_that_come_in_bursts_do_not_throw_hands(stage, two_hands):
    stage.reset()
    missing, identities = 0, set()
    for number, depth in enumerate(two_hands):
        hands = stage(depth, CAMERA, number / 30 if number % 2 == 0 else (number - 1) / 30 + 0.002)
        missing += 2 - len(hands) if number >= 6 else 0
        identities |= {hand.track_id for hand in hands}
    assert missing == 0 and len(identities) == 2


@pytest.mark.slow
def test_a_frame_without_depth_on_a_hand_does_not_end_it(stage, two_hands):
    stage.reset()
    identities: dict[int, set[int]] = {}
    for number, depth in enumerate(two_hands[:12]):
        seen = depth.copy()
        if number == 6:
            seen[depth < 0.5] = 0
        hands = stage(seen, CAMERA, number / 30)
        identities[number] = {hand.track_id for hand in hands}
    assert len(identities[5]) == 2 and len(identities[6]) == 1
    assert identities[8] == identities[5]
