# SPDX-License-Identifier: Apache-2.0
"""Whole frames: labels match the depth, also when rolled and mirrored."""

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from training.data.synthetic.depth_frames import augment_frame
from training.data.synthetic.depth_frames import DepthFrames
from training.data.synthetic.depth_frames import FrameAugmentation
from training.data.synthetic.scenes import Scene


@pytest.fixture(scope='module')
def frames() -> list[np.ndarray]:
    stream = DepthFrames(seed=1)
    return [stream[index] for index in range(30)]


def camera_of(frame: np.ndarray) -> Pinhole:
    return Pinhole(*map(int, frame['size']), *frame['camera'])


def test_the_same_index_gives_the_same_frame(frames: list[np.ndarray]) -> None:
    again, other_split = DepthFrames(seed=1)[3], DepthFrames(seed=1, split='validation')[3]
    assert again.tobytes() == frames[3].tobytes() != other_split.tobytes()


def test_frames_have_up_to_two_hands_of_both_sides(frames: list[np.ndarray]) -> None:
    assert {int(frame['count']) for frame in frames} == {0, 1, 2}
    assert {bool(side) for frame in frames for side in frame['right'][: frame['count']]} == {True, False}
    assert not any(frame['visible'][frame['count'] :].any() for frame in frames)


def test_images_of_all_shapes_and_fields_of_view_lie_at_the_left_and_the_top(frames: list[np.ndarray]) -> None:
    shapes = {tuple(map(int, frame['size'])) for frame in frames}
    assert shapes == {(160, 120), (160, 90), (160, 100), (133, 120)}
    assert min(frame['camera'][0] / frame['size'][0] for frame in frames) < 0.5
    for seed, frame in enumerate(frames):
        width, height = frame['size']
        moved = augment_frame(frame, FrameAugmentation(), np.random.default_rng(seed))[0]
        for depth in (frame['depth'], moved):
            assert depth[:height, :width].any() and not depth[height:].any() and not depth[:, width:].any()


def test_a_visible_hand_lies_at_its_labelled_depth(frames: list[np.ndarray]) -> None:
    gaps = []
    for frame in frames:
        for number in np.flatnonzero(frame['visible'] > 0.7):
            centre = frame['centre'][number].astype(float)
            column, row = np.rint(camera_of(frame).project(centre)).astype(int)
            around = frame['depth'][max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] * 1e-4
            gaps.append(np.abs(around[around > 0] - centre[2]).min(initial=1))
    assert len(gaps) > 10 and np.mean(np.array(gaps) < 0.06) > 0.85


def test_visible_is_the_visible_share_of_the_scene(made_scenes: list[Scene], perfect_sensor: None) -> None:
    compared = 0
    for index in range(12):
        frame = DepthFrames(seed=1)[index]
        scene = made_scenes[-1]
        view = scene.look(camera_of(frame))
        for number in range(int(frame['count'])):
            expected = scene.visible_share(number, view)
            # A frame may be blank from some depth on, and a hand with it.
            assert frame['visible'][number] <= expected + 1e-5
            compared += abs(frame['visible'][number] - expected) < 1e-5
    assert compared >= 8


def test_rolled_and_mirrored_frames_keep_each_hand_on_its_depth(frames: list[np.ndarray]) -> None:
    mirrored = rolled = 0
    for seed, frame in enumerate(frames):
        depth, pixels, depths = augment_frame(frame, FrameAugmentation(), None)
        moved_depth, moved_pixels, moved_depths = augment_frame(frame, FrameAugmentation(), np.random.default_rng(seed))
        np.testing.assert_array_equal(depths, moved_depths)
        count = int(frame['count'])
        np.testing.assert_allclose(pixels[:count], camera_of(frame).project(frame['centre'][:count]), atol=1e-3)
        before, after = (points[:count] - frame['camera'][2:] for points in (pixels, moved_pixels))
        np.testing.assert_allclose(np.linalg.norm(after, axis=1), np.linalg.norm(before, axis=1), atol=1e-6)
        rolled += not np.allclose(np.abs(before), np.abs(after), atol=0.5)
        if count == 2:
            mirrored += np.linalg.det(before) * np.linalg.det(after) < 0
        for cell, moved_cell in np.rint(np.stack([pixels, moved_pixels], 1)[:count]).astype(int):
            if all(((one > 1) & (one < frame['size'] - 2.0)).all() for one in (cell, moved_cell)):
                around = depth[cell[1] - 1 : cell[1] + 2, cell[0] - 1 : cell[0] + 2]
                assert np.abs(around - moved_depth[moved_cell[1], moved_cell[0]]).min() < 1e-6
    pairs = sum(frame['count'] == 2 for frame in frames)
    assert 0.2 * pairs < mirrored < 0.8 * pairs and rolled > 8
