# SPDX-License-Identifier: Apache-2.0
"""When a node builds markers and overlays; what they show is tested over DDS."""

import dataclasses
import functools
import math
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.lens import Lens
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.nodes.runtime import hand_outputs
from hoi_ros.nodes.runtime.camera_frames import OriginalImage
from hoi_ros.nodes.runtime.hand_outputs import HandOutputs

LENS = Lens(CameraCalibration(Pinhole(64, 48, 60.0, 60.0, 32.0, 24.0)))


class Output:
    def __init__(self):
        self.subscribers, self.messages = 0, []

    def get_subscription_count(self):
        return self.subscribers

    def publish(self, message):
        self.messages.append(message)


class StandInNode:
    def __init__(self):
        self.outputs, self.said = {}, []
        self.settings = {
            'publish_mesh': True,
            'publish_tf': False,
            'marker_rate': 30.0,
            'output_qos.depth': 1,
            'output_qos.reliability': 'reliable',
            'output_qos.durability': 'volatile',
        }

    def create_output(self, kind, topic, qos):
        return self.outputs.setdefault(topic, Output())

    def publish_within(self, session, publish):
        publish()
        return True

    def report(self, severity, text, subject=None):
        self.said.append(text)


@pytest.fixture
def outputs():
    """A part with a camera of 64x48 pixels, and its node."""
    right = HandModel.load()
    part = HandOutputs(SimpleNamespace(original=OriginalImage(np.full((48, 64, 3), 9, np.uint8), LENS)))
    part.attach(StandInNode())
    part.create({'right': right, 'left': right.mirrored()})
    yield part
    part.unload()


def hand():
    posed = HandModel.load().forward(np.zeros(48), np.zeros(10), np.array([0, 0, 0.5]))
    return HandEstimate(
        'right', 1, 0.9, posed.keypoints, np.ones(21), np.zeros(48), np.zeros(10), np.zeros(3), posed.vertices
    )


def drawn_for(outputs, seconds, hands=()):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        outputs.publish(Header(frame_id='camera'), hands, 0)
        time.sleep(0.002)
    time.sleep(0.1)
    return outputs.node.outputs['~/overlay'].messages


def test_nothing_is_drawn_while_nobody_subscribes(outputs, monkeypatch):
    drawn = []
    monkeypatch.setattr(hand_outputs, 'draw_hands', lambda *_: drawn.append(1) or np.zeros((48, 64, 3), np.uint8))
    assert drawn_for(outputs, 0.2) == [] and drawn == [] and outputs.node.said == []


def test_overlays_come_at_the_marker_rate_at_most(outputs):
    outputs.node.outputs['~/overlay'].subscribers = 1
    outputs.node.settings['marker_rate'] = 10.0
    assert 1 <= len(drawn_for(outputs, 0.35)) <= 4
    assert not outputs.node.outputs['~/markers'].messages


def test_the_overlay_shows_the_regions():
    right = HandModel.load()
    camera = SimpleNamespace(original=OriginalImage(np.full((48, 64, 3), 9, np.uint8), LENS))
    part = HandOutputs(camera, SimpleNamespace(used=[Region(10.0, 20.0, 30.0, 15.0)]))
    part.attach(StandInNode())
    part.create({'right': right, 'left': right.mirrored()})
    part.node.outputs['~/overlay'].subscribers = 1
    (overlay, *_) = drawn_for(part, 0.1)
    part.unload()
    drawn = np.argwhere(np.frombuffer(overlay.data, np.uint8).reshape(48, 64, 3)[..., 0] != 9)
    assert drawn.min(0).tolist() == [20, 10] and drawn.max(0).tolist() == [34, 39]


def test_a_rate_of_zero_turns_the_overlay_off(outputs):
    outputs.node.outputs['~/overlay'].subscribers = 1
    outputs.node.settings['marker_rate'] = 0.0
    assert drawn_for(outputs, 0.1) == []


