# SPDX-License-Identifier: Apache-2.0
"""The reasons for a silent topic, from the graph of real nodes."""

import time

import pytest
import rclpy
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image

from hoi_ros.msg import HandArray
from hoi_ros.nodes.runtime.missing_topics import reason_of_silence

pytestmark = pytest.mark.ros

RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


@pytest.fixture
def node(ros):
    node = rclpy.create_node('reader')
    node.declare_parameter('depth_transport', 'raw')
    node.declare_parameter('image_transport', 'raw')
    yield node
    node.destroy_node()


@pytest.fixture
def publish(ros, node):
    """Creates publishers in another node and waits until the reader's graph shows them."""
    camera = rclpy.create_node('camera')

    def create(*topics, qos=qos_profile_sensor_data):
        for kind, topic in topics:
            camera.create_publisher(kind, topic, qos)
        end = time.monotonic() + 20
        while not all(node.count_publishers(topic) for _, topic in topics):
            assert time.monotonic() < end
            time.sleep(0.02)

    yield create
    camera.destroy_node()


def reason(node, name='depth', kind=Image, topic=None, qos=qos_profile_sensor_data, others=(), given=''):
    return reason_of_silence(node, name, kind, topic or f'/{name}', qos, others, given)


COLOUR, DEPTH = '/cam/color/image_raw', '/cam/aligned_depth_to_color/image_raw'


def test_fitting_topics_are_listed_and_the_likeliest_is_remapped(node, publish):
    publish((Image, COLOUR), (Image, DEPTH), (Image, '/cam/infra1/image_raw'), (Image, '/reader/overlay'))
    told = reason(node)
    assert told.startswith(f'nobody publishes there; topics of type sensor_msgs/msg/Image are {DEPTH}, ')
    assert '/reader/overlay' not in told
    assert told.endswith(f'--ros-args -r depth:={DEPTH}')
    assert reason(node, 'image').endswith(f'--ros-args -r image:={COLOUR}')
    # A topic that another input reads is not proposed.
    assert 'none of them named like depth' in reason(node, others=[DEPTH])


def test_the_calibration_beside_the_image_is_the_likeliest(node, publish):
    publish((CameraInfo, '/a/color/camera_info'), (CameraInfo, '/b/color/camera_info'))
    assert reason(node, 'camera_info', CameraInfo, others=['/b/color/image_raw']).endswith(
        '-r camera_info:=/b/color/camera_info'
    )


def test_the_rule_names_the_topic_before_remapping(node, publish):
    publish((HandArray, '/other/hands'))
    told = reason(node, 'hands', HandArray, '/depth_pose/hands', given='depth_pose/hands')
    assert told.endswith('--ros-args -r depth_pose/hands:=/other/hands')


def test_without_any_fitting_topic_the_publisher_is_missing(node, publish):
    publish((CameraInfo, '/cam/camera_info'))
    assert 'no other topic of type sensor_msgs/msg/Image is published: start the publisher' in reason(node)


def test_a_topic_of_another_transport_is_proposed_with_its_parameter(node, publish):
    publish((CompressedImage, f'{DEPTH}/compressedDepth'), (CompressedImage, f'{COLOUR}/compressed'))
    assert reason(node).endswith(f'use --ros-args -r depth:={DEPTH} -p depth_transport:=compressedDepth')
    assert reason(node, 'image').endswith(f'use --ros-args -r image:={COLOUR} -p image_transport:=compressed')
    told = reason(node, 'image', CompressedImage, '/image/compressed')
    assert told.endswith(f'use --ros-args -r image:={COLOUR}')


def test_another_type_is_named_with_the_expected_one(node, publish):
    publish((CompressedImage, f'{DEPTH}/compressedDepth'), (CameraInfo, '/depth'))
    assert reason(node).startswith('its type is sensor_msgs/msg/CameraInfo, expected sensor_msgs/msg/Image; ')
    assert reason(node, topic=f'{DEPTH}/compressedDepth') == (
        'its type is sensor_msgs/msg/CompressedImage, expected sensor_msgs/msg/Image; '
        f'use --ros-args -r depth:={DEPTH} -p depth_transport:=compressedDepth'
    )


def test_compressed_images_on_the_plain_topic_belong_on_that_of_their_transport(node, publish):
    publish((CompressedImage, '/depth'), (CompressedImage, '/image'))
    depth, image = reason(node), reason(node, 'image')
    assert depth.endswith(
        '; publish it on /depth/compressedDepth and use --ros-args -p depth_transport:=compressedDepth'
    )
    assert image.endswith('; publish it on /image/compressed and use --ros-args -p image_transport:=compressed')


def test_a_quality_of_service_that_does_not_fit_is_named(node, publish):
    publish((Image, '/depth'))
    told = reason(node, qos=RELIABLE)
    assert 'QoS of its publisher does not fit (best effort publisher and reliable subscription): set' in told
    assert reason(node).startswith('nothing arrives from 1 publisher(s) there')
