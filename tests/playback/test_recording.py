# SPDX-License-Identifier: Apache-2.0
"""Figures of recordings whose content is known."""

import dataclasses
import math

import numpy as np
import pytest

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.playback.recording import Answer
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.recording import traffic_of
from hoi_ros.playback.recording import truth_agreement

PERIOD = 40_000_000  # nanoseconds: 25 Hz
NOTHING = np.zeros((0, 3))
JOINTS = np.random.default_rng(0).uniform(-0.05, 0.05, (21, 3)) + [0, 0, 0.5]


def hand(side='right', shift=(0, 0, 0), held=None):
    return HandEstimate(
        side=side,
        track_id=1,
        score=0.9,
        joints=JOINTS + np.array(shift),
        joint_scores=np.ones(21),
        pose=np.zeros(48),
        shape=np.zeros(10),
        translation=np.zeros(3),
        vertices=NOTHING,
        held=None
        if held is None
        else ObjectEstimate(0.9, NOTHING, np.array(held, float), np.array([0, 0, 0, 1.0]), np.zeros(3), 0.0, True),
    )


def stamps(count):
    return [1_000_000_000 + PERIOD * number for number in range(count)]


def recording(latencies_ms, sent=None, hands=((),), truth=None):
    """Answers with the latencies, one a stamp, None for a dropped frame; `hands` in turn."""
    answers = [
        Answer(stamp, stamp + int(latency * 1e6), tuple(hands[number % len(hands)]))
        for number, (stamp, latency) in enumerate(zip(stamps(len(latencies_ms)), latencies_ms))
        if latency is not None
    ]
    return Recording(stamps(len(latencies_ms)) if sent is None else sent, answers, truth or {}, [], {}, 'running', 0, 0)


def test_every_frame_answered():
    traffic = traffic_of(recording([5.0] * 50, hands=([hand()],)))
    assert (traffic.frames_in, traffic.frames_out, traffic.dropped, traffic.with_hands) == (50, 50, 0, 50)
    assert traffic.input_hz == pytest.approx(25) and traffic.output_hz == pytest.approx(25)
    assert traffic.latency_p50_ms == pytest.approx(5) and traffic.latency_p99_ms == pytest.approx(5)


def test_half_of_the_frames_dropped():
    traffic = traffic_of(recording([5.0, None] * 25, hands=((), (), [hand()], ())))
    assert (traffic.frames_in, traffic.frames_out, traffic.dropped, traffic.with_hands) == (50, 25, 25, 12)
    assert traffic.input_hz == pytest.approx(25) and traffic.output_hz == pytest.approx(12.5)


def test_percentiles_of_the_latency():
    traffic = traffic_of(recording(list(range(101))))
    assert traffic.latency_p50_ms == pytest.approx(50) and traffic.latency_p99_ms == pytest.approx(99)


def test_latency_that_grows_shows_between_the_thirds():
    traffic = traffic_of(recording([10.0] * 30 + [20.0] * 30 + [30.0] * 30))
    assert traffic.first_third_p50_ms == pytest.approx(10) and traffic.last_third_p50_ms == pytest.approx(30)


def test_the_order_of_arrival_does_not_matter():
    made = recording([10.0] * 3 + [30.0] * 3)
    assert traffic_of(dataclasses.replace(made, answers=made.answers[::-1])) == traffic_of(made)


def test_an_answer_to_a_frame_that_was_not_heard_is_no_gain():
    traffic = traffic_of(recording([5.0] * 10, sent=stamps(10)[::2]))
    assert (traffic.frames_in, traffic.frames_out, traffic.dropped) == (10, 10, 0)


def test_silence_has_no_figures():
    traffic = traffic_of(recording([None] * 10))
    assert (traffic.frames_in, traffic.frames_out, traffic.dropped) == (10, 0, 10)
    assert math.isnan(traffic.latency_p50_ms) and math.isnan(traffic.output_hz)


def agreement(hands, truth, count=10):
    return truth_agreement(recording([5.0] * count, hands=(hands,), truth={stamp: truth for stamp in stamps(count)}))


def test_the_error_is_the_distance_to_the_truth():
    result = agreement([hand(shift=(0.003, 0.004, 0))], [hand()])
    assert (result.true_hands, result.found, result.false_hands, result.side_right) == (10, 10, 0, 10)
    assert result.mean_joint_error_mm == pytest.approx(5)


def test_from_the_wrist_a_shift_does_not_count():
    result = agreement([hand(shift=(0.003, 0.004, 0))], [hand()])
    assert result.mean_relative_joint_error_mm == pytest.approx(0, abs=1e-9)


def test_objects_are_counted_where_their_hands_are_found():
    result = agreement([hand(held=(0, 0.01, 0.5))], [hand(held=(0, 0, 0.5))])
    assert (result.true_objects, result.objects_found, result.false_objects) == (10, 10, 0)
    assert result.mean_object_error_mm == pytest.approx(10)
    result = agreement([hand()], [hand(held=(0, 0, 0.5))])
    assert (result.true_objects, result.objects_found, result.false_objects) == (10, 0, 0)
    assert math.isnan(result.mean_object_error_mm)
    result = agreement([hand(held=(0, 0, 0.5))], [hand()])
    assert (result.true_objects, result.objects_found, result.false_objects) == (0, 0, 10)


def test_the_wrong_side_is_counted():
    result = agreement([hand('left')], [hand()])
    assert (result.found, result.side_right) == (10, 0)


def test_two_hands_are_matched_by_their_place():
    right, left = hand(), hand('left', (0.3, 0, 0))
    result = agreement([hand('left', (0.3, 0, 0.002)), hand()], [right, left])
    assert (result.true_hands, result.found, result.false_hands, result.side_right) == (20, 20, 0, 20)
    assert result.mean_joint_error_mm == pytest.approx(1)


def test_an_estimate_belongs_to_the_nearest_of_hands_that_touch():
    left, right = hand('left'), hand(shift=(0.06, 0, 0))
    result = agreement([hand(shift=(0.06, 0, 0))], [left, right])
    assert (result.true_hands, result.found, result.side_right) == (20, 10, 10)
    assert result.mean_joint_error_mm == pytest.approx(0)
    # Both are found where that is possible, though one of the estimates is nearer to the other hand.
    result = agreement([hand(shift=(0.05, 0, 0)), hand(shift=(0.13, 0, 0))], [left, right])
    assert (result.found, result.false_hands) == (20, 0)


def test_a_far_or_second_estimate_is_false():
    result = agreement([hand(shift=(0.01, 0, 0)), hand(shift=(0.02, 0, 0)), hand(shift=(0.5, 0, 0))], [hand()])
    assert (result.true_hands, result.found, result.false_hands) == (10, 10, 20)
    assert result.mean_joint_error_mm == pytest.approx(10)


def test_a_missing_hand_is_not_found():
    result = agreement([], [hand()])
    assert (result.true_hands, result.found, result.false_hands) == (10, 0, 0)
    assert math.isnan(result.mean_joint_error_mm)


def test_dropped_frames_are_no_missed_hands():
    truth = {stamp: [hand()] for stamp in stamps(10)}
    result = truth_agreement(recording([5.0, None] * 5, hands=([hand()],), truth=truth))
    assert (result.true_hands, result.found) == (5, 5)


def test_the_hands_of_a_frame():
    made = recording([5.0, None], hands=([hand()],))
    assert len(made.hands_at(stamps(2)[0])) == 1 and not made.hands_at(stamps(2)[1])
