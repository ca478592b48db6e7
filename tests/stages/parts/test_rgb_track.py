# SPDX-License-Identifier: Apache-2.0
"""What a tracked hand remembers from frame to frame."""

from __future__ import annotations

import dataclasses

import numpy as np

from hoi_ros.hand.estimates import Region
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_track import RgbTrack

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
