# SPDX-License-Identifier: Apache-2.0
"""Frames of a camera: transports of images, calibration, rectification."""

from __future__ import annotations

import collections
import math
import re
import time
from collections.abc import Hashable
from typing import Any
from typing import NamedTuple

import numpy as np
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image

from hoi_ros.camera.calibration import calibration_of
from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.lens import Lens
from hoi_ros.camera.plausibility import intrinsics_doubt
from hoi_ros.camera.rectified import is_rectified
from hoi_ros.camera.rectified import name_says_rectified
from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.camera.undistortion import share_in_view
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
CAMERA_SETTINGS = (
    Setting(
        'rectified',
        'auto',
        'Whether the images are rectified, so that P of camera_info describes them, not K and D; auto: if their topic '
        'says so (image_rect, rect/image).',
        choices=('auto', 'true', 'false'),
        live=True,
    ),
    Setting(
        'check_frame_id',
        True,
        'Refuse images if camera_info, or their depth, has the frame_id of another camera.',
        live=True,
    ),
)
"""The parameters of every node that reads camera images."""
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


_MOST_CHANGES, _CHANGE_PERIOD = 4, 2.0
"""This many changes of the calibration within this many seconds indicate two cameras on one topic."""


class CameraFrames:
    """Takes the lens distortion out of the images of frames.

    Args:
        inputs: the inputs of the node, `CALIBRATION` among them; the node has `CAMERA_SETTINGS`.

    Attributes:
        original: the last image that a rectifier was asked for; None before the first.
    """

    def __init__(self, inputs: FrameInputs) -> None:
        self._inputs = inputs
        self._rectifier: Rectifier | None = None
        self.original: OriginalImage | None = None
        self._fault = self._doubt = ''
        self._read: Hashable = None
        self._other: bool | None = None
        self._changes: collections.deque[float] = collections.deque(maxlen=_MOST_CHANGES)
        self._told = ''

    def rectifier(self, frame: Frame, image: np.ndarray) -> Rectifier:
        """The rectifier for images of the size of this one, (H, W, ...).

        Raises:
            FrameRefused: the frame's camera_info belongs to another camera, or the camera is not calibrated.
        """
        info = frame.messages['camera_info']
        settings = self._inputs.node.settings
        if settings['check_frame_id']:
            self._check_frame_id(frame)
        height, width = image.shape[:2]
        # A calibration is repeated with every image and is read once.
        read = (_fields(info), width, height, settings['rectified'])
        if read != self._read:
            self._read, self._rectifier, self._fault, self._other = read, None, '', None
            self._changes.append(time.monotonic())
        self._check_publishers()
        if self._rectifier is None and not self._fault:
            try:
                self._rectifier = Rectifier(self._calibration(info, width, height, settings['rectified']))
            except CalibrationError as error:
                self._fault = str(error)
        if self._rectifier is None:
            raise CalibrationError(self._fault)
        if self._doubt:
            self._inputs.node.caution(self._doubt)
        self.original = OriginalImage(image, self._rectifier.lens)
        return self._rectifier

    def refuse_unlike(self, name: str, frame: Frame) -> None:
        """Checks that the images of another input are rectified as those of the leader are.

        Raises:
            FrameRefused: the topic of one of them says that it is rectified, and that makes a difference.
        """
        topic, leader = self._inputs.topic(name), self._inputs.topic(self._inputs.leader)
        if self._inputs.node.settings['rectified'] != 'auto':
            return
        said, rectified = name_says_rectified(topic), is_rectified('auto', leader)
        if said not in (None, rectified) and self._differs(frame, not rectified):
            raise FrameRefused(
                f'the topics say that one of {leader} and {topic} is rectified and the other is not: give both raw or '
                'both rectified, or set the parameter rectified to what both are'
            )

    def _differs(self, frame: Frame, rectified: bool) -> bool:
        """Whether the other reading of the calibration is another camera."""
        if self._rectifier is None:
            return False
        if self._other is None:
            camera = self._rectifier.camera
            try:
                other = calibration_of(frame.messages['camera_info'], camera.width, camera.height, '', rectified)
                self._other = self._rectifier.calibration.distorted or other.distorted or other.camera != camera
            except CalibrationError:
                self._other = True
        return self._other

    def _calibration(self, info: CameraInfo, width: int, height: int, choice: str) -> CameraCalibration:
        topic = self._inputs.topic(self._inputs.leader)
        rectified = is_rectified(choice, topic)
        calibration = calibration_of(info, width, height, self._inputs.where('camera_info'), rectified)
        aspect = intrinsics_doubt(calibration.camera, _is_part(info))
        doubts = [f'{self._inputs.where("camera_info")}: {aspect}'] if aspect else []
        if rectified:
            why = 'its topic says so' if choice == 'auto' else 'the parameter rectified says so'
            reading = f'{topic} is taken as rectified ({why}): P of camera_info is used'
            if baseline := math.hypot(info.p[3] / calibration.camera.fx, info.p[7] / calibration.camera.fy):
                reading += (
                    f'; positions are from the optical centre of this camera, {baseline:.3g} m from that of the first '
                    'one of the pair: its images must carry a frame_id of their own'
                )
        else:
            lens = 'without distortion'
            if calibration.distorted:
                share = share_in_view(Lens(calibration))
                lens = f'{calibration.distortion_model} is removed, {share:.0%} of the image stays'
            reading = f'{topic} is taken as raw: K of camera_info is used, {lens}'
            if calibration.distorted and info.p[0] and choice == 'auto' and name_says_rectified(topic) is None:
                doubts.append(f'{reading}; set the parameter rectified to false if it is, to true if it is rectified')
        self._doubt = '; '.join(doubts)
        if (info.width, info.height) != (width, height) and not _is_part(info):
            reading += (
                f'; the calibration is for {info.width}x{info.height} pixels: its intrinsics are scaled by '
                f'{width / info.width:.3g} to the image of {width}x{height}'
            )
        if reading != self._told:
            self._told = reading
            self._inputs.node.get_logger().info(reading)
        return calibration

    def _check_frame_id(self, frame: Frame) -> None:
        image, info = self._inputs.leader, 'camera_info'
        image_frame, info_frame = (frame.messages[name].header.frame_id for name in (image, info))
        if not same_camera(image_frame, info_frame):
            raise CalibrationError(
                f'the frame_id of {self._inputs.where(image)} is {image_frame!r}, that of {self._inputs.where(info)} '
                f'{info_frame!r}: remap camera_info to the topic of the same camera, or set the parameter '
                'check_frame_id to false if both are of one camera'
            )

    def _check_publishers(self) -> None:
        """Refuses the alternating calibrations of several cameras on one topic."""
        if len(self._changes) < _MOST_CHANGES or time.monotonic() - self._changes[0] > _CHANGE_PERIOD:
            return
        publishers = self._inputs.node.count_publishers(self._inputs.topic('camera_info'))
        if publishers > 1:
            raise CalibrationError(
                f'{self._inputs.where("camera_info")} has {publishers} publishers of different calibrations: leave one'
            )


def same_camera(first: str, second: str) -> bool:
    """Whether two frame_ids are of one camera.

    An empty one can be any. A leading slash, a prefix (`robot/camera` and `camera`) and the endings of the frames of
    one camera body (`camera_link`, `camera_frame`, `camera_optical_frame`) make no difference.
    """
    shorter, longer = sorted((_stem(first), _stem(second)), key=len)
    return not shorter or longer[-len(shorter) :] == shorter


def _stem(frame_id: str) -> list[str]:
    parts = [part for part in frame_id.split('/') if part]
    return [*parts[:-1], re.sub('(_(optical|frame|link))+$', '', parts[-1])] if parts else []


def _is_part(info: CameraInfo) -> bool:
    """Whether the driver says that it binned the image or cut a region out of it."""
    return bool(info.roi.width or info.roi.height) or max(info.binning_x, info.binning_y) > 1


def _fields(info: CameraInfo) -> Hashable:
    """The fields of a CameraInfo that its calibration is read from."""
    roi = info.roi
    return (
        info.width,
        info.height,
        info.distortion_model,
        bytes(info.d),
        bytes(info.k),
        bytes(info.p),
        info.binning_x,
        info.binning_y,
        (roi.x_offset, roi.y_offset, roi.width, roi.height),
    )
