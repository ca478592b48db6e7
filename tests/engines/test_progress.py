# SPDX-License-Identifier: Apache-2.0
import re
import time

import pytest

from hoi_ros.engines.progress import progress_lines


def test_a_long_operation_keeps_talking() -> None:
    said: list[str] = []
    with progress_lines('building', said.append, period_s=0.01):
        while len(said) < 2:
            time.sleep(0.01)
    assert re.fullmatch(r'building: \d+ s so far', said[0])
    assert re.fullmatch(r'building: took \d+ s', said[-1])


def test_a_failed_operation_is_not_said_to_be_done() -> None:
    said: list[str] = []
    with pytest.raises(ValueError, match='broken'), progress_lines('building', said.append):
        raise ValueError('broken')
    assert said == []
