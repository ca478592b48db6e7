# SPDX-License-Identifier: Apache-2.0
"""Detects depth that cannot be in its declared unit: too large, too small, saturated, or disparities.

A depth image is judged by a sparse grid of its pixels, whatever their unit was, so one check serves topics, files and
recordings.
"""

from __future__ import annotations

import numpy as np

from hoi_ros.camera.refusal import FrameRefused

__all__ = ['DepthUnitError', 'check_depth']

MEND = 'publish millimetres as 16UC1, or metres as 32FC1'
"""The remedy for a depth topic."""

_GRID = 64
"""Grid rows (of a landscape image)."""
_WHOLE_METRES = 15
"""Raw integers below which all values are metres, of a room."""
_LEAST_SHARE, _LEAST = 0.01, 16
"""Known depth below which an image is not judged: share of the grid, and grid points."""
_FARTHEST = 20.0
"""Metres; no indoor or robot camera has its whole scene beyond it."""
_NEAREST = 0.05
"""Metres; no depth camera measures below it."""
_REACH = 2.0
"""Metres; what lies entirely beyond shows no hand that is detected."""
HANDS_DETECTED = 0.25, 1.2
"""Metres between which hands are detected in depth images."""
_COVERED = 0.12
"""Metres; a scene that lies entirely nearer has no room for a hand."""
_UNITS = {
    1.0: 'metres',
    0.001: 'millimetres',
    0.0001: 'units of 0.1 to 0.25 mm',
    0.01: 'centimetres, disparities or an 8-bit picture',
    1e-5: 'units of 0.01 mm',
    1e-6: 'micrometres',
    1000.0: 'metres that were divided by 1000 once too often',
}
"""Metres of one unit: its name. Common ones first."""
_HAND_SCENE = 0.2, 1.6, 10.0
"""Plausible scenes: metres of the nearest surface, from and to, and of the farthest at most."""
_SMOOTHER = 3.0
"""Ratio of the changes between neighbouring pixels, bytes as they are to bytes in the other order. On 128 real depth
images it is at most 0.22, and at least 4.4 once their bytes are swapped."""
_SPACING = 6
"""Grid points between the neighbours that give a surface's slope and curvature."""


class DepthUnitError(FrameRefused):
    """Depth that no camera measures in its declared unit; the text names the likely one.

    Attributes:
        metres_per_unit: the likely unit; None where it is unknown, or where the values are no depth.
    """

    def __init__(self, text: str, metres_per_unit: float | None = None) -> None:
        super().__init__(text)
        self.metres_per_unit = metres_per_unit


