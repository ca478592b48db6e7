# SPDX-License-Identifier: Apache-2.0
import pytest

from hoi_ros.nodes.runtime.marker_lifetime import MarkerLifetime


def test_markers_last_until_the_next_ones_are_drawn():
    now = [0.0]
    lifetime = MarkerLifetime(lambda: now[0])
    assert lifetime.next(10.0) == pytest.approx(0.2)
    now[0] += 0.4  # results are slower than the rate
    assert lifetime.next(10.0) == pytest.approx(0.8)
    now[0] += 1.1  # photos
    assert lifetime.next(10.0) == pytest.approx(2.2)
    now[0] += 60.0  # nobody listened for a while
    assert lifetime.next(10.0) == pytest.approx(0.2)
