# SPDX-License-Identifier: Apache-2.0
import time

import pytest

from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.pairing import nearest
from hoi_ros.nodes.runtime.pairing import Pairing

MS = 1_000_000


def test_a_lone_leader_is_a_frame_once_its_latest_inputs_are_known():
    pairing = Pairing('depth', latest=('camera_info',))
    assert pairing.put('depth', 1, 'd1') is None
    pairing.put('camera_info', 99, 'info')
    frame = pairing.put('depth', 2, 'd2')
    assert frame.stamp == 2
    assert frame.messages == {'depth': 'd2', 'camera_info': 'info'}


def test_exact_partners_meet_in_either_order():
    pairing = Pairing('image', ('depth',))
    assert pairing.put('image', 10, 'i') is None
    assert pairing.put('depth', 11, 'other') is None
    assert pairing.put('depth', 10, 'd') is None, 'stamps within a topic only grow'
    pairing = Pairing('image', ('depth',))
    assert pairing.put('depth', 10, 'd') is None
    assert pairing.put('image', 10, 'i').messages == {'image': 'i', 'depth': 'd'}


def test_partners_within_the_tolerance_meet_and_the_nearest_wins():
    pairing = Pairing('image', ('depth',), tolerance=5 * MS)
    pairing.put('depth', 0, 'far')
    pairing.put('depth', 8 * MS, 'near')
    assert pairing.put('image', 10 * MS, 'i').messages['depth'] == 'near'
    assert pairing.put('image', 43 * MS, 'later') is None


def test_what_a_newer_frame_overtook_is_never_used():
    pairing = Pairing('image', ('depth',))
    pairing.put('image', 1, 'i1')
    pairing.put('image', 2, 'i2')
    assert pairing.put('depth', 2, 'd2').messages['image'] == 'i2'
    assert pairing.put('depth', 1, 'd1') is None


def test_stamps_that_go_backwards_start_over_once():
    pairing = Pairing('image', ('depth',))
    pairing.put('depth', 100, 'd')
    assert not pairing.put('image', 100, 'i').restarted
    assert pairing.put('image', 5, 'i') is None
    assert pairing.put('depth', 5, 'd').restarted
    pairing.put('image', 6, 'i')
    assert not pairing.put('depth', 6, 'd').restarted


def test_a_silent_partner_does_not_pile_messages_up():
    pairing = Pairing('image', ('depth',), depth=4)
    for stamp in range(100):
        pairing.put('image', stamp, stamp)
    assert pairing.put('depth', 95, 'd') is None
    assert pairing.put('depth', 99, 'd').messages['image'] == 99


def test_clear_forgets_messages_but_not_latest_inputs():
    pairing = Pairing('image', ('depth',), ('camera_info',))
    pairing.put('camera_info', 0, 'info')
    pairing.put('image', 1, 'i')
    pairing.clear()
    assert pairing.put('depth', 1, 'd') is None
    pairing.put('image', 2, 'i')
    assert pairing.put('depth', 2, 'd').messages['camera_info'] == 'info'


def test_nearest():
    assert nearest([1], 3) == 1
    assert nearest([1, 4, 9], 3) == 4
    assert nearest([1, 4, 9], 100) == 9


def optional_input(tolerance=20 * MS, **more):
    return Pairing('image', latest=('camera_info',), optional={'depth': tolerance}, **more)


def started(**more):
    pairing = optional_input(**more)
    pairing.put('camera_info', 0, 'info')
    return pairing


def test_a_optional_input_that_never_came_is_not_waited_for():
    frame = started().put('image', 33 * MS, 'i')
    assert frame.messages == {'image': 'i', 'camera_info': 'info'} and frame.unmatched == {}


def test_a_optional_input_completes_a_frame_in_either_order():
    pairing = started()
    pairing.put('depth', 0, 'd0')
    assert pairing.put('image', 33 * MS, 'i1') is None
    assert pairing.put('depth', 33 * MS, 'd1').messages['depth'] == 'd1'
    pairing.put('depth', 66 * MS, 'd2')
    assert pairing.put('image', 66 * MS, 'i2').messages['depth'] == 'd2'


def test_a_frame_goes_on_without_its_optional_input_when_the_next_one_comes():
    pairing = started()
    pairing.put('depth', 0, 'd0')
    assert pairing.put('image', 100 * MS, 'i1') is None
    frame = pairing.put('image', 133 * MS, 'i2')
    assert frame.messages['image'] == 'i1' and 'depth' not in frame.messages
    assert frame.unmatched == {'depth': -100 * MS}
    assert pairing.put('depth', 133 * MS, 'd2').messages == {'image': 'i2', 'depth': 'd2', 'camera_info': 'info'}


def test_a_frame_whose_optional_input_can_not_come_any_more_goes_on_at_once():
    pairing = started()
    pairing.put('depth', 5000 * MS, 'd')
    frame = pairing.put('image', 33 * MS, 'i')
    assert frame.unmatched == {'depth': 4967 * MS} and 'depth' not in frame.messages


