# SPDX-License-Identifier: Apache-2.0
"""Pictures as a video file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np


class VideoWriter:
    """Writes RGB pictures to an H.264 video; use it in a `with` statement."""

    def __init__(self, path: str | Path, rate_hz: float) -> None:
        """Opens the file and creates its folder.

        Raises:
            ImportError: imageio or imageio-ffmpeg is not installed.
        """
        import imageio.v2 as imageio  # only the demo needs it

        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._shape: tuple[int, ...] | None = None
        self._writer = imageio.get_writer(
            path,
            format='FFMPEG',
            fps=rate_hz,
            codec='libx264',
            pixelformat='yuv420p',
            macro_block_size=1,
            ffmpeg_log_level='error',
        )

    def write(self, picture: np.ndarray) -> None:
        """Appends one (H, W, 3) uint8 RGB picture.

        Raises:
            ValueError: its size differs from the first picture's.
        """
        if self._shape is None:
            self._shape = picture.shape
        if picture.shape != self._shape:
            raise ValueError(f'the picture has shape {picture.shape}, expected {self._shape} as the first')
        height, width = picture.shape[:2]
        # H.264 with 4:2:0 chroma needs even sides.
        self._writer.append_data(np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge'))

    def close(self) -> None:
        """Finishes the file."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
