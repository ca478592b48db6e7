# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions on a thread of their own: loading a network never stops the node's services."""

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
"""Seconds after which a transition that waits for the executor looks whether the node is closed meanwhile."""


class Transitions:
    """Runs the transitions of a node one after the other, whoever asks for them.

    Args:
        node: a lifecycle node whose services are in a reentrant callback group.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._pool = ThreadPoolExecutor(1, f'{THREADS} transitions')
        self._closed = False
        service = node._service_change_state  # rclpy has no public way to answer it later
        self._change_state = service.callback
        service.callback = self._answer

    def run(self, trigger: Callable[[], TransitionCallbackReturn]) -> bool:
        """Runs node.trigger_configure or another trigger and waits for it; whether it succeeded."""
        try:
            return self._pool.submit(trigger).result() == TransitionCallbackReturn.SUCCESS
        except (RuntimeError, CancelledError):
            return False  # the node's state has no such transition (an RCLError), or this is closed

    def on_executor(self, change: Callable[[], Made]) -> Made:
        """Runs on the executor's thread what makes or destroys topics and timers, and waits for it.

        rclpy's executor ends with InvalidHandle where something is destroyed while it gathers what to wait for.

        Args:
            change: returns soon; what it raises is raised here.

        Raises:
            CancelledError: the node is closed, and nobody serves it any more.
        """
        executor = self._node.executor
        if executor is None:
            return change()
        outcome: concurrent.futures.Future[Made] = concurrent.futures.Future()

        def run() -> None:
            try:
                outcome.set_result(change())
            except Exception as error:  # for the thread of the transitions; raised here it would end the node
                outcome.set_exception(error)

        executor.create_task(run)
        while not concurrent.futures.wait([outcome], _GLANCE).done:
            if self._closed:
                raise CancelledError('the node is closed')
        return outcome.result()

    def close(self) -> None:
        """Takes no more; a transition under way goes on until it needs the executor."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        done: Future = Future()

        def change_state() -> None:
            try:
                done.set_result(self._change_state(request, response))
            except rclpy_implementation.RCLError as error:
                # Unanswered, a transition that the state does not have would end the node.
                self._node.get_logger().warning(f'transition refused: {error}')
                response.success = False
                done.set_result(response)
            if self._node.executor:
                self._node.executor.wake()

        self._pool.submit(change_state)
        return await done