def test_publishing_does_not_wait_for_the_drawing(outputs, monkeypatch):
    outputs.node.outputs['~/overlay'].subscribers = outputs.node.outputs['~/hands'].subscribers = 1
    monkeypatch.setattr(hand_outputs, 'draw_hands', lambda *_: time.sleep(1) or np.zeros((48, 64, 3), np.uint8))
    for _ in range(5):
        outputs.publish(Header(), [hand()], 0)
    assert len(outputs.node.outputs['~/hands'].messages) == 5
    assert not outputs.node.outputs['~/overlay'].messages


def test_a_frame_that_cannot_be_drawn_is_said_and_the_next_one_is_drawn(outputs, monkeypatch):
    outputs.node.outputs['~/overlay'].subscribers = 1
    draw = hand_outputs.draw_hands
    with monkeypatch.context() as patch:
        patch.setattr(hand_outputs, 'draw_hands', lambda *_: 1 / 0)
        assert drawn_for(outputs, 0.1) == []
    assert outputs.node.said[0] == 'markers and overlay of a frame failed: ZeroDivisionError: division by zero'
    assert hand_outputs.draw_hands is draw
    (overlay, *_) = drawn_for(outputs, 0.1)
    assert isinstance(overlay, Image) and (overlay.width, overlay.height, overlay.encoding) == (64, 48, 'rgb8')


def settle(done):
    end = time.monotonic() + 20
    while not done() and time.monotonic() < end:
        time.sleep(0.01)


def test_further_markers_never_pile_up_and_do_not_keep_those_of_the_hands_waiting(outputs):
    node, drawn, free = outputs.node, [], threading.Event()
    markers = node.outputs['~/markers']
    markers.subscribers = 1
    node.settings['marker_rate'] = math.inf

    def create(number):
        drawn.append(number)
        assert free.wait(20)
        return MarkerArray()

    outputs.mark(lambda: create(0), 0)
    settle(lambda: drawn)
    for number in range(1, 50):
        outputs.mark(functools.partial(create, number), 0)
    outputs.publish(Header(frame_id='camera'), [hand()], 0)
    free.set()
    settle(lambda: len(markers.messages) == 3)
    assert drawn == [0, 49], 'of those that wait, the newest alone is drawn'
    assert [bool(message.markers) for message in markers.messages] == [False, True, False], 'the hands in between'


def test_further_markers_come_at_the_rate_of_the_markers(outputs):
    markers = outputs.node.outputs['~/markers']
    markers.subscribers = 1
    outputs.node.settings['marker_rate'] = 0.0
    assert not outputs.wants_markers()
    outputs.mark(MarkerArray, 0)
    outputs.node.settings['marker_rate'] = 1e-3
    assert outputs.wants_markers()
    for _ in range(20):
        outputs.mark(MarkerArray, 0)
        settle(lambda: markers.messages)
    outputs.unload()
    assert len(markers.messages) == 1


def test_a_hand_without_vertices_is_drawn_as_joints_and_bones(outputs):
    node = outputs.node
    node.outputs['~/markers'].subscribers = 1
    outputs.publish(Header(frame_id='camera'), [dataclasses.replace(hand(), vertices=np.empty((0, 3)))], 0)
    settle(lambda: node.outputs['~/markers'].messages)
    assert [marker.ns for marker in node.outputs['~/markers'].messages[0].markers] == ['right_joints', 'right_bones']
    assert not node.said


def test_a_node_without_a_camera_has_no_overlay_and_hands_without_pixels():
    right = HandModel.load()
    part = HandOutputs()
    part.attach(StandInNode())
    part.create({'right': right, 'left': right.mirrored()})
    part.node.outputs['~/hands'].subscribers = 1
    part.publish(Header(), [hand()], 0)
    part.unload()
    assert '~/overlay' not in part.node.outputs
    assert not part.node.outputs['~/hands'].messages[0].hands[0].image_keypoints
