# SPDX-License-Identifier: Apache-2.0
"""The error of a frame that cannot be used, and what stages refuse."""

from __future__ import annotations

import numpy as np

from hoi_ros.camera.pinhole import Pinhole

_IMPOSSIBLE = 100.0
"""Metres that depth before hands never exceeds everywhere: millimetres do."""


class FrameRefused(ValueError):
    """A frame that cannot be used; its text says why and the mend."""


def refuse_colour(image: np.ndarray, camera: Pinhole) -> None:
    """Raises a FrameRefused unless an image is (H, W, 3) uint8 of its camera."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise FrameRefused(f'the image is {image.shape} {image.dtype}, expected (H, W, 3) uint8 RGB')
    _refuse_size('image', image, camera)


def refuse_depth(depth: np.ndarray, camera: Pinhole) -> None:
    """Raises a FrameRefused unless a depth image is (H, W) floats of its camera."""
    if depth.ndim != 2 or depth.dtype.kind != 'f':
        raise FrameRefused(
            f'the depth is {depth.shape} {depth.dtype}, expected (H, W) metres in floats: multiply integers by the '
            'metres of their unit, 0.001 for millimetres'
        )
    some = depth[::16, ::16]
    known = some[(some > 0) & (some < np.inf)]
    if known.size and known.min() > _IMPOSSIBLE:
        raise FrameRefused(
            f'the depth is {known.min():.0f} and more, expected metres: multiply by the metres of its unit, 0.001 for '
            'millimetres'
        )
    _refuse_size('depth', depth, camera)


def refuse_aligned_depth(depth: np.ndarray, camera: Pinhole) -> None:
    """Raises a FrameRefused unless a depth image is (H, W) floats of the camera of a colour image."""
    try:
        refuse_depth(depth, camera)
    except FrameRefused as error:
        raise FrameRefused(f'{error}: align it to the colour camera, in metres') from error


def _refuse_size(name: str, image: np.ndarray, camera: Pinhole) -> None:
    height, width = image.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise FrameRefused(
            f'the {name} is {width}x{height} pixels, expected {camera.width}x{camera.height} as its camera'
        )
