# SPDX-License-Identifier: Apache-2.0
"""Whether images are rectified: stated by the user, or by the name of their topic or folder."""

from __future__ import annotations

import re
from typing import Literal

Rectified = Literal['auto', 'true', 'false']
_TRANSPORTS = {'compressed', 'compressedDepth', 'theora', 'ffmpeg', 'zstd'}
_WORDS = {'rect', 'rectified', 'undistorted'}


def name_says_rectified(name: str) -> bool | None:
    """Whether a topic or folder names its images as rectified (`image_rect`, `rect/image`) or raw; None if neither.

    The last component decides if it contains one of the words rect, rectified, undistorted or raw between underscores
    (`image_rect_raw` is rectified); otherwise the component before it. A transport at the end is ignored.
    """
    parts = [part for part in name.split('/') if part]
    if parts and parts[-1] in _TRANSPORTS:
        parts.pop()
    for part in reversed(parts[-2:]):
        words = set(re.split('[^a-z0-9]+', part.lower()))
        if words & _WORDS:
            return True
        if 'raw' in words:
            return False
    return None


def is_rectified(choice: str, name: str) -> bool:
    """Whether images are rectified; raw unless something says so.

    Args:
        choice: 'true', 'false', or 'auto' for what the name says.
        name: of their topic or folder.
    """
    return bool(name_says_rectified(name)) if choice == 'auto' else choice == 'true'
