# SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS that holds images."""

from __future__ import annotations

import os
from pathlib import Path

_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_PROFILE = Path(__file__).with_name('fastdds_images.xml')


def make_room_for_images() -> None:
    """Makes this process publish through a shared memory segment that holds several images.

    The default segment holds half a 640x480 colour image, and a best-effort reader on a busy machine loses most
    frames. A profile that the user has set stays in place; other middlewares ignore it. Call it before rclpy.init().
    """
    if not any(variable in os.environ for variable in _VARIABLES):
        os.environ[_VARIABLES[0]] = str(_PROFILE)
