# SPDX-License-Identifier: Apache-2.0
"""Image messages as arrays: layout checks shared by depth and colour, without ROS."""

from __future__ import annotations

import contextlib
from typing import Any

import cv2
import numpy as np

from hoi_ros.camera.refusal import FrameRefused

Buffer = bytes | bytearray | memoryview | np.ndarray
"""Or any other object with the buffer protocol, as array.array."""


class ImageFormatError(FrameRefused):
    """An image whose data does not match its declared size, encoding or format."""


def pixel_view(
    buffer: Buffer,
    encoding: str,
    dtype: np.dtype,
    channels: int,
    width: int,
    height: int,
    step: int,
    is_bigendian: bool,
) -> np.ndarray:
    """The pixels of an uncompressed image message, without copying them.

    Args:
        buffer: the message's data, `step * height` bytes.
        encoding: named in the errors.
        dtype: type of one channel.
        channels: channels of one pixel.
        width: pixels.
        height: pixels.
        step: bytes of one row, padding included.
        is_bigendian: byte order of the channels.

    Returns:
        (H, W), or (H, W, channels) with several channels; read-only if the buffer is.

    Raises:
        ImageFormatError: the image has no pixels, its rows are too short for its width, or data is missing.
    """
    if width <= 0 or height <= 0:
        raise ImageFormatError(f'the image is {width}x{height} pixels, expected at least 1x1: check the camera driver')
    pixel = dtype.itemsize * channels
    if step < width * pixel:
        raise ImageFormatError(
            f'step is {step} bytes, expected at least {width * pixel} for {width} pixels of '
            f'{encoding}: check step, width and encoding'
        )
    exporter: Any = buffer  # NumPy's stubs declare its buffer protocol from Python 3.12 on only
    data = memoryview(exporter).cast('B')
    if data.nbytes < step * height:
        raise ImageFormatError(
            f'the image holds {data.nbytes} bytes, expected {step * height} ({height} rows of '
            f'{step} bytes): its data is truncated'
        )
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, pixel)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, dtype.itemsize)
    return np.ndarray(shape, dtype.newbyteorder('>' if is_bigendian else '<'), data, strides=strides)


def decompress(data: Buffer, format: str, flags: int) -> np.ndarray:
    """The pixels of a PNG, JPEG or TIFF file held in memory, as OpenCV orders them (BGR).

    Args:
        data: the file's bytes.
        format: the message's format, named in the error.
        flags: of cv2.imdecode.

    Raises:
        ImageFormatError: the bytes are a damaged file or one of another type.
    """
    raw = np.frombuffer(data, np.uint8)
    image = None
    # OpenCV paints the missing part of a JPEG grey; only a whole one has an end marker.
    cut = raw[:2].tobytes() == b'\xff\xd8' and b'\xff\xd9' not in raw.tobytes()
    if raw.size and not cut:
        # A damaged header may ask for more memory than OpenCV grants.
        with contextlib.suppress(cv2.error):
            image = cv2.imdecode(raw, flags)
    if image is None:
        raise ImageFormatError(
            f'the {raw.size} bytes of format {format!r} are no readable PNG, JPEG or TIFF image: '
            'the data is empty, truncated, damaged or compressed otherwise'
        )
    return image
