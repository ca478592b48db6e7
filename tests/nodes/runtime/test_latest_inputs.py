# SPDX-License-Identifier: Apache-2.0
"""Latest inputs are read by a latched and a volatile subscription; a message that both receive counts once."""

from types import SimpleNamespace

import pytest
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import Input
from hoi_ros.nodes.runtime.inputs import Role
from hoi_ros.nodes.runtime.qos import LATCHED


class Node:
    """Stores callbacks by topic instead of subscribing."""

    def __init__(self):
        self.settings = {
            'input_qos.depth': 1,
            'input_qos.reliability': 'best_effort',
            'input_qos.durability': 'transient_local',
            'input_timeout': 1.0,
        }
        self.readers, self.publishers, self.profiles, self.offered = [], [], [], []
        self.statistics = SimpleNamespace(received=lambda: None)

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=0))

    def on_executor(self, change):
        return change()

    def create_subscription(self, kind, topic, callback, qos, event_callbacks=None):
        reader = SimpleNamespace(topic=topic, callback=callback)
        self.readers.append(reader)
        self.profiles.append((topic, qos.reliability, qos.durability))
        return reader

    def destroy_subscription(self, reader):
        self.readers.remove(reader)

    def create_timer(self, period, callback, clock):
        self.timer = callback
        return 'timer'

    def resolve_topic_name(self, topic):
        return topic

    def get_publishers_info_by_topic(self, topic):
        return [SimpleNamespace(qos_profile=profile) for profile in self.publishers]

    def destroy_timer(self, timer):
        pass

    def offer(self, frame):
        self.offered.append(frame.messages['camera_info'].width)


@pytest.fixture
def node_and_inputs():
    inputs = FrameInputs(
        lambda: (
            Input('image', Image, 'image', Role.LEADER),
            Input('camera_info', CameraInfo, 'camera_info', Role.LATEST),
        )
    )
    node = Node()
    inputs.attach(node)
    return node, inputs


def test_a_latched_subscription_follows_the_latched_publishers(node_and_inputs):
    node, inputs = node_and_inputs
    volatile = ('camera_info', ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
    latched = ('camera_info', ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
    # A volatile publisher would warn about a latched subscription in its own log.
    node.publishers = [QoSProfile(depth=1), QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)]
    inputs.load()
    node.timer()
    assert node.profiles == [volatile]
    node.publishers.append(LATCHED)
    for _ in range(2):
        node.timer()
    assert node.profiles == [volatile, latched]
    node.publishers.pop()
    node.timer()
    assert len(node.readers) == 1
    node.publishers.append(LATCHED)
    node.timer()
    assert node.profiles == [volatile, latched, latched]
    inputs.unload()
    assert not node.readers


def test_a_message_that_both_subscriptions_receive_counts_once_and_the_latest_is_kept(node_and_inputs):
    node, inputs = node_and_inputs
    node.publishers = [LATCHED]
    inputs.load()
    repeated, latched = (reader.callback for reader in node.readers)
    latched(CameraInfo(width=1), {'source_timestamp': 1})
    inputs.start()
    image = node.readers[-1].callback
    image(Image())
    repeated(CameraInfo(width=2), {'source_timestamp': 2})
    repeated(CameraInfo(width=3), {'source_timestamp': 3})
    latched(CameraInfo(width=2), {'source_timestamp': 2})
    image(Image())
    inputs.stop()
    latched(CameraInfo(width=4), {'source_timestamp': 4})
    inputs.start()
    image(Image())
    assert node.offered == [1, 3, 4]
    inputs.stop()
    inputs.unload()
    assert not node.readers
