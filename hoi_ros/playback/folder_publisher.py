# SPDX-License-Identifier: Apache-2.0
"""Publishes a folder of recorded images under the topics of a RealSense camera."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.task import Future
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.depth import metric_depth
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.nodes.messages.images import camera_info_message
from hoi_ros.nodes.messages.images import image_message
from hoi_ros.nodes.runtime.camera_topics import COLOUR
from hoi_ros.nodes.runtime.camera_topics import DEPTH
from hoi_ros.nodes.runtime.camera_topics import FRAME
from hoi_ros.nodes.runtime.camera_topics import INFO
from hoi_ros.nodes.runtime.image_transport import make_room_for_images
from hoi_ros.nodes.runtime.starting import created
from hoi_ros.nodes.runtime.starting import say_refused
from hoi_ros.nodes.runtime.starting import start_ros
from hoi_ros.nodes.runtime.starting import StartRefused
from hoi_ros.playback.image_folder import FrameFiles
from hoi_ros.playback.image_folder import list_frames
from hoi_ros.playback.image_folder import read_colour
from hoi_ros.playback.image_folder import read_depth

if TYPE_CHECKING:
    from hoi_ros.playback.replay import ReplayConfig

_MILLIMETRE = 0.001
_SETTLING = 1.0  # seconds
_FAREWELL = Duration(seconds=1)


class ReplayNode(Node):
    """Publishes the frames at `config.publishing_rate`, stamped with the time of publishing, once somebody subscribes.

    Independent pictures are published more than a second apart, so that a node tracks each anew. Depth in millimetres
    is published as recorded (16UC1), any other unit as 32FC1 metres with NaN where unknown. A
    frame that cannot be read is named in the log and skipped.

    Attributes:
        finished: done after the last frame; with `config.loop` only if a whole pass has no usable frame.
        published: number of published frames.

    Raises:
        ImageFolderError, CalibrationError: the folder or the calibration file cannot be used.
    """

    def __init__(self, config: ReplayConfig) -> None:
        self._loop, self._metres_per_unit = config.loop, config.metres_per_unit or 1.0
        self._frames = list_frames(config.depth, config.rgb)
        self._cameras = config.cameras
        order = config.order(self._frames)
        rate = config.publishing_rate(order)
        super().__init__('replay')
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        self._images: dict[str, Publisher] = {}
        if config.depth is not None:
            self._images['depth'] = self.create_publisher(Image, DEPTH, qos)
        if config.rgb is not None:
            self._images['colour'] = self.create_publisher(Image, COLOUR, qos)
        self._info = self.create_publisher(CameraInfo, INFO, qos)
        self.finished: Future = Future()
        self.published = 0
        self._position = 0
        self._published_before = 0  # this pass
        self._start: float | None = None
        # The calibration of an independent picture goes out half a period ahead of it.
        self._ahead = Duration(seconds=0.5 / rate if order.independent else 0)
        self._announced: tuple[dict[str, np.ndarray], Header] | None = None
        self._timer = self.create_timer(self._ahead.nanoseconds / 1e9 or 1 / rate, self._tick)
        topics = ' and '.join(publisher.topic_name for publisher in self._images.values())
        self.get_logger().info(
            f'{len(self._frames)} frames at {rate:.3g} Hz wait for a subscriber to {topics}; {order}'
        )

    def farewell(self) -> None:
        """Waits at most a second until the subscribers have received everything."""
        for publisher in (*self._images.values(), self._info):
            publisher.wait_for_all_acked(_FAREWELL)

    def _tick(self) -> None:
        if self._start is None:
            if any(publisher.get_subscription_count() for publisher in self._images.values()):
                # Discovery of the other endpoints takes a moment.
                self._start = time.monotonic() + _SETTLING
            return
        if time.monotonic() < self._start:
            return
        if self._announced is not None:
            images, header = self._announced
            self._announced = None
            # A timer that was late fires early after that: no image leaves before its stamp.
            early = Time.from_msg(header.stamp, self.get_clock().clock_type) - self.get_clock().now()
            time.sleep(max(0.0, early.nanoseconds / 1e9))
            self._publish(images, header)
            return
        if self._position == len(self._frames) and self._loop and self.published > self._published_before:
            self._position, self._published_before = 0, self.published
        if self._position == len(self._frames):
            if not self.published:
                self.get_logger().error('no frame was published; the reasons stand above')
            self._timer.cancel()
            self.finished.set_result(self.published)
            return
        files = self._frames[self._position]
        self._position += 1
        try:
            images, calibration = published_images(files, self._metres_per_unit, self._cameras)
        except (ImageFormatError, CalibrationError) as error:
            self.get_logger().warning(f'frame {files.name} is left out: {error}')
            return
        # A node takes the calibration that it has when an image arrives, and every picture may be of another size.
        stamp = self.get_clock().now() + self._ahead
        header = Header(stamp=stamp.to_msg(), frame_id=FRAME)
        self._info.publish(camera_info_message(calibration, header))
        if self._ahead.nanoseconds:
            self._announced = images, header
        else:
            self._publish(images, header)

    def _publish(self, images: dict[str, np.ndarray], header: Header) -> None:
        for name, image in images.items():
            self._images[name].publish(image_message(image, header))
        self.published += 1


def published_images(
    files: FrameFiles, metres_per_unit: float, cameras: Callable[[int, int], CameraCalibration]
) -> tuple[dict[str, np.ndarray], CameraCalibration]:
    """The images to publish by 'depth' and 'colour', and the calibration of the colour image, or of the depth image
    without one.

    Raises:
        ImageFormatError, CalibrationError: an image cannot be read, or is of another shape than the camera's.
    """
    images = {}
    if files.depth is not None:
        images['depth'] = _published_depth(read_depth(files.depth), metres_per_unit)
    if files.colour is not None:
        images['colour'] = read_colour(files.colour)
    calibrations = [cameras(image.shape[1], image.shape[0]) for image in images.values()]
    return images, calibrations[-1]


def _published_depth(pixels: np.ndarray, metres_per_unit: float) -> np.ndarray:
    if pixels.dtype == np.uint16 and metres_per_unit == _MILLIMETRE:
        return pixels
    depth = metric_depth(pixels, metres_per_unit)
    return np.where(depth > 0, depth, np.float32(np.nan))


def publish_folder(config: ReplayConfig, ros_arguments: Sequence[str] = ()) -> int:
    """Publishes the folder until its last frame or an interrupt.

    Args:
        config: what to publish.
        ros_arguments: as after --ros-args, to remap topics.

    Returns:
        The exit code: 0 if a frame was published or the process was interrupted, 2 if ROS refuses the arguments.

    Raises:
        ImageFolderError, CalibrationError: the folder or the calibration file cannot be used.
    """
    make_room_for_images()
    node = None
    try:
        start_ros(ros_arguments)
        node = created(lambda: ReplayNode(config))
        rclpy.spin_until_future_complete(node, node.finished)
        if not rclpy.ok():
            return 0
        node.farewell()
        node.get_logger().info(f'{node.published} frames published')
        return 0 if node.published else 1
    except StartRefused as error:
        return say_refused(error)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except rclpy_implementation.RCLError:
        if rclpy.ok():
            raise
        return 0  # a frame was being published when the process was told to end
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
