# SPDX-License-Identifier: Apache-2.0
"""Times of a stage: on a clock that only the stand-in moves, and on simulated frames."""

import numpy as np
import pytest

from benchmarks.stage_frames import Frame
from benchmarks.stage_frames import simulated_frames
from benchmarks.stage_speed import measure
from benchmarks.stage_speed import StageRun
from hoi_ros.systems import System

FRAMES = [Frame((np.full((480, 640), metres, np.float32),)) for metres in (0.4, 0.5, 0.6)]


class StandIn:
    """A stage that takes 40 ms for a first frame, 10 ms for a tracked hand and 3 ms to fit."""

    def __init__(self, clock):
        self.clock = clock
        self.tracking = False
        self.resets = 0
        self.calls = []
        self.timings = {}

    def __call__(self, depth, camera, stamp):
        assert depth.shape == (camera.height, camera.width)
        self.calls.append((stamp, float(depth[0, 0])))
        parts = {'track': 0.010 if self.tracking else 0.0, 'detect': 0.0 if self.tracking else 0.040, 'fit': 0.003}
        for seconds in parts.values():
            self.clock.advance(seconds)
        self.tracking, self.timings = True, parts
        return ['hand']

    def reset(self):
        self.clock.advance(0.5)  # must not count
        self.tracking = False
        self.resets += 1


def test_a_tracked_hand(clock):
    run = StageRun(StandIn(clock), FRAMES, clock=clock)
    turn = run.take_turn(1.0)
    speed = run.speed()
    assert speed.total.p50_ms == pytest.approx(13) and speed.total.p99_ms == pytest.approx(13)
    assert speed.parts_p50_ms == pytest.approx({'track': 10, 'detect': 0, 'fit': 3})
    assert speed.hands_a_frame == 1
    assert speed.total.calls == len(turn.seconds) == len(turn.hands) == pytest.approx(1.0 / 0.013, abs=1)


def test_a_first_frame(clock):
    run = StageRun(StandIn(clock), FRAMES, tracking=False, clock=clock)
    run.take_turn(1.0)
    assert run.speed().total.p50_ms == pytest.approx(43)
    assert run.speed().parts_p50_ms['detect'] == pytest.approx(40)


def test_a_part_that_some_calls_lack_has_the_median_of_the_others(clock):
    class Halves(StandIn):
        def __call__(self, depth, camera, stamp):
            hands = super().__call__(depth, camera, stamp)
            if len(self.calls) % 2:
                self.timings = {'total': self.timings['fit']}
            return hands

    run = StageRun(Halves(clock), FRAMES, clock=clock)
    run.take_turn(1.0)
    assert run.speed().parts_p50_ms == pytest.approx({'track': 10, 'detect': 0, 'fit': 3, 'total': 3})


def test_frames_go_to_and_fro_at_30_hz(clock):
    stage = StandIn(clock)
    StageRun(stage, FRAMES, clock=clock).take_turn(0.2)
    stamps, depths = np.array(stage.calls[:8]).T
    np.testing.assert_allclose(depths, [0.4, 0.5, 0.6, 0.6, 0.5, 0.4, 0.4, 0.5], rtol=1e-6)
    np.testing.assert_allclose(np.diff(stamps), 1 / 30)


def test_turns_add_up_and_each_starts_anew(clock):
    stage = StandIn(clock)
    run = StageRun(stage, FRAMES, clock=clock)
    turns = [run.take_turn(0.2) for _ in range(2)]
    assert stage.resets == 2
    assert run.speed().total.calls == sum(len(turn.seconds) for turn in turns)
    assert run.speed().total.p99_ms == pytest.approx(13)
    assert np.diff([stamp for stamp, _ in stage.calls]).min() > 0


def test_frames_have_the_images_of_the_system():
    system = System('new', 'none:None', images=('depth',), optional_images=('colour',))
    first, second = simulated_frames(system, ('right', 'left'), 2)
    (depth,), colour = first.images, first.optional['colour']
    assert depth.shape == (480, 640) and depth.dtype == np.float32 and 0.2 < np.median(depth) < 2
    assert colour.shape == (480, 640, 3) and colour.dtype == np.uint8
    assert (first.images[0] != second.images[0]).any()


def test_the_hand_holds_the_object_of_the_scene():
    scenes = ({}, {'object': 'box'})
    free, holding = (
        simulated_frames(System('new', 'none:None', images=('colour',), scene=scene), ('right',), 1)[0].images[0]
        for scene in scenes
    )
    # The object is redder than skin, sleeve, wall and table.
    red = [(image[..., 0] > 2.5 * image[..., 1].astype(float)).sum() for image in (free, holding)]
    assert red[1] > red[0] + 500


def test_no_hand_shows_the_room_and_two_hands_more_than_one():
    system = System('new', 'none:None', images=('colour',))
    empty, one, two = (simulated_frames(system, sides, 1)[0].images[0] for sides in ((), ('right',), ('right', 'left')))
    assert 0 < np.any(one != empty, 2).sum() < np.any(two != empty, 2).sum()


def test_a_system_is_measured_by_its_entry(sixth_system):
    speeds = measure(sixth_system, 0.4, frames=1)
    assert list(speeds) == ['one hand', 'one hand, first frame', 'two hands', 'no hand']
    for speed in speeds.values():
        assert speed.total.p50_ms >= 5 and speed.parts_p50_ms == {'infer': 5.0, 'total': 5.0}
