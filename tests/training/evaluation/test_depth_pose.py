# SPDX-License-Identifier: Apache-2.0
"""Figures of the whole `depth_pose` stage on scripted estimates, and the rendered test frames."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from training.data.synthetic.depth_test_frames import DepthTestFrames
from training.evaluation import depth_pose

CAMERA = Pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)


@pytest.fixture(scope='module')
def joints() -> np.ndarray:
    rest = HandModel.load().forward(np.zeros(48), np.zeros(10), np.zeros(3), vertices=False).keypoints
    return rest + [0, 0, 0.6]


def store(folder: Path, index: int, *hands: tuple[str, np.ndarray, bool]) -> None:
    """Stores a frame in the cache; each hand has a side, joints and whether it counts."""
    folder = depth_pose.frames_folder('test', folder)
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / f'{index:05d}.png'), np.full((48, 64), 6000, np.uint16))
    (folder / f'{index:05d}.json').write_text(
        json.dumps(
            {
                'camera': dataclasses.asdict(CAMERA),
                'sides': [side for side, _, _ in hands],
                'keypoints': [points.tolist() for _, points, _ in hands],
                'counted': [counts for _, _, counts in hands],
            }
        )
    )


def estimate(side: str, joints: np.ndarray) -> HandEstimate:
    return HandEstimate(side, 1, 0.9, joints, np.ones(21), np.zeros(48), np.zeros(10), np.zeros(3), np.zeros((0, 3)))


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[list[HandEstimate]]], None]:
    """answer(estimates of each frame) replaces the stage."""

    def answered(answers: list[list[HandEstimate]]) -> None:
        class Stage:
            fresh = False

            def reset(self) -> None:
                self.fresh = True

            def __call__(self, depth: np.ndarray, camera: Pinhole, stamp: float) -> list[HandEstimate]:
                assert self.fresh and camera == CAMERA
                np.testing.assert_allclose(depth, 0.6, atol=1e-6)
                self.fresh = False
                return answers[int(stamp)]

        stage = Stage()
        monkeypatch.setattr(depth_pose, '_stage', lambda models, variant: stage)

    return answered


def test_figures_count_found_missed_and_false_hands_and_sides(
    joints: np.ndarray, tmp_path: Path, answer: Callable
) -> None:
    aside, off = joints + [0.25, 0, 0], np.array([0, 0, 0.008])
    store(tmp_path, 0, ('right', joints, True))
    store(tmp_path, 1, ('right', joints, True), ('left', aside, True))
    store(tmp_path, 2, ('left', joints, True))
    store(tmp_path, 3)
    store(tmp_path, 4)
    store(tmp_path, 5, ('right', joints, False))
    worst = joints.copy()
    worst[12] += [0, 0.05, 0]
    answer(
        [
            [estimate('right', joints + off)],
            [estimate('right', aside), estimate('right', worst)],  # wrong side
            [estimate('left', aside)],  # one missed, one false
            [],
            [estimate('left', joints)],
            [estimate('left', joints)],
        ]
    )
    out = tmp_path / 'figures.json'
    figures = depth_pose.evaluate(depth_pose.DepthPoseEvaluation(frames=6, cache=tmp_path, workers=1, out=out))
    expected = {
        'hands': 4,
        'found': 3 / 4,
        'found_and_side_right': 2 / 4,
        'side_right_of_found': 2 / 3,
        'false_hands_per_frame': 2 / 6,
        'empty_frames_silent': 1 / 2,
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert figures['joints']['mean_mm'] == pytest.approx((8 + 0 + 50 / 21) / 3, abs=1e-6)
    assert figures['joints']['within_40'] == pytest.approx(2 / 3)
    assert json.loads(out.read_text())['joints']['mean_mm'] == figures['joints']['mean_mm']


def test_one_estimate_matches_one_hand(joints: np.ndarray, tmp_path: Path, answer: Callable) -> None:
    store(tmp_path, 0, ('right', joints, True), ('left', joints + [0.06, 0, 0], True))
    answer([[estimate('right', joints)]])
    figures = depth_pose.evaluate(depth_pose.DepthPoseEvaluation(frames=1, cache=tmp_path, workers=1))
    assert (figures['hands'], figures['found'], figures['false_hands_per_frame']) == (2, 0.5, 0)


def test_frames_are_reproducible_and_cached(tmp_path: Path) -> None:
    frame = DepthTestFrames()[3]
    assert frame.depth.shape == (480, 640) and len(frame.sides) == len(frame.keypoints) == len(frame.counted) > 0
    for again in (DepthTestFrames().cached(3, tmp_path), DepthTestFrames().cached(3, tmp_path)):
        np.testing.assert_allclose(again.depth, frame.depth, atol=6e-5)
        np.testing.assert_allclose(again.keypoints, frame.keypoints, atol=1e-7)
        assert (again.camera, again.sides) == (frame.camera, frame.sides)
        np.testing.assert_array_equal(again.counted, frame.counted)
    for other in (DepthTestFrames(seed=1001), DepthTestFrames('validation')):
        assert not np.array_equal(other[3].depth, frame.depth)


def test_frames_of_other_code_are_not_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {depth_pose.frames_folder(split, tmp_path) for split in ('test', 'wide')}
    monkeypatch.setattr('training.data.pool.sources.digest', lambda modules: 'of other code')
    assert len(folders | {depth_pose.frames_folder(split, tmp_path) for split in ('test', 'wide')}) == 4


def test_wide_cameras_see_more_than_80_degrees() -> None:
    frames = [DepthTestFrames('wide')[index] for index in range(4)]
    assert len({frame.depth.shape for frame in frames}) > 1
    for frame in frames:
        assert frame.depth.shape == (frame.camera.height, frame.camera.width)
        assert 2 * np.degrees(np.arctan(frame.camera.width / 2 / frame.camera.fx)) > 80
