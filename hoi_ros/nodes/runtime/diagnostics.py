# SPDX-License-Identifier: Apache-2.0
"""The status of a node on /diagnostics."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from rclpy.node import Node


class Level(enum.IntEnum):
    """Severity of a finding; the status takes the greatest."""

    OK = 0
    WARN = 1
    ERROR = 2


_MESSAGE_LEVELS = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR,
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One present condition of a node."""

    level: Level
    text: str


_LONGEST = 500
"""Characters of one finding: some libraries report pages."""


class DiagnosticsPublisher:
    """Publishes the status of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish(self, findings: Sequence[Finding], values: Mapping[str, object]) -> None:
        """Publishes the findings, the worst first, and the values."""
        ordered = sorted(findings, key=lambda finding: -finding.level) or [Finding(Level.OK, 'running')]
        name = self._node.get_fully_qualified_name()
        status = DiagnosticStatus(
            level=_MESSAGE_LEVELS[ordered[0].level],
            name=f'{name.lstrip("/")}: status',
            hardware_id=name,
            message='; '.join(dict.fromkeys(_shortened(finding.text) for finding in ordered)),
            values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 3]}...'


def _text(value: object) -> str:
    return f'{value:.2f}' if isinstance(value, float) else _shortened(str(value))
