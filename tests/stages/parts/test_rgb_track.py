# SPDX-License-Identifier: Apache-2.0
"""What a tracked hand remembers from frame to frame."""

from __future__ import annotations

import dataclasses

import numpy as np

from hoi_ros.hand.estimates import Region
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_track import RgbTrack
from hoi_ros.stages.parts.scores import log_odds

LOST_AND_FOUND = (0.0, 'right'), (0.05, 'right'), (0.05, 'left')
HAND = DetectedHand(np.array([100.0, 100.0]), 60.0, 0.9, 0.5, 0.6, (80.0, 80.0, 130.0, 130.0))


def test_the_side_is_that_of_the_latest_region() -> None:
    track = RgbTrack.start(HAND, 0.0, Region(70, 70, 60, 60, 'right'))
    assert track.right and track.side_given
    track.give_side('left')
    assert not track.right and track.side_given
    # Once no region says a side any more, a few frames may revise it.
    track.give_side(None)
    track.forget_side()
    assert not track.side_given and not track.right and track.side_unsure
    before = dataclasses.replace(track)
    track.give_side(None)
    assert track.side_evidence == before.side_evidence


def test_a_hand_lets_go_when_that_is_likely() -> None:
    track = RgbTrack.start(HAND, 0.0)
    held = []
    for holds in (0.45, 0.55, 0.45, 0.35, 0.45):
        track.holds = holds
        held.append(track.keeps_hold())
    assert held == [False, True, True, False, False]


def test_one_frame_in_which_the_detector_sees_nothing_counts_half() -> None:
    track = RgbTrack.start(HAND, 0.0)
    sure = track.detector_odds
    track.detected(None)
    nothing = log_odds(0.0)
    assert track.detector_odds == 0.5 * (sure + nothing)
    track.detected(HAND)
    assert track.detector_odds == sure
    for _ in range(9):
        track.detected(None)
    assert abs(track.detector_odds - nothing) < 0.05


def test_a_new_hand_may_be_a_lost_one_of_its_side() -> None:
    lost, found, other = (RgbTrack.start(HAND, stamp, Region(70, 70, 60, 60, side)) for stamp, side in LOST_AND_FOUND)
    lost.velocity, lost.identity, lost.reach = np.array([300.0, 0.0]), 7, 1.1
    assert found.may_be(lost, 0.05) and not other.may_be(lost, 0.05) and not found.may_be(lost, 0.5)
    for given in (True, False):
        # A side that a region gives is not doubted, nor strengthened, by that of frames before.
        found.side_given, before = given, found.side_evidence
        found.go_on_from(lost)
        assert (found.identity, found.reach) == (7, 1.1)
        assert (found.side_evidence > before) == (not given)
