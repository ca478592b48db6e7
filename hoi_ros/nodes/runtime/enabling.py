# SPDX-License-Identifier: Apache-2.0
"""The service that stops and resumes the work of an active node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.service import Service
from std_srvs.srv import SetBool

from hoi_ros.nodes.runtime.part import Part

DISABLED = 'disabled by ~/set_enabled'


class Enabling(Part[Any]):
    """Offers `~/set_enabled` while the node is configured.

    A disabled node stays in its lifecycle state, with its networks and subscriptions, and processes nothing. It stays
    disabled when it is deactivated and activated again; a node that is configured is enabled.

    Args:
        changed: called after each change, on the executor's thread.

    Attributes:
        enabled: whether the node works while it is active.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._service: Service | None = None
        self.enabled = True

    def load(self) -> None:
        self.enabled = True
        self._service = self.node.on_executor(
            lambda: self.node.create_service(SetBool, '~/set_enabled', self._set_enabled)
        )

    def unload(self) -> None:
        service, self._service = self._service, None
        if service:
            self.node.destroy_service(service)

    def values(self) -> dict[str, object]:
        return {'enabled': self.enabled}

    def _set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data != self.enabled:
            self.enabled = request.data
            self._changed()
            self.node.get_logger().info('enabled' if self.enabled else DISABLED)
        response.success = True
        response.message = f'{"enabled" if self.enabled else "disabled"}; the node is {self.node.state}'
        return response
