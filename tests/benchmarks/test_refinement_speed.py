# SPDX-License-Identifier: Apache-2.0
"""The refinement and its peer solve the same problems."""

from benchmarks.refinement_speed import measure


def test_both_bring_the_hand_nearer():
    speed = measure(0, grasps=1, iterations=8)
    assert speed.refinement.time.calls == speed.contactopt.time.calls == 1
    assert speed.refinement.error_after_mm < speed.refinement.error_before_mm
    assert 0 < speed.contactopt.error_after_mm < 4 * speed.contactopt.error_before_mm
    assert speed.contactopt_iterations == 8