def check_depth(depth: np.ndarray, metres_per_unit: float = 0.001, mend: str = MEND) -> str:
    """Checks that a depth image can be in its declared unit.

    Call it once for each image, after its conversion to metres. It takes 0.5 ms. An image with less than 1 %
    of known depth is not judged.

    Args:
        depth: (H, W) metres, 0 or NaN where unknown.
        metres_per_unit: declared metres of one raw unit: 0.001 for 16UC1, 1.0 for 32FC1, or `--depth-scale`.
        mend: the remedy, as the end of a sentence.

    Returns:
        A warning for depth that is possible but shows nothing within reach of the hand detector, where a wrong unit is
        the likely cause; an empty text otherwise. Such depth can be real (a far wall): do not refuse it.

    Raises:
        DepthUnitError: no depth camera measures such values, or they are disparities. Publish nothing from it.
    """
    stride = max(min(depth.shape) // _GRID, 1)
    grid = np.ascontiguousarray(depth[::stride, ::stride])
    known = grid[(grid > 0) & (grid < np.inf)]
    if known.size < max(_LEAST, _LEAST_SHARE * grid.size):
        return ''
    known.sort()
    # 16UC1 without a return may hold its largest value.
    ceiling = 65534.5 * metres_per_unit
    measured = known[: np.searchsorted(known, ceiling)]
    if measured.size < max(_LEAST, _LEAST_SHARE * grid.size) or (known[0] == known[-1] > _FARTHEST):
        raise DepthUnitError(
            f'the depth is saturated: it is {known[-1]:.4g} m almost everywhere; move the camera away from the '
            'surface, out of sunlight, or correct the driver'
        )
    if metres_per_unit < 0.1 and _is_swapped(depth[::stride], metres_per_unit):
        raise DepthUnitError(
            'the values look like 16-bit depth whose bytes are in the other order: have its publisher set is_bigendian '
            'to the order of the data'
        )
    nearest, near, far = (float(measured[int(share * (measured.size - 1))]) for share in (0.01, 0.05, 0.95))
    disparity = _is_disparity(grid, 2 * near)
    declared = _UNITS.get(metres_per_unit, f'units of {metres_per_unit * 1e3:g} mm')
    if near > _FARTHEST or far < _NEAREST or np.searchsorted(measured, _NEAREST) > 0.2 * measured.size:
        likely, unit = _likely_unit(disparity, near / metres_per_unit, far / metres_per_unit, metres_per_unit)
        raise DepthUnitError(
            f'the depth would lie between {_length(near)} and {_length(far)}, which no camera measures: the values are '
            f'not in {declared}{likely}; {mend}',
            unit,
        )
    if disparity:
        raise DepthUnitError(
            f'the values are not depth in {declared} but look like disparities, in which planes are linear: use the '
            f'depth of the camera, not its disparity; {mend}'
        )
    if nearest > _REACH:
        likely, _ = _likely_unit(disparity, nearest / metres_per_unit, far / metres_per_unit, metres_per_unit)
        return (
            f'nothing is nearer than {_length(nearest)}, and hands are detected up to {HANDS_DETECTED[1]:g} m; if the '
            f'scene is nearer, the values are not in {declared}{likely}: {mend}'
        )
    if far < _COVERED:
        return (
            f'nothing is farther than {_length(far)}: uncover the camera, or move it away; if the scene is farther, '
            f'the values are not in {declared}: {mend}'
        )
    return ''


def _is_swapped(rows: np.ndarray, metres_per_unit: float) -> bool:
    """Whether rows (N, W) of metres are much smoother, and possible, with the bytes of their 16-bit units in the other
    order."""
    width = rows.shape[1] // 4 * 4
    first, second = (
        np.rint(np.clip(np.nan_to_num(rows[:, start:width:4] / metres_per_unit), 0, 65535)).astype(np.uint16)
        for start in (0, 1)
    )
    differ = (first > 0) & (second > 0) & (first != second)
    if differ.sum() < _LEAST:
        return False
    pairs = np.stack([first[differ], second[differ]])
    as_is, swapped = (
        float(np.median(np.abs(each[1] - each[0]) / each.max(0)))
        for each in (pairs.astype(np.float32), pairs.byteswap().astype(np.float32))
    )
    distance = float(np.median(pairs.byteswap())) * metres_per_unit
    return as_is > _SMOOTHER * swapped and _NEAREST < distance < _FARTHEST


def _is_disparity(grid: np.ndarray, farthest: float) -> bool:
    """Whether numbers (rows, columns), 0 or NaN where unknown, are disparities rather than depth.

    Numbers above `farthest` are ignored, as they may be quantised coarsely.

    Along a line through the image of a plane, inverse depth is linear. Let g be the slope and c the second difference
    of the numbers z, both relative to z: depth has c = 2 g², disparity has c = 0. The median over the slopes of a
    scene separates the two. Scenes without slopes, or with noise above the slopes, count as depth.
    """
    slopes, curvatures = [], []
    step = _SPACING
    for before, here, after in (
        (grid[: -2 * step : 2, ::2], grid[step:-step:2, ::2], grid[2 * step :: 2, ::2]),
        (grid[::2, : -2 * step : 2], grid[::2, step:-step:2], grid[::2, 2 * step :: 2]),
    ):
        used = (before > 0) & (here > 0) & (after > 0) & (here < farthest)
        with np.errstate(over='ignore', invalid='ignore'):  # floats that are no depth
            left, right = before[used] / here[used], after[used] / here[used]
            slope, curvature = (right - left) / 2, left + right - 2
        # Less slope disappears in the rounding to millimetres; more is an edge.
        smooth = (np.abs(slope) > 0.05) & (np.abs(slope) < 0.3) & (np.abs(curvature) < 0.12)
        slopes.append(slope[smooth])
        curvatures.append(curvature[smooth])
    slope, curvature = np.concatenate(slopes), np.concatenate(curvatures)
    if slope.size < 50:
        return False
    of_depth = 2 * slope**2
    middle, mean = float(np.median(curvature / of_depth)), float(curvature.sum() / of_depth.sum())
    noise = float(np.median(np.abs(curvature)) / np.median(np.abs(slope)))
    return noise < 0.35 and -0.5 < middle < 0.2 and -0.5 < mean < 0.3


def _likely_unit(disparity: bool, near: float, far: float, declared: float) -> tuple[str, float | None]:
    """What raw values look like, as the end of a clause, and the metres of the unit that makes a plausible scene."""
    if disparity:
        return ' but look like disparities', None
    nearest, not_farther, farthest = _HAND_SCENE
    for metres, name in _UNITS.items():
        if metres != declared and nearest <= near * metres <= not_farther and far * metres <= farthest:
            return f' but look like {name}', metres
    if declared < 0.1 and far < _WHOLE_METRES:
        return ' but look like metres that were cut to whole numbers: multiply by 1000 before', None
    return (' but look like disparities or an 8-bit picture', None) if far < 256 else ('', None)


def _length(metres: float) -> str:
    return f'{metres:.0f} m' if metres >= 100 else f'{metres:.2g} m'
