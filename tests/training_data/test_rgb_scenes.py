# SPDX-License-Identifier: Apache-2.0
"""Rendered images and their labels are of one scene."""

from __future__ import annotations

import numpy as np
import pytest
from hoi_ros.hand.model import HandModel
from training.data.grasps import GraspGenerator
from training.data.rgb_scenes import HELD
from training.data.rgb_scenes import RgbConfig
from training.data.rgb_scenes import RgbFrame
from training.data.rgb_scenes import RgbScenes


@pytest.fixture(scope='module')
def frames() -> list[RgbFrame]:
    """Small whole images of one hand each, most of which hold something."""
    model = HandModel.load()
    scenes = RgbScenes(GraspGenerator(model, 2, 'validation'), 2, 'validation',
                       RgbConfig(width=320, height=240, hands=(0, 1, 0), free=0.2, visible=0.8), model)
    return [scenes.frame(index) for index in range(8)]


def test_vertices_lie_on_pixels_of_the_hand_at_their_depth(frames: list[RgbFrame]) -> None:
    for frame in frames:
        sample, view = frame.hands[0], frame.view
        points = sample.hand_vertices
        pixels = np.round(view.camera.project(points)).astype(int)
        inside = ((pixels >= 0) & (pixels < [view.camera.width, view.camera.height])).all(1)
        column, row = pixels[inside].T
        front = np.abs(view.depth[row, column] - points[inside, 2]) < 0.004
        assert front.mean() > 0.1
        assert (view.owners[row, column][front] == 0).mean() > 0.8


def test_what_is_held_is_drawn_where_it_is_said_to_be(frames: list[RgbFrame]) -> None:
    held = [frame for frame in frames if frame.hands[0].held is not None]
    assert len(held) >= 4
    shown = 0
    for frame in held:
        rows, columns = np.nonzero(frame.view.owners == HELD)
        if len(rows) < 20:
            continue
        shown += 1
        camera = frame.view.camera
        points = camera.unproject(np.stack([columns, rows], -1), frame.view.depth[rows, columns])
        placed = frame.hands[0].held.placed
        gaps = np.linalg.norm(points[::7, None] - placed[None], axis=-1).min(1)
        assert np.median(gaps) < 0.03  # vertices of a flat side lie far apart
    assert shown >= 3


def test_images_are_whole_and_differ(frames: list[RgbFrame]) -> None:
    for frame in frames:
        assert frame.image.shape == (240, 320, 3) and frame.image.dtype == np.uint8
        assert frame.image.std() > 8
        assert np.isfinite(frame.depth).all() and (frame.depth >= 0).all()
        assert (np.linalg.norm(frame.hands[0].keypoints - frame.hands[0].hand_vertices.mean(0), axis=1) < 0.25).all()
    assert len({frame.image.tobytes() for frame in frames}) == len(frames)


def test_the_same_index_gives_the_same_image() -> None:
    config = RgbConfig(window=64)
    model = HandModel.load()
    first, again = (RgbScenes(None, 4, 'train', config, model)[3] for _ in range(2))
    assert first.image.tobytes() == again.image.tobytes() and (first.keypoints == again.keypoints).all()
    other = RgbScenes(None, 4, 'test', config, model)[3]
    assert first.image.tobytes() != other.image.tobytes()


def test_left_and_right_hands_come_about_as_often() -> None:
    scenes = RgbScenes(None, 5, 'train', RgbConfig(window=48, supersampling=1), HandModel.load())
    sides = [scenes[index].side for index in range(16)]
    assert 3 <= sides.count('left') <= 13


def test_an_index_beyond_the_stream_is_refused() -> None:
    with pytest.raises(IndexError, match='index 5 is outside of a stream of 5'):
        RgbScenes(None, length=5)[5]
