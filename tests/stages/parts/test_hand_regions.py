# SPDX-License-Identifier: Apache-2.0
"""The rule by which regions govern hands."""

import numpy as np
import pytest

from hoi_ros.hand.estimates import Region
from hoi_ros.stages.parts.hand_regions import is_in
from hoi_ros.stages.parts.hand_regions import overlap
from hoi_ros.stages.parts.hand_regions import region_of_tracked
from hoi_ros.stages.parts.hand_regions import without_hand
from hoi_ros.stages.parts.hand_square import HandSquare

LEFT, RIGHT = Region(0, 0, 100, 80), Region(100, 0, 100, 80)


def hand(x, y, side=40.0):
    return HandSquare(np.array([x, y], float), side)


@pytest.mark.parametrize(('x', 'y', 'there'), [(50, 40, True), (109, 40, True), (112, 40, False), (50, 91, False)])
def test_a_hand_is_in_a_region_up_to_a_quarter_of_its_side_beyond_the_edge(x, y, there):
    assert is_in(hand(x, y), LEFT) == there


@pytest.mark.parametrize(
    ('other', 'share'), [(LEFT, 1.0), (RIGHT, 0.0), (Region(50, 0, 100, 80), 1 / 3), (Region(0, 0, 0, 0), 0.0)]
)
def test_overlap_is_intersection_over_union(other, share):
    assert overlap(LEFT, other) == overlap(other, LEFT) == pytest.approx(share)


def test_a_hand_without_a_region_takes_the_nearest_that_it_is_in_or_ends():
    assert region_of_tracked(hand(95, 40), None, [RIGHT, LEFT]) is LEFT
    assert region_of_tracked(hand(250, 40), None, [LEFT, RIGHT]) is None
    assert region_of_tracked(hand(50, 40), None, []) is None


def test_a_hand_stays_in_its_region_and_never_changes_to_another():
    given = [Region(**vars(LEFT)), Region(**vars(RIGHT))]
    assert region_of_tracked(hand(105, 40), LEFT, given) is given[0]
    assert region_of_tracked(hand(130, 40), LEFT, given) is None


def test_a_hand_moves_with_the_box_of_a_detector():
    boxes = [Region(10, 60, 60, 60), Region(160, 60, 60, 60)]
    crossing = [Region(175, 60, 60, 60), Region(25, 60, 60, 60)]
    assert region_of_tracked(hand(60, 90), boxes[0], crossing) is crossing[1]
    assert region_of_tracked(hand(200, 90), boxes[0], crossing) is None
    # A box that jumped is the one that the hand is in.
    jumped = [Region(90, 60, 60, 60)]
    assert region_of_tracked(hand(115, 90), boxes[0], jumped) is jumped[0]


def test_regions_of_tracked_hands_are_not_searched():
    assert without_hand([LEFT, RIGHT], [RIGHT, None]) == [LEFT]
    # Equal rectangles are different regions.
    same = Region(**vars(LEFT))
    assert without_hand([LEFT, same], [LEFT]) == [same]
