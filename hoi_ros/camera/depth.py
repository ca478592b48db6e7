# SPDX-License-Identifier: Apache-2.0
"""Depth images of every encoding as float32 metres, 0 where depth is unknown."""

from __future__ import annotations

import dataclasses
import struct

import cv2
import numpy as np

from hoi_ros.camera.depth_unit import check_depth
from hoi_ros.camera.depth_unit import DepthUnitError
from hoi_ros.camera.image_buffer import Buffer
from hoi_ros.camera.image_buffer import decompress
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.image_buffer import pixel_view

__all__ = [
    'DEPTH_ENCODINGS',
    'DepthEncoding',
    'DepthUnitError',
    'ImageFormatError',
    'check_depth',
    'declared_unit',
    'decode_compressed_depth',
    'decode_depth',
    'metric_depth',
]


@dataclasses.dataclass(frozen=True)
class DepthEncoding:
    """Type and unit of a depth image (REP 118)."""

    dtype: np.dtype
    metres: float
    """Metres of one unit."""


DEPTH_ENCODINGS = {
    '16UC1': DepthEncoding(np.dtype(np.uint16), 0.001),
    'mono16': DepthEncoding(np.dtype(np.uint16), 0.001),
    '32FC1': DepthEncoding(np.dtype(np.float32), 1.0),
}

_UINT16 = 'set encoding to 16UC1, with millimetres'
_FLOAT32 = 'set encoding to 32FC1, with metres'
_MISNAMED = {
    **dict.fromkeys(('uint16', '16uc', '16uc1', 'z16', 'y16', '16u', 'u16'), _UINT16),
    **dict.fromkeys(('int16', '16sc1', 'uint32', '32sc1', 'int32'), f'convert it to uint16 and {_UINT16}'),
    **dict.fromkeys(('float32', 'float', '32fc', '32fc1', '32f'), _FLOAT32),
    **dict.fromkeys(('float64', 'double', '64fc', '64fc1'), f'convert it to float32 and {_FLOAT32}'),
}
"""The mends of names and types that drivers write instead of an encoding, in lower case."""

# compressed_depth_image_transport puts an enum and two float32 before the PNG file.
_COMPRESSED_HEADER = struct.Struct('<iff')
_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'


def decode_depth(
    buffer: Buffer, encoding: str, width: int, height: int, step: int, is_bigendian: bool = False
) -> np.ndarray:
    """The depth of a sensor_msgs/Image.

    Args:
        buffer: the message's data.
        encoding: 16UC1 or mono16 (millimetres, 0 invalid) or 32FC1 (metres, NaN invalid).
        width: pixels.
        height: pixels.
        step: bytes of one row.
        is_bigendian: byte order.

    Returns:
        (H, W) float32 metres, a new array; 0 where the depth is unknown, negative or infinite.

    Raises:
        ImageFormatError: not a depth encoding, no pixels, step too small, or data missing.
    """
    traits = _traits(encoding)
    pixels = pixel_view(buffer, encoding, traits.dtype, 1, width, height, step, is_bigendian)
    return metric_depth(pixels, traits.metres)


def decode_compressed_depth(data: Buffer, format: str) -> np.ndarray:
    """The depth of a sensor_msgs/CompressedImage of the compressedDepth transport, or of a plain 16-bit PNG.

    Args:
        data: the message's data.
        format: the message's format, as '16UC1; compressedDepth png', '32FC1; compressedDepth' or '16UC1; png'.

    Returns:
        (H, W) float32 metres, 0 where the depth is unknown.

    Raises:
        ImageFormatError: another compression (as RVL), not a depth encoding, or damaged data.
    """
    encoding, _, compression = (part.strip() for part in format.partition(';'))
    if 'rvl' in compression.lower():
        raise ImageFormatError(
            f"depth of format {format!r} is RVL-compressed, expected PNG: set the publisher's "
            'compressedDepth format to png'
        )
    traits = _traits(encoding if compression else '16UC1')
    raw = bytes(data)
    header = None
    if 'compressedDepth' in compression and not raw.startswith(_PNG_SIGNATURE):
        if len(raw) < _COMPRESSED_HEADER.size:
            raise ImageFormatError(
                f'compressedDepth holds {len(raw)} bytes, expected a header of '
                f'{_COMPRESSED_HEADER.size} and a PNG file: its data is truncated'
            )
        header = _COMPRESSED_HEADER.unpack_from(raw)
        raw = raw[_COMPRESSED_HEADER.size :]
    pixels = decompress(raw, format, cv2.IMREAD_UNCHANGED)
    if traits.dtype != np.float32:
        return metric_depth(_single_channel(pixels, format), traits.metres)
    if pixels.dtype == np.float32:
        return metric_depth(_single_channel(pixels, format), traits.metres)
    if header is None:
        raise ImageFormatError(
            f'depth of format {format!r} lacks the compressedDepth header that says how its '
            'numbers map to metres: publish it through compressed_depth_image_transport'
        )
    # REP 118 floats travel as quantised inverse depth: q = a / z + b.
    _, scale, offset = header
    inverse = _single_channel(pixels, format).astype(np.float32)
    with np.errstate(divide='ignore', invalid='ignore'):
        depth = np.where(inverse > 0, scale / (inverse - offset), 0)
    return metric_depth(depth, traits.metres)


def metric_depth(pixels: np.ndarray, metres: float) -> np.ndarray:
    """Raw numbers (H, W) → float32 metres, a new array, 0 where they are 0, negative or not finite.

    Args:
        pixels: unsigned integers or floats.
        metres: metres of one unit.
    """
    if pixels.dtype.kind == 'u':
        return np.multiply(pixels, np.float32(metres), dtype=np.float32)
    with np.errstate(invalid='ignore'):
        depth = np.multiply(pixels, np.float32(metres), dtype=np.float32)
        return np.where((depth > 0) & (depth < np.inf), depth, np.float32(0))


def declared_unit(encoding: str) -> float:
    """Metres of one unit of an encoding, or of a compressedDepth format that starts with it."""
    traits = DEPTH_ENCODINGS.get(encoding.partition(';')[0].strip())
    return traits.metres if traits else 0.001


def _traits(encoding: str) -> DepthEncoding:
    known = ', '.join(DEPTH_ENCODINGS)
    if encoding in DEPTH_ENCODINGS:
        return DEPTH_ENCODINGS[encoding]
    if encoding.startswith('8') or encoding in ('mono8', 'rgb8', 'bgr8', 'rgba8', 'bgra8'):
        raise ImageFormatError(
            f'the encoding {encoding!r} has 8 bits a channel and holds no metric depth, expected '
            f'{known}: subscribe to the raw depth topic, not to a picture of it'
        )
    mend = _MISNAMED.get(encoding.lower(), 'check the depth topic')
    raise ImageFormatError(f'the encoding {encoding!r} is no depth encoding, expected {known}: {mend}')


def _single_channel(pixels: np.ndarray, format: str) -> np.ndarray:
    if pixels.ndim != 2 or pixels.dtype.itemsize == 1:
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        raise ImageFormatError(
            f'depth of format {format!r} decodes to {channels} channel(s) of {pixels.dtype}, '
            'expected one of 16 bits: JPEG and 8-bit PNG lose the depth'
        )
    return pixels
