# SPDX-License-Identifier: Apache-2.0
"""A folder of images as camera topics, over DDS, from a process of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from hoi_ros.nodes.messages.images import colour_of
from hoi_ros.nodes.messages.images import depth_of
from hoi_ros.nodes.runtime import camera_topics

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.ros, pytest.mark.usefixtures('ros')]
TOPICS = {
    'depth': (Image, camera_topics.DEPTH),
    'colour': (Image, camera_topics.COLOUR),
    'info': (CameraInfo, camera_topics.INFO),
    'elsewhere': (Image, '/elsewhere/depth'),
}
CAMERA = ('depth', 'colour', 'info')
PATIENCE = 120.0  # seconds: a busy machine may take long to start a process


@pytest.fixture
def recording(tmp_path):
    """Three frames of 48x36 pixels and a damaged one; the depth of frame n is n hundred units."""
    for name in ('depth', 'rgb'):
        (tmp_path / name).mkdir()
    for number in (2, 3, 10):
        depth = np.full((36, 48), 100 * number, np.uint16)
        depth[0, 0] = 0
        cv2.imwrite(str(tmp_path / 'depth' / f'{number}.png'), depth)
        cv2.imwrite(str(tmp_path / 'rgb' / f'{number}.png'), np.full((36, 48, 3), (0, 0, 20 * number), np.uint8))
    (tmp_path / 'depth' / '5.png').write_bytes(b'damaged')
    camera = yaml.safe_load((ROOT / 'tests' / 'data' / 'sr305_camera.yaml').read_text())
    camera |= {'image_width': 48, 'image_height': 36}
    camera['camera_matrix']['data'] = [40.0, 0.0, 24.0, 0.0, 41.0, 18.0, 0.0, 0.0, 1.0]
    camera['distortion_coefficients']['data'] = [0.1, 0.0, 0.0, 0.0, 0.0]
    (tmp_path / 'camera.yaml').write_text(yaml.safe_dump(camera))
    return tmp_path


@pytest.fixture
def listener():
    """A subscriber to all topics of the camera: received[name] is the list of messages."""
    node = rclpy.create_node('listener')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    received = {name: [] for name in TOPICS}
    for name, (kind, topic) in TOPICS.items():
        node.create_subscription(kind, topic, received[name].append, 10)

    def listen(until, patience=PATIENCE):
        end = time.monotonic() + patience
        while not until(received):
            assert time.monotonic() < end, {name: len(messages) for name, messages in received.items()}
            executor.spin_once(timeout_sec=0.1)
        return received

    yield listen
    executor.shutdown()
    node.destroy_node()


@pytest.fixture
def play(recording):
    processes = []

    def start(*arguments, scale='0.001', rgb=True, command=None):
        started = [sys.executable, '-m', 'hoi_ros.replay', '--ros']
        command = command or [
            '--depth',
            str(recording / 'depth'),
            '--camera',
            str(recording / 'camera.yaml'),
            '--depth-scale',
            scale,
            '--rate',
            '10',
            *arguments,
        ]
        if rgb and '--rgb' not in command:
            command += ['--rgb', str(recording / 'rgb')]
        processes.append(subprocess.Popen(started + command, cwd=ROOT, text=True, stderr=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_folder_goes_out_once(play, listener):
    process = play()
    # On a busy machine the first frames may go out before DDS has joined both ends.
    received = listener(lambda received: all(received[name] for name in CAMERA))
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and '3 frames published' in log
    assert '5.png is left out' in log and 'no readable PNG' in log
    assert all(len(received[name]) <= 3 for name in CAMERA)


def test_the_topics_are_those_of_a_realsense(play, listener):
    play('--loop')
    received = listener(lambda received: all(len(received[name]) > 3 for name in CAMERA))
    by_stamp = [
        {(message.header.stamp.sec, message.header.stamp.nanosec): message for message in received[name]}
        for name in CAMERA
    ]
    frames = [tuple(messages[stamp] for messages in by_stamp) for stamp in set.intersection(*map(set, by_stamp))]
    assert len(frames) >= 3
    for depth, colour, info in frames:
        assert depth.encoding == '16UC1' and colour.encoding == 'rgb8'
        assert depth.header == colour.header == info.header
        assert depth.header.frame_id == 'camera_color_optical_frame'
        metres = depth_of(depth)
        assert metres[0, 0] == 0 and round(float(metres[1, 1]), 6) in (0.2, 0.3, 1.0)
        np.testing.assert_array_equal(colour_of(colour)[0, 0], [round(200 * metres[1, 1]), 0, 0])
        assert (info.width, info.height, info.distortion_model) == (48, 36, 'plumb_bob')
        np.testing.assert_allclose(info.k, [40, 0, 24, 0, 41, 18, 0, 0, 1])
        np.testing.assert_allclose(info.p, [40, 0, 24, 0, 0, 41, 18, 0, 0, 0, 1, 0])
        np.testing.assert_allclose(info.d, [0.1, 0, 0, 0, 0])


def test_another_unit_goes_out_in_metres(play, listener):
    play('--loop', scale='0.000125', rgb=False)
    received = listener(lambda received: received['depth'])
    assert not received['colour']
    message = received['depth'][0]
    assert message.encoding == '32FC1'
    raw = np.frombuffer(message.data, np.float32).reshape(36, 48)
    assert np.isnan(raw[0, 0])
    assert round(float(raw[1, 1]), 6) in (0.025, 0.0375, 0.125)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_loop_starts_over_until_it_is_told_to_end(play, listener, number):
    process = play('--loop')
    received = listener(lambda received: len(received['depth']) >= 5)
    assert process.poll() is None
    # Three frames were recorded: some came twice.
    assert {round(float(depth_of(message)[1, 1]), 6) for message in received['depth']} == {0.2, 0.3, 1.0}
    process.send_signal(number)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and 'Traceback' not in log


def test_a_loop_in_which_nothing_can_be_read_ends_and_says_why(play, recording, listener):
    for path in (recording / 'depth').iterdir():
        cv2.imwrite(str(path), np.full((36, 48), 200, np.uint8))
    process = play('--loop', rgb=False)
    listener(lambda received: process.poll() is not None)
    log = process.stderr.read()
    assert process.returncode == 1 and '1 channel(s) of uint8' in log and 'no frame was published' in log


def test_photos_of_any_size_go_out_each_after_its_calibration(play, recording, listener):
    photos = recording / 'photos'
    photos.mkdir()
    for name, size in (('kitchen', (48, 64)), ('garden', (64, 32))):
        cv2.imwrite(str(photos / f'{name}.jpg'), np.full((*size, 3), 90, np.uint8))
    process = play(command=['--rgb', str(photos), '--loop'])
    received = listener(lambda received: len(received['colour']) > 3)
    assert process.poll() is None
    infos = {message.header.stamp.sec * 10**9 + message.header.stamp.nanosec: message for message in received['info']}
    stamps = [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in received['colour']]
    # A pause of a second ends the tracks of a node.
    assert min(np.diff(stamps)) > 1e9
    for stamp, image in zip(stamps, received['colour']):
        info = infos[stamp]
        assert (info.width, info.height) == (image.width, image.height)
        # 65 degrees across the longer side.
        assert info.k[0] == pytest.approx(64 / 2 / np.tan(np.radians(32.5)))


def test_topics_can_be_remapped(play, listener):
    play('--loop', '--ros-args', '-r', '/camera/camera/aligned_depth_to_color/image_raw:=/elsewhere/depth', rgb=False)
    received = listener(lambda received: received['elsewhere'])
    assert not received['depth']


def test_a_missing_folder_ends_with_its_name(play):
    process = play('--depth', '/absent', rgb=False)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and '/absent is no folder' in log and 'Traceback' not in log
