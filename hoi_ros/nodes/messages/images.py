# SPDX-License-Identifier: Apache-2.0
"""Image and calibration messages ↔ arrays, without copying element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.colour import COLOUR_ENCODINGS
from hoi_ros.camera.colour import decode_colour
from hoi_ros.camera.colour import decode_compressed_colour
from hoi_ros.camera.depth import check_depth
from hoi_ros.camera.depth import declared_unit
from hoi_ros.camera.depth import decode_compressed_depth
from hoi_ros.camera.depth import decode_depth
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.refusal import FrameRefused

_ENCODINGS = {('uint8', 3): 'rgb8', ('uint8', 1): 'mono8', ('uint16', 1): '16UC1', ('float32', 1): '32FC1'}


_MEANT = {
    '': f'one of {", ".join(COLOUR_ENCODINGS)}',
    **dict.fromkeys(('rgb', 'rgb8', 'rgb24'), 'rgb8'),
    **dict.fromkeys(('bgr', 'bgr8', 'bgr24'), 'bgr8'),
    **dict.fromkeys(('8uc3', 'uint8'), 'rgb8 or bgr8'),
    **dict.fromkeys(('mono', 'mono8', 'grey', 'gray', '8uc1'), 'mono8'),
}
"""What drivers mean that write another name, in lower case, instead of an encoding; cv_bridge reads none of them."""


def depth_of(message: Image | CompressedImage) -> np.ndarray:
    """(H, W) float32 metres, 0 where the depth is unknown; a new array.

    Raises:
        ImageFormatError: the message holds no depth, or less than it says.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed_depth(message.data, message.format)
    return decode_depth(
        message.data, message.encoding, message.width, message.height, message.step, bool(message.is_bigendian)
    )


def known_depth_of(message: Image | CompressedImage, caution: Callable[[str], None] = lambda text: None) -> np.ndarray:
    """As `depth_of`, of an image that shows any surface, in the unit of its encoding.

    Args:
        message: a depth image.
        caution: takes the sentence about depth that is possible but out of reach of the hand detector.

    Raises:
        FrameRefused: the message holds no depth, or it is unknown everywhere, or not in the unit of its encoding.
    """
    depth = depth_of(message)
    if not depth.any():
        raise FrameRefused(
            'the depth is unknown everywhere (0 or NaN): uncover the camera, or move it away from what is too near; or '
            'the values were metres that were cut to whole numbers: multiply by 1000 first'
        )
    doubt = check_depth(
        depth, declared_unit(message.format if isinstance(message, CompressedImage) else message.encoding)
    )
    if doubt:
        caution(doubt)
    return depth


def colour_of(message: Image | CompressedImage) -> np.ndarray:
    """(H, W, 3) uint8 RGB; it may be a view of the message's data.

    Bayer, YUV and other encodings go through cv_bridge, where it is installed.

    Raises:
        ImageFormatError: the message holds no colours, or less than it says.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed_colour(message.data, message.format)
    if message.encoding not in COLOUR_ENCODINGS:
        return _colour_by_cv_bridge(message)
    return decode_colour(
        message.data, message.encoding, message.width, message.height, message.step, bool(message.is_bigendian)
    )


def image_message(pixels: np.ndarray, header: Header) -> Image:
    """A message of (H, W, 3) uint8 RGB (rgb8), (H, W) uint8 (mono8), uint16 millimetres (16UC1) or float32
    metres (32FC1)."""
    height, width, channels = (*pixels.shape, 1)[:3]
    encoding = _ENCODINGS[pixels.dtype.name, channels]
    message = Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * channels * pixels.itemsize,
    )
    # Assigned, a NumPy array would be copied number by number.
    message.data.frombytes(np.ascontiguousarray(pixels).tobytes())
    return message


def camera_info_message(calibration: CameraCalibration, header: Header) -> CameraInfo:
    """The CameraInfo of a calibrated camera that is neither binned, cropped nor rectified."""
    camera, matrix = calibration.camera, calibration.camera.matrix
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model=calibration.distortion_model or 'plumb_bob',
        d=list(calibration.distortion) or [0.0] * 5,
        k=matrix.ravel(),
        r=np.eye(3).ravel(),
        p=np.column_stack([matrix, np.zeros(3)]).ravel(),
    )


def _colour_by_cv_bridge(message: Image) -> np.ndarray:
    meant = _MEANT.get(message.encoding.lower())
    if message.encoding.lower().startswith(('jpeg', 'jpg', 'png')):
        raise ImageFormatError(
            f'the encoding is {message.encoding!r}, that of a compressed picture: publish it as '
            'sensor_msgs/CompressedImage, and set the transport of this input to compressed'
        )
    if meant:
        raise ImageFormatError(f'the encoding is {message.encoding!r}, expected {meant}: set it')
    try:
        from cv_bridge import CvBridge
        from cv_bridge import CvBridgeError
    except ImportError as error:
        raise ImageFormatError(
            f'the encoding {message.encoding!r} is read through cv_bridge, which is not '
            'installed: install it, or have the camera publish one of '
            f'{", ".join(COLOUR_ENCODINGS)}'
        ) from error
    try:
        return CvBridge().imgmsg_to_cv2(message, 'rgb8')
    except (CvBridgeError, TypeError, ValueError) as error:
        raise ImageFormatError(f'cv_bridge cannot read the encoding {message.encoding!r}: {error}') from error
