# SPDX-License-Identifier: Apache-2.0
import math
import re

import pytest

from hoi_ros.nodes.runtime.stamp_watch import latency_of
from hoi_ros.nodes.runtime.stamp_watch import StampWatch

NOW = 1_790_000_000 * 10**9


def described(stamps, now=NOW):
    watch = StampWatch()
    for stamp in stamps:
        watch.arrived('image', stamp, now)
    return watch.describe('image', 'image on /camera/image')


FAULTY = {
    'stamps of 0': ([0] * 3, NOW, 'image on /camera/image has stamps of 0.*have the driver stamp'),
    'simulated time without a clock': ([NOW] * 3, 0, 'use_sim_time is true, but nobody publishes /clock.*--clock'),
    'a clock that is ahead': ([NOW + 3 * 10**9] * 3, NOW, '3.0 s ahead of the clock of this node.*synchronise'),
    'a clock that is behind': ([NOW - 45 * 10**9] * 3, NOW, '45.0 s behind the clock'),
    'the time of a device': ([7_000 * 10**9] * 3, NOW, '57 years behind.*with the time of ROS and not of its device'),
    'an old recording': ([NOW - 10 * 86400 * 10**9] * 3, NOW, '10 days behind.*use_sim_time:=true'),
    'no simulated stamps at simulated time': ([NOW] * 3, 50 * 10**9, '57 years ahead'),
}


@pytest.mark.parametrize('what', FAULTY)
def test_stamps_of_another_clock_are_described_with_the_mend_and_give_no_latency(what):
    stamps, now, told = FAULTY[what]
    assert re.search(told, described(stamps, now))
    assert math.isnan(latency_of(stamps[-1], now))


def test_stamps_of_the_clock_are_not_described():
    assert described([NOW - 10**9, NOW, NOW + 10**7]) == ''
    assert described([]) == ''
    assert latency_of(NOW - 25 * 10**6, NOW) == pytest.approx(0.025)


def test_a_single_bad_stamp_is_not_described():
    assert described([NOW, 0, NOW]) == described([0, 0]) == ''
    assert described([0, NOW + 10**12, 0]) == ''
