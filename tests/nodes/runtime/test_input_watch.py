# SPDX-License-Identifier: Apache-2.0
import pytest

from hoi_ros.nodes.runtime.input_watch import InputWatch
from hoi_ros.nodes.runtime.throttle import Throttle

MS = 1_000_000


class Clock:
    now = 7.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return InputWatch(('depth', 'image'), clock)


def test_silence_counts_from_the_beginning_and_then_from_the_last_message(watch, clock):
    clock.now += 2
    assert watch.silence('depth') == 2
    assert not watch.seen('depth')
    assert watch.arrived('depth', 0) == 0
    clock.now += 3
    assert watch.silence('depth') == 3
    assert watch.arrived('depth', 1) == 3
    assert watch.seen('depth')


def test_skew_is_the_median_to_the_nearest_stamp(watch):
    assert watch.skew('depth', 'image') is None
    for index in range(10):
        watch.arrived('depth', index * 33 * MS)
        watch.arrived('image', index * 33 * MS + 4 * MS)
    assert watch.skew('depth', 'image') == pytest.approx(0.004)
    assert watch.skew('image', 'depth') == pytest.approx(-0.004)


def test_a_partner_still_under_way_is_no_skew(watch):
    for index in range(5):
        watch.arrived('depth', index * 33 * MS)
        watch.arrived('image', index * 33 * MS)
    watch.arrived('image', 5 * 33 * MS)
    assert watch.skew('depth', 'image') == 0


def test_stamps_that_start_over_do_not_pair_with_the_old_ones(watch):
    watch.arrived('depth', 900 * MS)
    watch.arrived('image', 900 * MS)
    for index in range(4):
        watch.arrived('depth', index * 33 * MS)
        watch.arrived('image', index * 33 * MS + 2 * MS)
    assert watch.skew('depth', 'image') == pytest.approx(0.002)


def test_a_throttle_lets_each_subject_through_once_a_period(clock):
    throttle = Throttle(5, clock)
    assert throttle.allows('a')
    assert throttle.allows('b')
    assert not throttle.allows('a')
    clock.now += 4.9
    assert not throttle.allows('a')
    clock.now += 0.2
    assert throttle.allows('a')


def test_texts_that_differ_in_numbers_only_are_one_subject_and_topics_keep_theirs(clock):
    throttle = Throttle(5, clock)
    assert throttle.allows('depth on /camera1/depth holds 1000 bytes of 640x480 pixels, 1.5e-3 m')
    assert not throttle.allows('depth on /camera1/depth holds 1024 bytes of 320x240 pixels, 17.25 m')
    assert throttle.allows('depth on /camera2/depth holds 1000 bytes of 640x480 pixels, 1.5e-3 m')
    assert throttle.allows('depth on /camera1/depth holds no bytes')
    assert throttle.allows(('missing', 'depth 1')) and throttle.allows(('missing', 'depth 2'))


def test_an_older_stamp_is_late_and_a_step_back_of_a_second_is_a_restart(watch):
    orders = [watch.order('depth', stamp * MS) for stamp in (5000, 5033, 5033, 5010, 5066, 4066, 4065, 4100)]
    assert [order.value for order in orders] == ['next'] * 3 + ['late', 'next', 'late', 'restart', 'next']
    assert watch.order('image', 100 * MS).value == 'next'


def test_late_messages_that_no_newer_one_follows_for_a_second_are_a_restart(watch, clock):
    assert watch.order('depth', 5000 * MS).value == 'next'
    orders = []
    for index in range(14):
        clock.now += 0.1
        orders.append(watch.order('depth', (4300 + index) * MS).value)
    assert orders == ['late'] * 11 + ['restart', 'next', 'next']


def test_a_late_message_is_no_silence_and_no_skew(watch, clock):
    for index in range(5):
        watch.arrived('depth', index * 33 * MS)
        watch.arrived('image', index * 33 * MS)
    clock.now += 3
    watch.arrived('image', None)
    assert watch.silence('image') == 0
    assert watch.skew('depth', 'image') == 0


def send(watch, *kept):
    """Messages at 30 Hz: for each input, which of them arrive."""
    for index in range(200):
        for name, arrives in zip(('depth', 'image'), kept):
            if arrives(index):
                watch.arrived(name, index * 33 * MS)


def always(index):
    return True


def some(index):
    return index % 7 in (0, 1, 4)


def test_an_input_that_loses_messages_has_a_share(watch):
    send(watch, always, some)
    assert watch.share('image', 'depth') == pytest.approx(3 / 7, abs=0.03)
    assert watch.share('depth', 'image') is None


@pytest.mark.parametrize(
    'kept',
    [always, lambda index: index % 2 == 0, lambda index: not 150 < index < 185, lambda index: index % 60 == 0],
    ids=['the same rate', 'half of the rate', 'a pause', 'few'],
)
def test_an_input_that_loses_none_has_no_share(watch, kept):
    send(watch, always, kept)
    assert watch.share('image', 'depth') is None


@pytest.mark.parametrize('step', [0, 1])
def test_stamps_of_another_time_have_no_share(watch, step):
    for index in range(100):
        watch.arrived('depth', (5000 + 33 * index + 60 * (index % 3 == 0)) * MS)
        watch.arrived('image', step * index)
    assert watch.share('depth', 'image') is None


def test_the_skew_of_an_input_at_a_lower_rate(watch):
    send(watch, always, lambda index: index % 6 == 0)
    assert watch.skew('depth', 'image') == 0
