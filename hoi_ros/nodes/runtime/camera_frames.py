# SPDX-License-Identifier: Apache-2.0
"""Frames of a camera: transports of images, calibration, rectification."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

import numpy as np
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image

from hoi_ros.camera.calibration import calibration_of
from hoi_ros.camera.lens import Lens
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import Input
from hoi_ros.nodes.runtime.inputs import Role
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.settings import Setting

DEPTH_TRANSPORT = Setting(
    'depth_transport',
    'raw',
    'Transport of the depth images; compressedDepth reads <depth>/compressedDepth.',
    choices=('raw', 'compressedDepth'),
)
IMAGE_TRANSPORT = Setting(
    'image_transport',
    'raw',
    'Transport of the colour images; compressed reads <image>/compressed.',
    choices=('raw', 'compressed'),
)
CALIBRATION = Input('camera_info', CameraInfo, 'camera_info', Role.LATEST)
"""The input of every node that reads camera images."""


def image_input(name: str, topic: str, role: Role, transport: str, **more: Any) -> Input:
    """An input of images: `topic`, fully resolved, or its sub-topic where the transport is not raw."""
    if transport == 'raw':
        return Input(name, Image, topic, role, **more)
    return Input(name, CompressedImage, f'{topic}/{transport}', role, **more)


class OriginalImage(NamedTuple):
    """An image before undistortion, and the camera of its pixels."""

    pixels: np.ndarray
    """(H, W, 3) uint8 RGB, or (H, W) float32 depth in metres."""
    lens: Lens


class CameraFrames:
    """Takes the lens distortion out of the images of frames.

    Args:
        inputs: the inputs of the node, `CALIBRATION` among them.

    Attributes:
        original: the last image that a rectifier was asked for; None before the first.
    """

    def __init__(self, inputs: FrameInputs) -> None:
        self._inputs = inputs
        self._rectifier: Rectifier | None = None
        self.original: OriginalImage | None = None

    def rectifier(self, frame: Frame, image: np.ndarray) -> Rectifier:
        """The rectifier for images of the size of this one, (H, W, ...).

        Raises:
            FrameRefused: the frame's camera_info belongs to another camera, or the camera is not calibrated.
        """
        height, width = image.shape[:2]
        calibration = calibration_of(frame.messages['camera_info'], width, height, self._inputs.where('camera_info'))
        rectifier = self._rectifier
        if rectifier is None or rectifier.calibration != calibration:
            self._rectifier = rectifier = Rectifier(calibration)
        self.original = OriginalImage(image, rectifier.lens)
        return rectifier
