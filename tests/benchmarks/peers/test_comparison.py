# SPDX-License-Identifier: Apache-2.0
"""A tracker in its own process takes turns with stages; MediaPipe itself where it is installed."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.peers import environment
from benchmarks.peers.comparison import compare
from benchmarks.peers.comparison import measure
from benchmarks.peers.comparison import video_frames
from benchmarks.peers.environment import PeerError
from benchmarks.peers.tracker_process import TrackerProcess
from benchmarks.stage_speed import Turn

ROOT = Path(__file__).parents[3]
SLEEPING = [sys.executable, Path(__file__).with_name('sleeping_tracker.py')]
VIDEO = Path(os.environ.get('HOI_DATA') or ROOT / '../shared/data') / 'rgb_hand_video' / 'human_hand_video.mp4'


class Stage:
    """A contestant whose median and processor time are known."""

    def __init__(self, order, name, seconds):
        self._order, self._name, self._seconds = order, name, seconds

    def take_turn(self, seconds):
        self._order.append((self._name, seconds))
        return Turn([self._seconds] * 3, 0.004, [0, 1, 1])


def test_the_contestants_take_turns_of_two_seconds_at_most():
    order = []
    done = compare(
        Stage(order, 'tracker', 0.02),
        {'a': Stage(order, 'a', 0.01), 'b': Stage(order, 'b', 0.03)},
        30.0,
        '1.0',
        order.append,
    )
    turns = [entry for entry in order if isinstance(entry, tuple)]
    assert turns == [('tracker', 2.0), ('a', 2.0), ('b', 2.0)] * 5
    assert done.turns == 5 and done.tracker.total.calls == 15
    assert done.stages['a'].p50_ratio == pytest.approx(0.5)
    assert done.stages['b'].p50_ratio_range == pytest.approx((1.5, 1.5))
    assert done.stages['b'].cpu_ratio == pytest.approx(1) and done.stages['b'].cpu_ms == pytest.approx(4)
    assert done.tracker.hands_a_frame == pytest.approx(2 / 3)
    assert 'turn 5 of 5: tracker 20.0 ms, a 10.0 ms, b 30.0 ms' in order


def test_the_ratio_compares_each_turn_with_the_tracker_s_turn_before_it():
    class Slowing:
        def __init__(self, seconds):
            self._seconds = seconds

        def take_turn(self, seconds):
            self._seconds *= 10  # the machine slows down from turn to turn
            return Turn([self._seconds], self._seconds, [1])

    stage = compare(Slowing(0.001), {'stage': Slowing(0.0005)}, 6.0, '1.0', lambda line: None).stages['stage']
    assert stage.p50_ratio_range == pytest.approx((0.5, 0.5)) and stage.cpu_ratio == pytest.approx(0.5)


def test_a_process_works_only_in_its_turns(tmp_path):
    with TrackerProcess(SLEEPING, tmp_path / 'logs' / 'tracker.log') as tracker:
        first, second = tracker.take_turn(0.05), tracker.take_turn(0.1)
    assert min(first.seconds) >= 0.01 and sum(first.seconds) >= 0.05 and sum(second.seconds) >= 0.1
    assert first.hands == [1] * len(first.seconds) and first.cpu == 0.002


def test_a_process_that_ends_is_an_error_with_its_log(tmp_path):
    with TrackerProcess(SLEEPING, tmp_path / 'tracker.log') as tracker:
        with pytest.raises(PeerError, match='exit code 1.*the turn is too long'):
            tracker.take_turn(61.0)
        with pytest.raises(PeerError, match='exit code 1'):
            tracker.take_turn(0.1)


def test_video_frames_have_the_tracker_s_size(tmp_path):
    path = tmp_path / 'video.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 30, (320, 180))
    for _ in range(4):
        writer.write(np.full((180, 320, 3), (200, 30, 30), np.uint8))  # blue
    writer.release()
    frames = video_frames(path, 3)
    assert len(frames) == 3 and frames[0].shape == (360, 640, 3)
    assert frames[0][..., 2].mean() > 180 > 60 > frames[0][..., 0].mean()


def test_a_missing_or_broken_video_is_an_error(tmp_path):
    with pytest.raises(PeerError, match=r'none\.mp4 is missing.*--video'):
        video_frames(tmp_path / 'none.mp4')
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(PeerError, match='cannot be decoded'):
        video_frames(tmp_path / 'text.mp4')


def test_a_missing_environment_is_an_error_with_the_command(tmp_path):
    with pytest.raises(PeerError, match='run `python -m benchmarks --install-peers --parts mediapipe`'):
        measure(1.0, tmp_path, VIDEO, tmp_path / 'none')


def test_another_version_is_an_error(tmp_path):
    (tmp_path / 'bin').mkdir()
    python = tmp_path / 'bin' / 'python'
    python.write_text('#!/bin/sh\necho 0.10.14\n')
    python.chmod(0o755)
    with pytest.raises(PeerError, match=r'MediaPipe 0\.10\.14, expected 0\.10\.21'):
        environment.interpreter(tmp_path)


@pytest.mark.real
def test_mediapipe_tracks_the_hand_of_the_video(tmp_path):
    try:
        python = environment.interpreter(ROOT / environment.FOLDER)
        frames = video_frames(VIDEO, 20)
    except PeerError as error:
        pytest.skip(str(error))
    np.save(tmp_path / 'frames.npy', np.stack(frames))
    script = ROOT / 'benchmarks' / 'peers' / 'mediapipe_tracker.py'
    with TrackerProcess([python, '-I', script, tmp_path / 'frames.npy'], tmp_path / 'log') as tracker:
        turn = tracker.take_turn(0.2)
    assert np.mean(turn.hands) == 1 and turn.cpu > 0 and min(turn.seconds) > 0
