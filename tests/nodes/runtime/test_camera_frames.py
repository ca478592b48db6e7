# SPDX-License-Identifier: Apache-2.0
"""Calibrations are read once, depth and image are rectified alike, and frame_ids are compared as cameras."""

from types import SimpleNamespace

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.nodes.runtime.camera_frames import CameraFrames
from hoi_ros.nodes.runtime.camera_frames import same_camera

K = [305.0, 0.0, 160.0, 0.0, 305.0, 120.0, 0.0, 0.0, 1.0]
P = [250.0, 0.0, 150.0, 0.0, 0.0, 251.0, 110.0, 0.0, 0.0, 0.0, 1.0, 0.0]
D = [0.1, -0.05, 0.001, 0.0, 0.0]
IMAGE = np.zeros((240, 320))


class Inputs:
    """The part of FrameInputs that CameraFrames uses, without ROS."""

    leader = 'image'

    def __init__(self, image, depth='/depth'):
        self._topics = {'image': image, 'depth': depth, 'camera_info': '/camera_info'}
        logger = SimpleNamespace(info=lambda text: None)
        self.node = SimpleNamespace(
            settings={'rectified': 'auto', 'check_frame_id': True},
            get_logger=lambda: logger,
            caution=lambda text: None,
        )

    def topic(self, name):
        return self._topics[name]

    def where(self, name):
        return f'{name} on {self.topic(name)}'


def frame(**fields):
    info = CameraInfo(
        **{'width': 320, 'height': 240, 'k': K, 'd': D, 'p': P, 'distortion_model': 'plumb_bob', **fields}
    )
    return SimpleNamespace(messages={'camera_info': info, 'image': Image()})


def test_a_repeated_calibration_is_read_once_and_a_changed_one_again():
    frames = CameraFrames(Inputs('/image_raw'))
    first = frames.rectifier(frame(), IMAGE)
    assert frames.rectifier(frame(), IMAGE) is first
    assert frames.rectifier(frame(d=[0.0] * 5), IMAGE) is not first


def test_a_refused_calibration_is_refused_until_it_changes():
    frames = CameraFrames(Inputs('/image_raw'))
    for _ in range(2):
        with pytest.raises(FrameRefused, match='not calibrated'):
            frames.rectifier(frame(k=[0.0] * 9, p=[0.0] * 12), IMAGE)
    assert frames.rectifier(frame(), IMAGE).camera.fx == 305


@pytest.mark.parametrize(
    ('image', 'depth', 'fields', 'refused'),
    [
        ('/rgb/image_raw', '/depth_registered/image_rect', {}, True),
        ('/rgb/image_rect', '/depth/image_raw', {}, True),
        ('/rgb/image_rect', '/depth/image_rect', {}, False),
        ('/rgb/image_rect', '/depth', {}, False),
        ('/rgb', '/depth/image_rect', {}, True),
        ('/rgb/image_raw', '/aligned_depth_to_color/image_raw', {}, False),
        ('/rgb/image_raw', '/depth/image_rect', {'d': [0.0] * 5}, True),  # P differs from K
        ('/rgb/image_raw', '/depth/image_rect', {'d': [0.0] * 5, 'p': [0.0] * 12}, False),
    ],
)
def test_depth_that_is_rectified_beside_a_raw_image_is_refused(image, depth, fields, refused):
    inputs = Inputs(image, depth)
    frames, message = CameraFrames(inputs), frame(**fields)
    frames.rectifier(message, IMAGE)
    if not refused:
        frames.refuse_unlike('depth', message)
        return
    with pytest.raises(FrameRefused, match=f'one of {image} and {depth} is rectified'):
        frames.refuse_unlike('depth', message)
    inputs.node.settings['rectified'] = 'true'
    frames.refuse_unlike('depth', message)


@pytest.mark.parametrize(
    ('first', 'second', 'same'),
    [
        ('camera', 'camera', True),
        ('', 'camera', True),
        ('/camera', 'camera', True),
        ('robot/camera', 'camera', True),
        ('/robot/camera_optical_frame', 'camera_link', True),
        ('camera_color_optical_frame', 'camera_color_frame', True),
        ('camera_color_optical_frame', 'camera_depth_optical_frame', False),
        ('robot_1/camera', 'robot_2/camera', False),
        ('left', 'right', False),
    ],
)
def test_frames_of_one_camera(first, second, same):
    assert same_camera(first, second) is same and same_camera(second, first) is same
