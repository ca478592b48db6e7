# SPDX-License-Identifier: Apache-2.0
"""Image messages as arrays: layout checks shared by depth and colour, without ROS."""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from typing import Any

import cv2
import numpy as np

from hoi_ros.camera.refusal import FrameRefused

Buffer = bytes | bytearray | memoryview | np.ndarray
"""Or any other object with the buffer protocol, as array.array."""

_JPEG_SIGNATURE = b'\xff\xd8'
_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_SURPLUS = re.compile(r'(\d+) extraneous bytes before marker 0xd9')
_NETWORK = 'part of it was lost on its way; check the bandwidth of the camera and of the network'
"""What damages an image of a topic."""
_LEAST_DAMAGE = 16
"""Surplus bytes before a JPEG end marker above which the image is damaged."""


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


def decompress(data: Buffer, format: str, flags: int, remedy: str = _NETWORK) -> np.ndarray:
    """The pixels of a JPEG, PNG or TIFF file held in memory, as OpenCV orders them (BGR).

    Bytes after the end of the file are ignored, as some cameras pad their files.

    Args:
        data: the file's bytes.
        format: the message's format, named in the error.
        flags: of cv2.imdecode; a JPEG file gives BGR whatever they are.
        remedy: for damaged data, the end of the error; by default that of a topic.

    Raises:
        ImageFormatError: the file is truncated, damaged or of another type.
    """
    raw = bytes(data)
    if raw.startswith(_JPEG_SIGNATURE):
        return _decode_jpeg(raw, remedy)
    if raw.startswith(_PNG_SIGNATURE):
        _check_png(raw, remedy)
    image = None
    if raw:
        # A damaged header may ask for more memory than OpenCV grants.
        with contextlib.suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(raw, np.uint8), flags)
    if image is None:
        raise ImageFormatError(
            f'the {len(raw)} bytes of format {format!r} are no readable PNG, JPEG or TIFF image: '
            'the data is empty, truncated, damaged or compressed otherwise'
        )
    return image


def _decode_jpeg(raw: bytes, remedy: str) -> np.ndarray:
    """Decodes as BGR. OpenCV would paint what is missing grey."""
    try:
        import simplejpeg
    except ImportError as error:
        raise ImageFormatError('JPEG images are read through simplejpeg: pip install simplejpeg') from error
    try:
        return simplejpeg.decode_jpeg(raw, 'BGR', strict=True)
    except ValueError as error:
        surplus = _SURPLUS.search(str(error))
        # Some cameras leave a few bytes between the last pixel and the end marker of every image.
        if surplus is None or int(surplus[1]) > _LEAST_DAMAGE:
            raise _damaged('JPEG', len(raw), str(error).removeprefix('Corrupt JPEG data: '), remedy) from error
    return simplejpeg.decode_jpeg(raw, 'BGR', strict=False)


def _check_png(raw: bytes, remedy: str) -> None:
    """Checks that all chunks of a PNG file are there and undamaged: libpng returns parts of files."""
    place = len(_PNG_SIGNATURE)
    while place + 12 <= len(raw):
        (length,) = struct.unpack_from('>I', raw, place)
        kind, end = raw[place + 4 : place + 8], place + 12 + length
        if end > len(raw):
            break
        if zlib.crc32(memoryview(raw)[place + 4 : end - 4]) != int.from_bytes(raw[end - 4 : end], 'big'):
            raise _damaged('PNG', len(raw), 'a checksum is wrong', remedy)
        if kind == b'IEND':
            return
        place = end
    raise _damaged('PNG', len(raw), 'premature end', remedy)


def _damaged(kind: str, size: int, reason: str, remedy: str) -> ImageFormatError:
    return ImageFormatError(f'the {kind} image of {size} bytes is truncated or damaged ({reason}): {remedy}')
