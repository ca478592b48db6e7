# SPDX-License-Identifier: Apache-2.0
"""Whether intrinsics and distortion can belong to a lens and an image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole

FOCAL_LENGTHS = (0.1, 20.0)
"""Focal lengths of real lenses in widths or heights of the image: a fisheye lens, a telephoto lens of 3 degrees."""
USUAL_ASPECT = 1.1
"""Largest ratio of the focal lengths of cameras with square pixels."""
BINNED_ASPECT = (1.9, 2.1)
"""Ratios of the focal lengths of a camera that bins one axis."""
LARGEST_SKEW = 0.01
"""Largest number in the places of the camera matrix that are 0, focal lengths."""
LARGEST_OFFSET = 0.12
"""Distance of the principal point from the middle of the image, in widths or heights, that few cameras exceed."""
PIXEL_ASPECT = 3.0
"""Largest ratio of the focal lengths of the axes; cameras that bin one axis have 2."""
SMALLEST_RATIO = {'polynomial': 0.25, 'equidistant': 0.0}
"""Smallest ratio of the distorted to the undistorted distance from the principal point: a wide lens."""
LARGEST_RATIO = 1.2
"""Largest such ratio: pincushion distortion."""
LARGEST_SLOPE = 1.5
"""Largest increase of the distorted distance with the undistorted one."""
BENT_SHARE = 0.1
"""Share of the image in which the distortion may be implausible: calibrations are poor in the corners."""
_DIRECTIONS = 32
# Undistorted distances from the axis, focal lengths: up to 89.9 degrees, finer near the axis.
_DISTANCES = np.tan(np.linspace(0, np.radians(89.9), 400)[1:])


def matrix_fault(name: str, matrix: Sequence[float]) -> str:
    """What is wrong with the order of the numbers of a camera matrix, with the mend; '' if nothing is.

    Args:
        name: K, of 3 rows and 3 columns, or P, of 3 rows and 4 columns.
        matrix: its numbers row by row.
    """
    columns = len(matrix) // 3
    expected = 'fx 0 cx 0 fy cy 0 0 1' if columns == 3 else 'fx 0 cx 0 0 fy cy 0 0 0 1 0'
    skew = max(abs(matrix[1]), abs(matrix[columns]))
    ordered = tuple(matrix[2 * columns : 2 * columns + 3]) == (0, 0, 1) and matrix[columns + 1] != 0
    if ordered and not skew > LARGEST_SKEW * abs(matrix[0]):  # numbers that are not finite are named elsewhere
        return ''
    return f'{name} is {" ".join(f"{number:g}" for number in matrix)}, expected {expected}: fill it row by row'


def intrinsics_doubt(camera: Pinhole, cropped: bool = False) -> str:
    """What is unusual about possible intrinsics, with the mend; '' if nothing is.

    Args:
        camera, cropped: as of `intrinsics_fault`.
    """
    low, high = BINNED_ASPECT
    ratio = max(camera.fx / camera.fy, camera.fy / camera.fx)
    offset = max(abs((camera.cx + 0.5) / camera.width - 0.5), abs((camera.cy + 0.5) / camera.height - 0.5))
    mend = 'check that K is fx 0 cx 0 fy cy 0 0 1, with no numbers swapped'
    if not (ratio <= USUAL_ASPECT or low <= ratio <= high):
        return (
            f'the focal lengths ({camera.fx:g}, {camera.fy:g}) differ by {ratio - 1:.0%}, those of most cameras by '
            f'less than {USUAL_ASPECT - 1:.0%}: {mend}'
        )
    if offset > LARGEST_OFFSET and not cropped:
        return (
            f'the principal point ({camera.cx:g}, {camera.cy:g}) lies far from the middle of the image of '
            f'{camera.width}x{camera.height} pixels, which moves all hands if it is wrong: {mend}; if the image is a '
            'part of the sensor, set the region of interest (roi)'
        )
    return ''


def intrinsics_fault(camera: Pinhole, cropped: bool = False) -> str:
    """What is implausible about intrinsics, as the middle of a sentence; '' if nothing is.

    Args:
        camera: size and intrinsics.
        cropped: whether the image is a part of the sensor's, so that the principal point can lie outside and the field
            of view can be narrow.
    """
    low, high = FOCAL_LENGTHS
    wide, tall = camera.fx / camera.width, camera.fy / camera.height
    size = f'{camera.width}x{camera.height} pixels'
    if min(wide, tall) < low or (max(wide, tall) > high and not cropped):
        return (
            f'the focal lengths ({camera.fx:g}, {camera.fy:g}) do not fit an image of {size}, expected '
            f'{low:g} to {high:g} times its size, in pixels'
        )
    if max(camera.fx / camera.fy, camera.fy / camera.fx) > PIXEL_ASPECT:
        return f'the focal lengths ({camera.fx:g}, {camera.fy:g}) differ more than {PIXEL_ASPECT:g} times'
    if max(abs(camera.cx), abs(camera.cy)) < 1 and not cropped:
        return f'the principal point is ({camera.cx:g}, {camera.cy:g}), as if only the focal lengths were filled'
    inside = -0.5 <= camera.cx <= camera.width - 0.5 and -0.5 <= camera.cy <= camera.height - 0.5
    if not inside and not cropped:
        return f'the principal point ({camera.cx:g}, {camera.cy:g}) lies outside the image of {size}'
    return ''


def distortion_fault(camera: Pinhole, model: str, coefficients: Sequence[float]) -> str:
    """What is implausible about a distortion, as the middle of a sentence; '' if nothing is.

    From the principal point outwards, a lens maps larger angles to larger distances and bends them by a bounded ratio.
    Coefficients of another camera, in another order or of another model often fold the image back onto itself.

    Args:
        camera: size and intrinsics of the distorted image.
        model: a key of DISTORTION_MODELS.
        coefficients: (N,) of that model.
    """
    angles = np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False) + 0.05
    directions = np.stack([np.cos(angles), np.sin(angles)], -1)
    edges = _edge_distances(camera, directions)
    if not edges.any():
        return ''
    bent = distort(model, coefficients, directions[:, None] * _DISTANCES[:, None])
    smallest = SMALLEST_RATIO['equidistant' if model == 'equidistant' else 'polynomial']
    with np.errstate(invalid='ignore', over='ignore'):
        distances = np.hypot(bent[..., 0], bent[..., 1])
        ratios = distances / _DISTANCES
        slopes = np.diff(distances, axis=1, prepend=0) / np.diff(_DISTANCES, prepend=0)
    bad = ~((slopes > 0) & (slopes <= LARGEST_SLOPE) & (ratios >= smallest) & (ratios <= LARGEST_RATIO))
    # A direction is sound up to its first bad sample, or to the edge of the image.
    steps = np.arange(len(_DISTANCES))
    first = np.where(bad | (distances >= edges[:, None]), steps, len(_DISTANCES)).min(1)
    reached = np.where(first > 0, np.take_along_axis(distances, np.maximum(first - 1, 0)[:, None], 1)[:, 0], 0)
    last = np.minimum(first, len(_DISTANCES) - 1)[:, None]
    sound = (first == len(_DISTANCES)) | ~np.take_along_axis(bad, last, 1)[:, 0]
    share = 1 - float(np.where(sound, edges, np.minimum(reached, edges)) @ edges / (edges @ edges))
    if share <= BENT_SHARE:
        return ''
    return (
        f'the distortion {model} {[float(f"{value:.4g}") for value in coefficients]} folds or bends {share:.0%} of the '
        f'image of {camera.width}x{camera.height} pixels as no lens does'
    )


def _edge_distances(camera: Pinhole, directions: np.ndarray) -> np.ndarray:
    """(N,) distances, in focal lengths, from the principal point to the edges of the image."""
    left, top = (-0.5 - camera.cx) / camera.fx, (-0.5 - camera.cy) / camera.fy
    right, bottom = (camera.width - 0.5 - camera.cx) / camera.fx, (camera.height - 0.5 - camera.cy) / camera.fy
    across = np.where(directions[:, 0] > 0, right, left) / directions[:, 0]
    down = np.where(directions[:, 1] > 0, bottom, top) / directions[:, 1]
    return np.maximum(np.minimum(across, down), 0)


def distort(model: str, coefficients: Sequence[float], points: np.ndarray) -> np.ndarray:
    """Undistorted rays (..., 2), x and y at z = 1 → those that an undistorted camera would need for the same pixels."""
    rays = np.concatenate([points, np.ones((*points.shape[:-1], 1))], -1).reshape(-1, 1, 3)
    projector = cv2.fisheye if model == 'equidistant' else cv2
    distorted, _ = projector.projectPoints(
        np.ascontiguousarray(rays), np.zeros(3), np.zeros(3), np.eye(3), np.array(coefficients, np.float64)
    )
    return distorted.reshape(points.shape)
