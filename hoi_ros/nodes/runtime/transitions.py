# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions on a thread of their own: loading a network never blocks the node's services."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from typing import TypeVar

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.task import Future

from hoi_ros.nodes.runtime.worker import THREADS

Made = TypeVar('Made')
_GLANCE = 0.1
"""Seconds between two checks whether the node was closed while a transition waits for the executor."""


class Transitions:
    """Runs the transitions of a node one at a time.

    Args:
        node: a lifecycle node whose services are in a reentrant callback group.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._pool = ThreadPoolExecutor(1, f'{THREADS} transitions')
        self._closed = False
        service = node._service_change_state  # rclpy has no public API for a deferred reply
        self._change_state = service.callback
        service.callback = self._answer

    def run(self, trigger: Callable[[], TransitionCallbackReturn]) -> bool:
        """Runs node.trigger_configure or another trigger and waits; returns whether it succeeded."""
        try:
            return self._pool.submit(trigger).result() == TransitionCallbackReturn.SUCCESS
        except (RuntimeError, CancelledError):
            return False  # the node's state has no such transition (an RCLError), or this is closed

    def on_executor(self, change: Callable[[], Made]) -> Made:
        """Runs a change of topics, services or timers on the executor's thread and waits for it.

        rclpy's executor raises InvalidHandle when an entity is destroyed while it builds its wait set.

        Args:
            change: short; its exceptions are raised here.

        Raises:
            CancelledError: the node is closed and its executor has stopped.
        """
        executor = self._node.executor
        if executor is None:
            return change()
        outcome: concurrent.futures.Future[Made] = concurrent.futures.Future()

        def run() -> None:
            try:
                outcome.set_result(change())
            except Exception as error:  # raised on the thread of the transitions; here it would end the node
                outcome.set_exception(error)

        executor.create_task(run)
        while not concurrent.futures.wait([outcome], _GLANCE).done:
            if self._closed:
                raise CancelledError('the node is closed')
        return outcome.result()

    def close(self) -> None:
        """Accepts no further transition; a running one continues until it needs the executor."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        done: Future = Future(executor=self._node.executor)

        def change_state() -> None:
            try:
                done.set_result(self._change_state(request, response))
            except rclpy_implementation.RCLError as error:
                # An invalid transition that is not answered would end the node.
                self._node.get_logger().warning(f'transition refused: {error}')
                response.success = False
                done.set_result(response)
            if self._node.executor:
                self._node.executor.wake()

        self._pool.submit(change_state)
        return await done
