# SPDX-License-Identifier: Apache-2.0
"""Latest inputs are read by a latched and a volatile subscription; a message that both receive counts once."""

from types import SimpleNamespace

from rclpy.qos import DurabilityPolicy
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import Input
from hoi_ros.nodes.runtime.inputs import Role


class Node:
    """Stores callbacks by topic instead of subscribing."""

    def __init__(self):
        self.settings = {
            'input_qos.depth': 1,
            'input_qos.reliability': 'best_effort',
            'input_qos.durability': 'transient_local',
            'input_timeout': 1.0,
        }
        self.callbacks, self.profiles, self.offered = {}, [], []
        self.statistics = SimpleNamespace(received=lambda: None)

    def on_executor(self, change):
        return change()

    def create_subscription(self, kind, topic, callback, qos, event_callbacks=None):
        self.callbacks.setdefault(topic, []).append(callback)
        self.profiles.append((topic, qos.reliability, qos.durability))
        return topic

    def destroy_subscription(self, reader):
        self.callbacks[reader].pop()

    def offer(self, frame):
        self.offered.append(frame.messages['camera_info'].width)


def test_late_duplicates_are_ignored_and_the_latest_is_kept_while_inactive():
    inputs = FrameInputs(
        lambda: (
            Input('image', Image, 'image', Role.LEADER),
            Input('camera_info', CameraInfo, 'camera_info', Role.LATEST),
        )
    )
    node = Node()
    inputs.attach(node)
    inputs.load()
    latched, repeated = node.callbacks['camera_info']
    assert node.profiles == [
        ('camera_info', ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
        ('camera_info', ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
    ]
    latched(CameraInfo(width=1), {'source_timestamp': 1})
    inputs.start()
    node.callbacks['image'][0](Image())
    repeated(CameraInfo(width=2), {'source_timestamp': 2})
    repeated(CameraInfo(width=3), {'source_timestamp': 3})
    latched(CameraInfo(width=2), {'source_timestamp': 2})
    node.callbacks['image'][0](Image())
    inputs.stop()
    latched(CameraInfo(width=4), {'source_timestamp': 4})
    inputs.start()
    node.callbacks['image'][0](Image())
    assert node.offered == [1, 3, 4]
    inputs.stop()
    inputs.unload()
    assert not any(node.callbacks.values())
