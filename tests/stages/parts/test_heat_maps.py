# SPDX-License-Identifier: Apache-2.0
"""Peaks of a heat map and their pixels."""

import numpy as np
import pytest

from hoi_ros.stages.parts.heat_maps import peaks
from hoi_ros.stages.parts.heat_maps import pixel_of


def test_peaks_are_the_local_maxima_above_the_threshold_highest_first() -> None:
    heat = np.zeros((6, 8), np.float32)
    heat[1, 1], heat[1, 2] = 0.5, 0.4  # the second is next to a larger one
    heat[4, 6] = 0.9
    heat[5, 0] = 0.05  # below the threshold
    assert peaks(heat, 0.1) == [(4, 6), (1, 1)]
    assert peaks(heat, 0.95) == []


def test_the_centre_of_a_cell_is_the_centre_of_its_pixels() -> None:
    # The pixels 4 to 7 and 8 to 11, whose centres are at whole numbers.
    assert pixel_of((2, 1), np.zeros(2), 4) == pytest.approx([5.5, 9.5])
    assert pixel_of((0, 0), np.array([0.25, -0.5]), 4) == pytest.approx([2.5, -0.5])
