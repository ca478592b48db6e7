# SPDX-License-Identifier: Apache-2.0
"""Two hands are sampled by the stage and by its peer."""

import numpy as np

from benchmarks.peers.two_hand_interhandgen import InterHandGen
from benchmarks.two_hand_sampling import measure


def test_the_peer_has_the_passes_of_the_paper():
    peer, passes = InterHandGen('small', steps=4), []
    peer.network.register_forward_hook(lambda network, inputs, clean: passes.append(float(inputs[3][0])))
    second, first = peer(2, 0)
    assert first.shape == second.shape == (2, 64) and np.isfinite(second).all()
    assert passes == [0.0] * 4 + [1.0, 0.0] * 4


def test_both_are_timed():
    speeds = measure(0, counts=(2,), peer=InterHandGen('small', steps=1))
    (speed,) = speeds.values()
    assert list(speeds) == ['2 at a time'] and speed.stage.calls == 30 and speed.interhandgen.calls == 3
    assert (speed.stage_steps, speed.interhandgen_steps) == (8, 1)
    assert speed.ratio == speed.interhandgen.p50_ms / speed.stage.p50_ms > 0
