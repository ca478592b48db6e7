# SPDX-License-Identifier: Apache-2.0
import importlib.util
import os
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.nodes.messages.images import colour_of
from hoi_ros.nodes.messages.images import depth_of
from hoi_ros.nodes.messages.images import image_message
from hoi_ros.nodes.runtime.image_transport import make_room_for_images

RNG = np.random.default_rng(5)
MILLIMETRES = RNG.integers(300, 900, (6, 5), dtype=np.uint16)
COLOURS = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)


def test_depth_there_and_back():
    np.testing.assert_allclose(depth_of(image_message(MILLIMETRES, Header())), MILLIMETRES / 1000, rtol=1e-6)
    metres = (MILLIMETRES / 1000).astype(np.float32)
    message = image_message(metres, Header(frame_id='camera'))
    assert (message.encoding, message.step, message.header.frame_id) == ('32FC1', 20, 'camera')
    np.testing.assert_array_equal(depth_of(message), metres)


def test_colours_there_and_back():
    message = image_message(COLOURS, Header())
    assert (message.encoding, message.height, message.width, message.step) == ('rgb8', 6, 5, 15)
    np.testing.assert_array_equal(colour_of(message), COLOURS)


def test_big_endian_and_padded_rows():
    rows = np.zeros((6, 16), np.uint8)
    rows[:, :10] = MILLIMETRES.astype('>u2').view(np.uint8)
    message = Image(width=5, height=6, encoding='16UC1', step=16, is_bigendian=1, data=rows.tobytes())
    np.testing.assert_allclose(depth_of(message), MILLIMETRES / 1000, rtol=1e-6)


def test_compressed_images():
    depth = CompressedImage(
        format='16UC1; compressedDepth png', data=bytes(12) + cv2.imencode('.png', MILLIMETRES)[1].tobytes()
    )
    np.testing.assert_allclose(depth_of(depth), MILLIMETRES / 1000, rtol=1e-6)
    colour = CompressedImage(
        format='rgb8; png compressed bgr8', data=cv2.imencode('.png', COLOURS[..., ::-1])[1].tobytes()
    )
    np.testing.assert_array_equal(colour_of(colour), COLOURS)


@pytest.mark.parametrize(('encoding', 'meant'), [('RGB8', 'rgb8'), ('8UC3', 'rgb8 or bgr8'), ('', 'one of rgb8, ')])
def test_names_that_are_no_encoding_are_mended(encoding, meant):
    with pytest.raises(ImageFormatError, match=f'expected {meant}'):
        colour_of(Image(encoding=encoding, width=2, height=1, step=6, data=bytes(6)))


def test_a_compressed_picture_in_the_wrong_message_is_named():
    with pytest.raises(ImageFormatError, match='CompressedImage, and set the transport'):
        colour_of(Image(encoding='jpeg', width=2, height=1, step=6, data=bytes(6)))


@pytest.mark.skipif(importlib.util.find_spec('cv_bridge') is not None, reason='cv_bridge reads it')
def test_what_cv_bridge_reads_is_refused_without_it():
    with pytest.raises(ImageFormatError, match="'bayer_rggb8' is read through cv_bridge, which is not inst"):
        colour_of(Image(width=4, height=4, encoding='bayer_rggb8', step=4, data=bytes(16)))


@pytest.mark.skipif(
    importlib.util.find_spec('cv_bridge') is None,
    reason='cv_bridge is not among the ROS 2 wheels: run this test on a ROS 2 machine',
)
def test_cv_bridge_reads_the_rest():
    flat = Image(width=4, height=4, encoding='bayer_rggb8', step=4, data=bytes([90] * 16))
    np.testing.assert_array_equal(colour_of(flat), np.full((4, 4, 3), 90))
    with pytest.raises(ImageFormatError, match='cv_bridge cannot read'):
        colour_of(Image(width=4, height=4, encoding='nonsense', step=4, data=bytes(16)))


def test_room_for_images_is_made_where_the_user_made_none(monkeypatch):
    for variable in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', 'my_own.xml')
    make_room_for_images()
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' not in os.environ
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE')
    make_room_for_images()
    profile = Path(os.environ.pop('FASTRTPS_DEFAULT_PROFILES_FILE'))
    segment = ElementTree.parse(profile).find('.//{http://www.eprosima.com}segment_size')
    assert int(segment.text) > 4 * 640 * 480 * 3
