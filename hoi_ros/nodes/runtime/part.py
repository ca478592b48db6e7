# SPDX-License-Identifier: Apache-2.0
"""The interface of what a node is assembled from."""

from __future__ import annotations

from typing import Any
from typing import Generic
from typing import TypeVar

from hoi_ros.nodes.runtime.diagnostics import Finding

AnyNode = TypeVar('AnyNode', bound=Any)


class Part(Generic[AnyNode]):
    """One concern of a node. The node calls each hook of its parts in their order, and in reverse order to stop.

    Attributes:
        node: the node that the part belongs to, once it is attached.
    """

    node: AnyNode

    def attach(self, node: AnyNode) -> None:
        """Binds the part to its node, whose parameters are not declared yet."""
        self.node = node

    def load(self) -> None:
        """Creates what lives while the node is configured; on the thread of the transitions, before the stage loads."""

    def unload(self) -> None:
        """Releases it, without waiting for work in progress; on the executor's thread."""

    def start(self) -> None:
        """Creates what lives while the node is active; on the executor's thread."""

    def stop(self) -> None:
        """Releases that, without waiting for work in progress; on the executor's thread."""

    def settings_changed(self) -> None:
        """Takes over live parameters; on the executor's thread."""

    def findings(self) -> list[Finding]:
        """What an active node reports on /diagnostics."""
        return []

    def values(self) -> dict[str, object]:
        """Figures for /diagnostics."""
        return {}
