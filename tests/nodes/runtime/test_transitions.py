# SPDX-License-Identifier: Apache-2.0
"""Transitions on a thread of their own, whose topics come and go on the executor's."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from concurrent.futures import ThreadPoolExecutor

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from hoi_ros.nodes.runtime.managed_node import LIFECYCLE_SETTINGS
from hoi_ros.nodes.runtime.managed_node import ManagedNode

from ..bench import TIMEOUT

pytestmark = [pytest.mark.slow, pytest.mark.ros]


class Probe(ManagedNode):
    """Notes which thread makes and destroys its topics."""

    def __init__(self, fault: str = '') -> None:
        self.fault = fault
        self.threads: dict[str, threading.Thread] = {}
        super().__init__('probe', {'Lifecycle': LIFECYCLE_SETTINGS})

    def load(self) -> None:
        self.threads['load'] = threading.current_thread()
        self.create_output(Header, '~/output', QoSProfile(depth=1))

    def create_lifecycle_publisher(self, *arguments: object) -> object:
        self.threads['create'] = threading.current_thread()
        return super().create_lifecycle_publisher(*arguments)

    def destroy_lifecycle_publisher(self, *arguments: object) -> object:
        self.threads['destroy'] = threading.current_thread()
        return super().destroy_lifecycle_publisher(*arguments)

    def start(self) -> None:
        self.threads['start'] = threading.current_thread()
        if self.fault:
            raise ValueError(self.fault)

    def stop(self) -> None:
        self.threads['stop'] = threading.current_thread()


@contextlib.contextmanager
def served(node: ManagedNode) -> Iterator[threading.Thread]:
    """Serves the node on a thread of its own until the block ends."""
    executor, ended = SingleThreadedExecutor(), threading.Event()
    executor.add_node(node)

    def serve() -> None:
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield thread
    finally:
        ended.set()
        thread.join(TIMEOUT)
        node.close()
        node.destroy_node()
        executor.shutdown()


def until_state(node: ManagedNode, state: str) -> None:
    end = time.monotonic() + TIMEOUT
    while node.state != state:
        assert time.monotonic() < end, (node.state, state)
        time.sleep(0.02)


def test_topics_come_and_go_on_the_thread_that_waits_for_them() -> None:
    node = Probe()
    with served(node) as serving:
        until_state(node, 'active')
        for trigger in (node.trigger_deactivate, node.trigger_cleanup):
            assert node._transitions.run(trigger)
        assert node.threads.pop('load') is not serving
        assert set(node.threads) == {'create', 'destroy', 'start', 'stop'}
        assert set(node.threads.values()) == {serving}


def test_what_fails_on_the_executor_is_said_and_does_not_end_it() -> None:
    node = Probe(fault='the lens is dirty')
    with served(node) as serving:
        until_state(node, 'inactive')
        assert not node._transitions.run(node.trigger_activate)
        assert node.state == 'inactive'
        assert serving.is_alive()
        node.fault = ''
        assert node._transitions.run(node.trigger_activate)
        assert node.state == 'active'


def test_a_transition_ends_with_the_node_that_nobody_serves_any_more() -> None:
    node, executor = Probe(), SingleThreadedExecutor()
    executor.add_node(node)
    done: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(node._transitions.on_executor, lambda: done.append('too late'))
        node.close()
        with pytest.raises(CancelledError):
            waiting.result(TIMEOUT)
    assert not done
    node.destroy_node()
    executor.shutdown()