def test_a_silent_optional_input_is_not_waited_for():
    alive = True
    pairing = started(alive=lambda name: alive)
    pairing.put('depth', 0, 'd0')
    assert pairing.put('image', 33 * MS, 'i1') is None
    alive = False
    assert pairing.put('image', 66 * MS, 'i2').messages['image'] == 'i2'


def test_the_interval_of_an_optional_input_is_its_usual_one():
    pairing = Pairing('image', optional={'depth': 0})
    assert pairing.interval('depth') == 0
    for stamp in (0, 100, 200, 500, 600):
        pairing.put('depth', stamp, 'a depth image')
    assert pairing.interval('depth') == 100


def test_the_exact_optional_input_is_preferred_to_one_that_is_near():
    pairing = started()
    pairing.put('depth', 0, 'd0')
    pairing.put('depth', 16 * MS, 'd1')
    assert pairing.put('image', 32 * MS, 'i') is None, 'the next one will be nearer'
    assert pairing.put('depth', 32 * MS, 'd2').messages['depth'] == 'd2'


def test_no_nearer_optional_input_is_waited_for_where_none_is_to_be_expected():
    pairing = started()
    pairing.put('depth', 0, 'd0')
    pairing.put('depth', 33 * MS, 'd1')
    assert pairing.put('image', 40 * MS, 'i').messages['depth'] == 'd1'


def simulated(lag, period=33, partner_period=33, tolerance=20, frames=200):
    """(frames, how many have the depth of their own stamp) where depth arrives `lag` ms after its image."""
    pairing = started(tolerance=tolerance * MS)
    events = [(n * period, 'image', n * period) for n in range(frames)]
    last = (frames - 1) * period
    events += [(stamp + lag, 'depth', stamp) for stamp in range(0, last + 1, partner_period)]
    complete = [(at, frame) for at, topic, stamp in sorted(events) if (frame := pairing.put(topic, stamp * MS, stamp))]
    for _, frame in complete:
        assert frame.messages.get('depth', frame.messages['image']) == frame.messages['image'], 'of another image'
    return complete, sum('depth' in frame.messages for _, frame in complete)


@pytest.mark.parametrize(
    ('lag', 'period', 'tolerance'), [(5, 33, 20), (40, 33, 20), (40, 33, 50), (100, 33, 200), (20, 17, 20)]
)
def test_an_optional_input_that_always_comes_late_is_waited_for(lag, period, tolerance):
    complete, paired = simulated(lag, period, period, tolerance)
    assert len(complete) > 190 and paired > 180
    assert all(at == frame.messages['image'] + lag for at, frame in complete if 'depth' in frame.messages)


def test_an_optional_input_that_comes_much_too_late_is_not_waited_for():
    complete, paired = simulated(600)
    assert len(complete) > 190 and not paired
    assert all(at == frame.messages['image'] for at, frame in complete[20:])


def test_frames_that_wait_never_fill_the_store():
    """At a high rate as many frames as fit wait: the oldest goes on without depth."""
    complete, _ = simulated(200, period=10, partner_period=10)
    assert len(complete) > 180


def test_of_an_optional_input_at_half_the_rate_only_what_is_due_is_waited_for():
    complete, paired = simulated(3, partner_period=66)
    assert len(complete) > 190 and paired > 95
    assert all(at == frame.messages['image'] for at, frame in complete[6:] if 'depth' not in frame.messages)


def test_a_optional_input_whose_stamps_go_backwards_starts_over_alone():
    pairing = started()
    pairing.put('depth', 1000 * MS, 'old')
    assert pairing.put('depth', 33 * MS, 'new') is None
    frame = pairing.put('image', 33 * MS, 'i')
    assert frame.messages['depth'] == 'new' and not frame.restarted


def test_a_recording_that_starts_over_keeps_the_optional_input_that_came_first():
    pairing = started()
    pairing.put('depth', 1000 * MS, 'd')
    assert pairing.put('image', 1000 * MS, 'i').messages['depth'] == 'd'
    pairing.put('depth', 33 * MS, 'd0')
    frame = pairing.put('image', 33 * MS, 'i0')
    assert frame.restarted and frame.messages['depth'] == 'd0'
    pairing.put('depth', 66 * MS, 'd1')
    frame = pairing.put('image', 66 * MS, 'i1')
    assert not frame.restarted and frame.messages['depth'] == 'd1'


def test_without_its_latest_inputs_a_frame_does_not_go_on():
    pairing = optional_input()
    pairing.put('depth', 0, 'd')
    assert pairing.put('image', 0, 'i') is None


def test_the_time_of_a_frame_is_its_stamp_and_runs_on_where_the_stamps_are_0():
    assert Frame(2_500_000_000, {}).seconds == 2.5
    first = Frame(0, {}).seconds
    time.sleep(0.01)
    assert Frame(0, {}).seconds > first > 0
