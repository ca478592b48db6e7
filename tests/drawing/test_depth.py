# SPDX-License-Identifier: Apache-2.0
"""Depth images as colour pictures."""

import numpy as np
import pytest

from hoi_ros.drawing.depth import colour_depth


def test_depth_is_bright_near_and_black_where_unknown():
    depth = np.tile(np.linspace(0.3, 1.0, 64, dtype=np.float32), (64, 1))
    depth[:8] = 0
    depth[8:16] = np.nan
    picture = colour_depth(depth)
    assert (picture[:16] == 0).all() and (picture[16:].max(-1) > 0).all()
    brightness = picture[32].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert brightness[0] > 150 and brightness[-1] < 60 and (np.diff(brightness) < 6).all()


@pytest.mark.parametrize('depth', [np.zeros((8, 8)), np.full((8, 8), np.nan), np.full((8, 8), 0.5)])
def test_flat_and_empty_depth(depth):
    picture = colour_depth(depth.astype(np.float32))
    assert picture.shape == (8, 8, 3) and picture.any() == (depth > 0).any()


def test_a_given_range_does_not_depend_on_the_image():
    depth = np.full((8, 8), 0.5, np.float32)
    other = depth.copy()
    other[0, 0] = 0.9
    np.testing.assert_array_equal(colour_depth(depth, 0.3, 1)[4], colour_depth(other, 0.3, 1)[4])
