# SPDX-License-Identifier: Apache-2.0
"""Writing pictures. OpenCV itself ends the process where the name of a file is no text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def write_picture(path: Path, picture: np.ndarray, options: Sequence[int] = ()) -> None:
    """Writes an RGB picture (H, W, 3) as the suffix says, and creates its folder.

    Args:
        path: of the file.
        picture: uint8.
        options: of `cv2.imencode`.

    Raises:
        OSError: it cannot be written.
    """
    try:
        _, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    except cv2.error as error:
        raise OSError(f'{path}: no picture of the kind {path.suffix!r} can be written: give .png or .jpg') from error
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())
