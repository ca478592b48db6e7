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
    """

    def __init__(self, service_type: Any, name: str, answer: Callable[[Any, Any, Any], Any]) -> None:
        self._type, self._name, self._answer = service_type, name, answer
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
        reply: Future = Future()
        self._pending[reply] = response

        def run(stage: Any) -> None:
            try:
                answered = self._answer(stage, request, response)
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
