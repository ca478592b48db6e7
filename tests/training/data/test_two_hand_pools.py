# SPDX-License-Identifier: Apache-2.0
"""Files of pairs that several commands share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data import two_hand_pools
from training.data.two_hand_pools import HeldOutPools


def test_a_file_that_holds_more_pairs_serves_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(two_hand_pools, 'filled', lambda *given: asked.append(given[4]) or np.arange(given[4]))
    pools = HeldOutPools(tmp_path / 'pairs.pool')
    assert len(pools.held_out('validation', 3)) == 3
    (tmp_path / 'pairs_validation.pool').touch()
    np.ones(5, np.int32).tofile(tmp_path / 'pairs_validation.counts')
    assert pools.held_out('validation', 3).tolist() == [0, 1, 2]
    assert len(pools.held_out('validation', 8)) == 8
    assert asked == [3, 5, 8]
