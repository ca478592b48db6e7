# SPDX-License-Identifier: Apache-2.0
"""The trigger of nodes that work at a rate of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.timer import Timer

from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.worker_node import AnyWorkerNode

_LONGEST = 1e6
"""Seconds between two turns: rclpy counts them in nanoseconds of 64 bits."""


@dataclasses.dataclass(frozen=True)
class Tick:
    """One turn of a timer: nanoseconds of the node's clock."""

    stamp: int


class TimerTrigger(Part[AnyWorkerNode]):
    """Works at the rate of a parameter while the node is active.

    Args:
        rate: name of the parameter, Hz; 0 for no work.
        work: what is done at each turn, called with the stage as a request; a turn is left out while an earlier one
            waits. Without it, each turn offers a `Tick` as an item.
    """

    def __init__(self, rate: str = 'rate', work: Callable[[Any], None] | None = None) -> None:
        self._rate, self._work = rate, work
        self._running = 0.0
        self._timer: Timer | None = None
        self._waiting = False

    def start(self) -> None:
        self._waiting = False
        self._running = float(self.node.settings[self._rate])
        if self._running > 0:
            # Steady: a simulated clock that stands still must not stop the node.
            clock = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self.node.create_timer(min(1 / self._running, _LONGEST), self._tick, clock=clock)

    def stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer:
            self.node.destroy_timer(timer)

    def settings_changed(self) -> None:
        if self.node.state == 'active' and self._running != float(self.node.settings[self._rate]):
            self.stop()
            self.start()

    def _tick(self) -> None:
        if self._work is None:
            self.node.statistics.received()
            self.node.offer(Tick(self.node.get_clock().now().nanoseconds))
        elif not self._waiting:
            # Before the request: the worker may be through with it at once.
            self._waiting = True
            if not self.node.request(self._run):
                self._waiting = False

    def _run(self, stage: Any) -> None:
        self._waiting = False
        assert self._work is not None
        self._work(stage)
