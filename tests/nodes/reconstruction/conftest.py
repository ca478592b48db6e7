# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from hoi_ros.msg import HeldObjectArray

from ..bench import NodeProcess
from .colour_bench import by_depth
from .colour_bench import ColourBench
from .colour_bench import NODE
from .colour_bench import STAND_IN


@pytest.fixture(scope='module')
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    process = NodeProcess(STAND_IN, tmp_path_factory.mktemp('node') / 'log.txt')
    yield process
    assert process.end() == 0, process.log
    assert 'Traceback' not in process.log


@pytest.fixture(scope='module')
def shared_bench() -> Iterator[ColourBench]:
    bench = ColourBench(NODE)
    for kind, topic in (
        (HeldObjectArray, f'{NODE}/objects'),
        (Detection3DArray, f'{NODE}/object_boxes'),
        (MarkerArray, f'{NODE}/markers'),
        (TFMessage, '/tf'),
    ):
        bench.listen(kind, topic)
    yield bench
    bench.close()


@pytest.fixture
def bench(shared_bench: ColourBench, node: NodeProcess) -> Iterator[ColourBench]:
    """The node starts active, and is alive and uses depth after each test."""
    shared_bench.until_state('active')
    yield shared_bench
    assert node.alive, node.log
    shared_bench.until_answer(shared_bench.send_good, by_depth, 'a hand located by depth')
