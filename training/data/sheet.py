# SPDX-License-Identifier: Apache-2.0
"""Sheets of pictures: tiles in rows, text on them, one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

Colour = tuple[int, int, int]


def rows_of(tiles: Sequence[np.ndarray], columns: int, paper: int = 0) -> np.ndarray:
    """Lays out tiles (H, W, 3) uint8 of the same width, row by row.

    Args:
        tiles: at least one; lower ones are padded below.
        columns: tiles a row.
        paper: grey value of the padding.

    Returns:
        (H, W, 3) uint8.
    """
    height = max(len(tile) for tile in tiles)
    padded = [
        np.pad(tile, ((0, height - len(tile)), (0, 0), (0, 0)), constant_values=np.uint8(paper)) for tile in tiles
    ]
    padded += [np.full_like(padded[0], paper)] * (-len(padded) % columns)
    return np.vstack([np.hstack(padded[start : start + columns]) for start in range(0, len(padded), columns)])


def write_text(picture: np.ndarray, text: str, place: tuple[int, int], size: float, colour: Colour) -> None:
    """Writes text into a picture (H, W, 3), its lower left corner at a pixel (x, y)."""
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def coloured_depth(depth: np.ndarray, nearest: float, farthest: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB of depth (H, W) in metres: near is yellow, far is violet, invalid (0) is black."""
    share = np.clip((depth - nearest) / (farthest - nearest), 0, 1)
    picture = cv2.applyColorMap(255 - (share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()
    picture[depth <= 0] = 0
    return picture


def save_sheet(path: Path, picture: np.ndarray) -> None:
    """Writes an RGB picture (H, W, 3); makes the folder.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        written = cv2.imwrite(str(path), picture[..., ::-1])
    except cv2.error as error:
        raise OSError(f'{path}: no image format of OpenCV; name a .png or .jpg') from error
    if not written:
        raise OSError(f'{path}: cannot be written; check the folder and the disk')
