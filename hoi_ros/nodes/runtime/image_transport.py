# SPDX-License-Identifier: Apache-2.0
"""Room for images between the processes of one machine."""

from __future__ import annotations

import os
from pathlib import Path

_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_PROFILE = Path(__file__).with_name('fastdds_images.xml')


def make_room_for_images() -> None:
    """Has this process publish through a shared memory that holds several images.

    Fast DDS' own holds half a 640x480 colour image: a best-effort reader on a busy machine then loses most
    frames. A profile that the user has set stays, and another middleware takes no notice. To be called before
    rclpy.init().
    """
    if not any(variable in os.environ for variable in _VARIABLES):
        os.environ[_VARIABLES[0]] = str(_PROFILE)
