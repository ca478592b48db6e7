# SPDX-License-Identifier: Apache-2.0
"""The cost of contact networks: figures of one small batch, and their rows in the table."""

import pytest

from benchmarks import report
from benchmarks.contact_cost import _measured
from benchmarks.contact_cost import CostError
from benchmarks.parts import cost_part
from hoi_ros.systems import System


def test_the_failure_of_a_process_is_told() -> None:
    with pytest.raises(CostError, match="(?s)no such network, inference: ended with 1: .*KeyError: 'no such network'"):
        _measured('no such network', 'inference')


@pytest.mark.slow
def test_a_training_step_has_a_cost() -> None:
    found = _measured('gcn', 'training')
    assert found['training_memory_mb'] > 1 and 0 < found['training_seconds'] < 60


def test_the_table_has_a_row_for_each_network() -> None:
    system = System(name='touch', stage='nowhere:Nothing', images=())
    cost = {'parameters': 587658, 'seconds': 12.34, 'memory_mb': 400.0}
    results = [{cost_part('touch'): {'measured': {}, 'gcn': cost}}]
    (row,) = report._cost_rows(system, results)
    assert row.cell(results[0]) == '587,658; 12.3 s, 400 MB'
