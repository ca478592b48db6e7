# SPDX-License-Identifier: Apache-2.0
"""The range of recorded depth, as a hint where no hand is found; the remedies for a wrong unit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hoi_ros.camera.depth_unit import check_depth
from hoi_ros.camera.depth_unit import DepthUnitError
from hoi_ros.camera.depth_unit import HANDS_DETECTED
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.playback.image_folder import read_metric_depth

SCALES = 'such as 0.001 for millimetres, 0.00025 for an Intel L515, 0.000125 for an Intel SR300 or SR305'
"""Metres of one unit of depth images that are common."""
REMEDY = f'correct --depth-scale, {SCALES}'
"""The remedy for a wrong unit of files."""


class DepthRange:
    """Collects the range of depth images; 1 % at either end is ignored."""

    def __init__(self) -> None:
        self._ends: list[tuple[float, float]] = []

    def add(self, depth: np.ndarray) -> None:
        """Adds an image, (H, W) metres, 0 or NaN where unknown."""
        sample = depth[::4, ::4]
        known = sample[(sample > 0) & np.isfinite(sample)]
        if known.size:
            nearest, farthest = np.percentile(known, [1, 99]).tolist()
            self._ends.append((nearest, farthest))

    def hint(self, metres_per_unit: float | None = None) -> str:
        """Range and unit, for images without a hand; '' without any depth."""
        if not self._ends:
            return ''
        nearest, farthest = min(low for low, _ in self._ends), max(high for _, high in self._ends)
        scale = f'; check --depth-scale ({metres_per_unit:g}), {SCALES}' if metres_per_unit else ''
        return (
            f'the depth lies between {nearest:.2f} m and {farthest:.2f} m, and hands are detected between '
            f'{HANDS_DETECTED[0]:g} m and {HANDS_DETECTED[1]:g} m{scale}'
        )


def depth_hint(images: Iterable[np.ndarray], metres_per_unit: float | None = None) -> str:
    """The hint for depth images; '' where there are none."""
    depth_range = DepthRange()
    for image in images:
        depth_range.add(image)
    return depth_range.hint(metres_per_unit)


def doubt_of(file: Path, metres_per_unit: float, remedy: str) -> str:
    """What is wrong with the unit of a depth image; '' where nothing is, or the file cannot be read."""
    try:
        doubt = check_depth(read_metric_depth(file, metres_per_unit), metres_per_unit, remedy)
    except DepthUnitError as error:
        doubt = str(error)
    except ImageFormatError:
        doubt = ''  # whoever reads the frame says so
    return f'{file}: {doubt}' if doubt else ''
