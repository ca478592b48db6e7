# SPDX-License-Identifier: Apache-2.0
"""Colour images of every encoding as 8-bit RGB."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from hoi_ros.camera.image_buffer import Buffer
from hoi_ros.camera.image_buffer import decompress
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.image_buffer import pixel_view

__all__ = ['COLOUR_ENCODINGS', 'ColourEncoding', 'ImageFormatError', 'decode_colour', 'decode_compressed_colour']


@dataclasses.dataclass(frozen=True)
class ColourEncoding:
    """Layout of a colour image."""

    channels: int
    to_rgb: int | None
    """Conversion code of cv2.cvtColor; None for RGB."""


COLOUR_ENCODINGS = {
    'rgb8': ColourEncoding(3, None),
    'bgr8': ColourEncoding(3, cv2.COLOR_BGR2RGB),
    'mono8': ColourEncoding(1, cv2.COLOR_GRAY2RGB),
    'rgba8': ColourEncoding(4, cv2.COLOR_RGBA2RGB),
    'bgra8': ColourEncoding(4, cv2.COLOR_BGRA2RGB),
}


def decode_colour(
    buffer: Buffer, encoding: str, width: int, height: int, step: int, is_bigendian: bool = False
) -> np.ndarray:
    """The colours of a sensor_msgs/Image.

    Args:
        buffer: the message's data.
        encoding: rgb8, bgr8, mono8, rgba8 or bgra8.
        width: pixels.
        height: pixels.
        step: bytes of one row.
        is_bigendian: ignored, as channels have 8 bits.

    Returns:
        (H, W, 3) uint8 RGB; for rgb8 a view of the buffer, which may be read-only.

    Raises:
        ImageFormatError: unknown encoding, no pixels, step too small, or data missing.
    """
    if encoding not in COLOUR_ENCODINGS:
        raise ImageFormatError(
            f'the encoding {encoding!r} is not a supported colour encoding, expected '
            f"{', '.join(COLOUR_ENCODINGS)}: set the camera driver's colour format"
        )
    traits = COLOUR_ENCODINGS[encoding]
    pixels = pixel_view(buffer, encoding, np.dtype(np.uint8), traits.channels, width, height, step, is_bigendian)
    if traits.to_rgb is None:
        return pixels
    return cv2.cvtColor(np.ascontiguousarray(pixels), traits.to_rgb)


def decode_compressed_colour(data: Buffer, format: str) -> np.ndarray:
    """The colours of a sensor_msgs/CompressedImage: a JPEG, PNG or TIFF file.

    Args:
        data: the message's data.
        format: the message's format, as 'rgb8; jpeg compressed bgr8'.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageFormatError: the data is empty, damaged or of another file type, or the mosaic of a sensor.
    """
    encoding, _, compression = (part.strip() for part in format.partition(';'))
    if encoding.startswith('bayer_') and not compression.endswith(('bgr8', 'rgb8')):
        raise ImageFormatError(
            f'images of format {format!r} are the mosaic of a sensor, without colours: use the topic of a debayered '
            'image (image_proc), or raw images of it'
        )
    image = decompress(data, format, cv2.IMREAD_COLOR)
    # image_transport stores TIFF in the order of the image; JPEG and PNG it converts.
    if encoding == 'rgb8' and compression.startswith('tiff') and 'bgr' not in compression:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
