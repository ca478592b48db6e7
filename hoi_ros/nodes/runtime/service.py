# SPDX-License-Identifier: Apache-2.0
"""The trigger of nodes that work on request: a service whose reply is deferred until the worker is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.service import Service
from rclpy.task import Future

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.worker_node import AnyWorkerNode


class ServiceTrigger(Part[AnyWorkerNode]):
    """Answers every call once: on the worker's thread while the node is active and enabled, else with a refusal.

    Args:
        service_type: a service whose response has `success` and `message`.
        name: of the service.
        answer: (stage, request, response) → response; on the worker's thread. What it raises is the refusal's message.
        check: (request) → what `answer` is called with as its request. What it raises is the refusal's message, at
            once, whatever the worker does; on the executor's thread.
        most: calls that wait or are answered at a time; more are refused at once.
    """

    def __init__(
        self,
        service_type: Any,
        name: str,
        answer: Callable[[Any, Any, Any], Any],
        check: Callable[[Any], Any] = lambda request: request,
        most: int = 64,
    ) -> None:
        self._type, self._name, self._answer = service_type, name, answer
        self._check, self._most = check, most
        self._service: Service | None = None
        self._pending: dict[Future, Any] = {}

    def load(self) -> None:
        # A reply that is awaited would hold up the callbacks of its own group.
        group = ReentrantCallbackGroup()
        self._service = self.node.on_executor(
            lambda: self.node.create_service(self._type, self._name, self._call, callback_group=group)
        )

    def unload(self) -> None:
        self._refuse_pending()
        service, self._service = self._service, None
        if service:
            self.node.destroy_service(service)

    def stop(self) -> None:
        self._refuse_pending()

    async def _call(self, request: Any, response: Any) -> Any:
        reply: Future = Future(executor=self.node.executor)
        if reason := self.node.idle_reason:
            return _refused(response, f'{self.node.get_name()} is {reason}')
        try:
            checked = self._check(request)
        except FrameRefused as error:
            return _refused(response, str(error))
        except Exception as error:  # one bad request must not end the node
            reason = f'{type(error).__name__}: {error}'
            self.node.report('error', f'a call of {self._name} failed: {reason}')
            return _refused(response, reason)
        if len(self._pending) >= self._most:
            return _refused(response, f'{len(self._pending)} calls of {self._name} wait already: call again later')
        self._pending[reply] = response

        def run(stage: Any) -> None:
            try:
                answered = self._answer(stage, checked, response)
            except Exception as error:
                self._resolve(reply, _refused(self._type.Response(), str(error) or type(error).__name__))
                if not isinstance(error, FrameRefused):
                    raise
            else:
                self._resolve(reply, answered)

        if not self.node.request(run):
            self._resolve(reply, _refused(response, f'{self.node.get_name()} is {self.node.idle_reason}'))
        return await reply

    def _refuse_pending(self) -> None:
        for reply in list(self._pending):
            self._resolve(reply, _refused(self._type.Response(), f'{self.node.get_name()} was deactivated'))

    def _resolve(self, reply: Future, response: Any) -> None:
        if self._pending.pop(reply, None) is not None:
            reply.set_result(response)
            if self.node.executor:
                self.node.executor.wake()


def _refused(response: Any, message: str) -> Any:
    response.success, response.message = False, message
    return response
