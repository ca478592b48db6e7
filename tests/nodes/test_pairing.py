# SPDX-License-Identifier: Apache-2.0
from hoi_ros.nodes.pairing import Pairing
from hoi_ros.nodes.pairing import nearest

MS = 1_000_000


def test_a_lone_leader_is_a_frame_once_its_constants_are_known():
    pairing = Pairing('depth', constants=('camera_info',))
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


def test_clear_forgets_messages_but_not_constants():
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
