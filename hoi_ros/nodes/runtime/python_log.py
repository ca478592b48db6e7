# SPDX-License-Identifier: Apache-2.0
"""Forwards the log of the parts that know no ROS to the log of a node."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger


class NodeLog(logging.Handler):
    """A handler of Python's logging that writes warnings and errors into the logger of a node.

    Args:
        logger: of the node.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record at its severity."""
        text = record.getMessage()
        # rclpy refuses another severity from the same line.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        else:
            self._logger.warning(text)
