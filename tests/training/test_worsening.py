# SPDX-License-Identifier: Apache-2.0
"""Errors are better the smaller they are, shares the larger they are, and counts say nothing."""

from __future__ import annotations

import pytest

from training.worsening import worse_figures


@pytest.mark.parametrize(
    ('name', 'before', 'after', 'worse'),
    [
        ('within_40_mm', 0.8, 0.9, False),
        ('within_40_mm', 0.9, 0.8, True),
        ('mean_joint_error_mm', 7.0, 8.0, True),
        ('mean_joint_error_mm', 8.0, 7.0, False),
        ('test_intersection_cm3', 5.0, 6.0, True),
        ('found', 0.9, float('nan'), True),
        ('found', 0.9, 0.899, False),
        ('test_frames', 300, 100, False),
    ],
)
def test_a_figure_is_worse_in_its_own_direction(name: str, before: float, after: float, worse: bool) -> None:
    assert bool(worse_figures({name: before}, {name: after})) == worse
