# SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS that holds images."""

from __future__ import annotations

import os
from pathlib import Path

_PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
_IMAGES = Path(__file__).with_name('fastdds_images.xml')


def room_for_images() -> dict[str, str]:
    """The environment of a process that publishes through a shared memory segment that holds several images.

    The default segment holds half a 640x480 colour image, and a best-effort reader on a busy machine loses most
    frames. Empty where the user has chosen a profile or the transports; other middlewares ignore it.
    """
    chosen = any(variable in os.environ for variable in (*_PROFILES, _TRANSPORTS))
    return {} if chosen else {_PROFILES[0]: str(_IMAGES)}


def make_room_for_images() -> None:
    """Gives this process that environment. Call it before rclpy.init()."""
    os.environ.update(room_for_images())
