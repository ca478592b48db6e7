# SPDX-License-Identifier: Apache-2.0
"""What the node publishes, and how it treats inputs over time; its stage is a stand-in that reports its input."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from visualization_msgs.msg import Marker

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.lens import Lens
from hoi_ros.drawing.hands import JOINT_COLOURS
from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.images import image_message
from hoi_ros.nodes.runtime.qos import LATCHED

from ..bench import FRAME
from ..bench import good_depth
from ..bench import good_info
from ..bench import HEIGHT
from ..bench import NodeProcess
from ..bench import stamp_of
from ..bench import WIDTH
from .colour_bench import by_depth
from .colour_bench import by_hand_size
from .colour_bench import COLOUR
from .colour_bench import ColourBench
from .colour_bench import colours
from .colour_bench import DEPTH
from .colour_bench import NODE
from .colour_bench import restart
from .colour_bench import SIZE
from .colour_bench import STAND_IN
from .colour_bench import with_fields

BARREL = [-0.3, 0.02, 0.0, 0.0, 0.0]

pytestmark = [pytest.mark.slow, pytest.mark.ros]


def test_rgb_with_depth_gives_hands_located_by_depth(bench: ColourBench) -> None:
    hands = bench.until_answer(bench.send_good, by_depth)
    assert hands.header.frame_id == FRAME
    (hand,) = hands.hands
    assert hand.translation[2] == pytest.approx(0.6)
    np.testing.assert_allclose(hand.shape[:5], [200 / 255, 100 / 255, 50 / 255, WIDTH, HEIGHT], atol=1e-3)
    bench.until_well()
    assert float(bench.value('depth_skew_ms')) == 0
    assert bench.value('missing_inputs') == ''


def test_rgb_alone_gives_hands_located_by_their_size_and_says_so(bench: ColourBench, node: NodeProcess) -> None:
    restart(bench)
    (hand,) = bench.until_answer(bench.send_without_depth).hands
    assert hand.located_by == Hand.LOCATED_BY_HAND_SIZE and hand.translation[2] == pytest.approx(0.5)
    bench.until_says('no depth on /camera/depth', bench.send_without_depth)
    # What is published is less accurate, and whoever wants it so says so.
    assert bench.diagnosis.level == DiagnosticStatus.WARN
    assert 'the hands are located by their size: set use_depth to false' in bench.diagnosis.message
    bench.until_logged(node, 'no depth on /camera/depth')


def test_what_a_hand_holds_comes_in_the_projects_and_in_the_standard_message(bench: ColourBench) -> None:
    stamp = stamp_of(bench.until_answer(bench.send_good, by_depth).header)

    def of_the_frame(topic: str) -> object:
        return next(
            (message for message in bench.received[f'{NODE}/{topic}'] if stamp_of(message.header) == stamp), None
        )

    bench.until(lambda: of_the_frame('objects') and of_the_frame('object_boxes'), what='the objects of the frame')
    objects, boxes = of_the_frame('objects'), of_the_frame('object_boxes')
    assert objects.header == boxes.header and objects.header.frame_id == FRAME
    (held,) = objects.objects
    assert (held.hand_id, held.hand_side, held.touching) == (7, Hand.RIGHT, True)
    assert held.score == pytest.approx(0.8) and held.gap == pytest.approx(0.001)
    confidence = held.touching_confidence, held.gap_confidence, held.box_confidence
    assert confidence == pytest.approx((0.95, 0.95, 0.85))
    vertices = np.reshape(held.vertices, (-1, 3))
    assert vertices.shape == (4, 3)
    np.testing.assert_allclose([held.pose.position.x, held.pose.position.z], vertices.mean(0)[[0, 2]], atol=1e-6)
    (box,) = boxes.detections
    assert (box.id, box.results[0].hypothesis.class_id) == ('7', 'held_object')
    assert box.results[0].hypothesis.score == pytest.approx(0.8)
    assert box.bbox.center == box.results[0].pose.pose == held.pose and box.bbox.size == held.size


def test_frames_and_markers_show_hands_and_objects(bench: ColourBench) -> None:
    def frames() -> set[str]:
        return {each.child_frame_id for message in bench.received['/tf'] for each in message.transforms}

    def marked() -> dict[str, Marker]:
        return {marker.ns: marker for message in bench.received[f'{NODE}/markers'] for marker in message.markers}

    bench.until(lambda: 'right_held_object' in frames() and 'right_held_object' in marked(), bench.send_good)
    assert frames() >= {'right_wrist', 'right_thumb_tip', 'right_held_object'}
    assert marked().keys() == {'right_mesh', 'right_joints', 'right_bones', 'right_held_object'}
    thing = marked()['right_held_object']
    assert thing.type == Marker.TRIANGLE_LIST and len(thing.points) == 12
    assert thing.color != marked()['right_mesh'].color


def test_the_documents_list_what_the_node_publishes(bench: ColourBench) -> None:
    """Topics with their types, and their QoS."""
    page = (Path(__file__).parents[3] / 'docs' / 'topics.md').read_text()
    rows = [line.split('|')[1:-1] for line in page.splitlines() if line.startswith(('| `~/', '| `/'))]
    documented = {
        topic.strip(' `').replace('~', NODE): (re.search(r'\w+/msg/\w+', kind)[0], qos.strip(' `'))
        for topic, kind, when, qos in rows
        if not when.strip().endswith(('by contact', 'by two_hand_prior'))
    }
    published = bench.publishers_of_the_node()
    assert {topic: kind for topic, (kind, _) in documented.items()} == {
        topic: info.topic_type for topic, info in published.items()
    }
    qos = {
        'reliable': (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        'output_qos': (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        'latched': (ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
    }
    for topic, info in published.items():
        expected = qos[documented[topic][1].partition(',')[0]]
        assert (info.qos_profile.reliability, info.qos_profile.durability) == expected, topic


def test_the_topology_holds_the_objects_faces(bench: ColourBench) -> None:
    bench.listen(MeshTopology, f'{NODE}/mesh_topology', LATCHED)
    bench.until(lambda: bench.received[f'{NODE}/mesh_topology'], what='mesh_topology')
    topology = bench.received[f'{NODE}/mesh_topology'][0]
    assert topology.object_vertex_count == 4 and len(topology.object_faces) == 12
    assert max(topology.right_faces) == topology.vertex_count - 1


def test_keypoints_box_and_overlay_are_in_pixels_of_the_distorted_image(bench: ColourBench) -> None:
    """The overlay's colour at each fingertip is that of the joint: all of them lie where the hand is in the image."""
    bench.listen(Image, f'{NODE}/overlay')
    lens = Lens(CameraCalibration(Pinhole(WIDTH, HEIGHT, 305.0, 305.0, WIDTH / 2, HEIGHT / 2), 'plumb_bob', BARREL))
    sent: set[int] = set()

    def send() -> int:
        header = bench.next_header()
        bench.send(good_depth(header), with_fields(good_info(header), d=BARREL), colours(header))
        sent.add(stamp_of(header))
        return stamp_of(header)

    def overlay() -> Image | None:
        shown = {stamp_of(hands.header) for hands in bench.hands if by_depth(hands)} & sent
        return next((each for each in bench.received[f'{NODE}/overlay'] if stamp_of(each.header) in shown), None)

    (hand,) = bench.until_answer(send, by_depth).hands
    keypoints = np.reshape(hand.image_keypoints, (21, 2))
    joints = np.reshape(hand.joints, (21, 3))
    np.testing.assert_allclose(keypoints, lens.project(joints), atol=1e-3)
    assert np.abs(keypoints - lens.calibration.camera.project(joints)).max() > 1
    box, vertices = hand.image_box, lens.project(np.reshape(hand.vertices, (-1, 3)))
    np.testing.assert_allclose([box.size_x, box.size_y], np.ptp(vertices, axis=0), atol=1e-3)
    np.testing.assert_allclose([box.center.position.x, box.center.position.y], (vertices.min(0) + vertices.max(0)) / 2)

    bench.until(overlay, send, 'an overlay')
    picture = overlay()
    assert (picture.width, picture.height, picture.encoding) == (WIDTH, HEIGHT, 'rgb8')
    assert picture.header.frame_id == FRAME
    pixels = np.frombuffer(picture.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(pixels[-1, -1], COLOUR)
    for tip in (Hand.THUMB_TIP, Hand.INDEX_TIP, Hand.LITTLE_TIP):
        x, y = np.round(keypoints[tip]).astype(int)
        np.testing.assert_array_equal(pixels[y, x], JOINT_COLOURS[tip])


def test_an_image_without_hands_gives_empty_arrays_and_is_counted(bench: ColourBench) -> None:
    def send() -> int:
        header = bench.next_header()
        bench.send(good_depth(header), good_info(header), image_message(np.zeros((*SIZE, 3), np.uint8), header))
        return stamp_of(header)

    stamp = stamp_of(bench.until_answer(send, lambda hands: not hands.hands).header)
    for topic, field in (('objects', 'objects'), ('object_boxes', 'detections')):
        bench.until(
            lambda: any(
                stamp_of(message.header) == stamp and not getattr(message, field)
                for message in bench.received[f'{NODE}/{topic}']
            ),
            what=f'empty {topic}',
        )
    bench.until(lambda: int(bench.value('frames_without_hands')) > 3, send, 'frames without hands')
    assert bench.value('hands') == '0'
    bench.until(lambda: bench.value('frames_without_hands') == '0', bench.send_good, 'a hand')
    assert bench.value('hands') == '1'


@pytest.mark.parametrize(('skew', 'told'), [(-5.0, ' ms earlier, expected'), (5.0, ' ms later, expected')])
def test_skewed_stamps_are_said_and_frames_go_on_without_depth(
    bench: ColourBench, node: NodeProcess, skew: float, told: str
) -> None:
    restart(bench)

    def send() -> int:
        header = bench.next_header()
        late = Header(frame_id=FRAME)
        late.stamp.sec, late.stamp.nanosec = header.stamp.sec + int(skew), header.stamp.nanosec
        bench.send(good_depth(late), good_info(header), colours(header))
        return stamp_of(header)

    # Five seconds later its image comes: the test ends before.
    bench.until_answer(send, by_hand_size)
    bench.until_says('depth on /camera/depth does not match image on /camera/image: its nearest stamp is', send)
    assert bench.diagnosis.level == DiagnosticStatus.WARN
    assert 'enable_sync' in bench.says and 'expected within 20 ms' in bench.says
    bench.until(lambda: told in node.log, send, told)


def test_depth_within_the_tolerance_is_used(bench: ColourBench) -> None:
    restart(bench)

    def send() -> int:
        header = bench.next_header()
        early = Header(frame_id=FRAME)
        early.stamp.sec, early.stamp.nanosec = divmod(stamp_of(header) - 10_000_000, 10**9)
        bench.send(good_depth(early), good_info(header), colours(header))
        return stamp_of(header)

    bench.until_answer(send, by_depth)
    bench.until_says('depth_skew_ms: -10.00\n', send)


def test_depth_that_dies_is_said_and_is_used_again_when_it_returns(bench: ColourBench, node: NodeProcess) -> None:
    bench.until_answer(bench.send_good, by_depth)
    bench.until_answer(bench.send_without_depth, by_hand_size)
    bench.until_says('no depth on /camera/depth', bench.send_without_depth)
    assert bench.diagnosis.level == DiagnosticStatus.WARN
    # Nobody waits for it any more: each image is answered before the next is sent.
    for _ in range(3):
        stamp = bench.send_without_depth()
        bench.until(lambda: stamp in {stamp_of(hands.header) for hands in bench.hands}, what='an answer at once')
    bench.until_answer(bench.send_good, by_depth)
    bench.until_well()
    bench.until_logged(node, 'depth on /camera/depth is back')


def test_depth_of_a_camera_slower_than_the_timeout_is_waited_for(bench: ColourBench) -> None:
    restart(bench)
    stamps = []
    for _ in range(5):
        header = bench.next_header()
        stamps.append(stamp_of(header))
        image, depth = colours(header), good_depth(header)
        bench.send(info=good_info(header), image=image)
        time.sleep(0.05)
        bench.send(depth)
        time.sleep(1.2)
    answers = {stamp_of(hands.header): hands for hands in bench.hands}
    # The first two depth images tell that the camera is slow.
    assert all(by_depth(answers[stamp]) for stamp in stamps[2:])


def test_a_camera_that_is_unplugged_is_missed_and_welcomed_back(bench: ColourBench, node: NodeProcess) -> None:
    bench.until_well()
    bench.until_says('no image on /camera/image')
    assert bench.diagnosis.level == DiagnosticStatus.ERROR and bench.value('missing_inputs') == 'image'
    bench.until_answer(bench.send_good)
    bench.until_logged(node, 'image on /camera/image is back')


def test_stamps_that_go_backwards_start_over(bench: ColourBench, node: NodeProcess) -> None:
    before = bench.until_answer(bench.send_good)
    bench.turn_back()
    assert stamp_of(bench.until_answer(bench.send_good, by_depth).header) < stamp_of(before.header)
    bench.until_logged(node, 'the stamps of image on /camera/image went backwards')


def test_a_region_reaches_the_stage(bench: ColourBench) -> None:
    publish = bench.create_publisher(RegionOfInterest, '/region')

    def send() -> int:
        publish(RegionOfInterest(x_offset=10, y_offset=20, width=100, height=80))
        return bench.send_good()

    bench.until_answer(send, lambda hands: bool(hands.hands) and hands.hands[0].shape[5] == 1, 'a region')
    bench.until_answer(bench.send_good, lambda hands: hands.hands[0].shape[5] == -1, 'its end')


def test_a_disabled_node_answers_no_frame_and_misses_no_camera(bench: ColourBench) -> None:
    bench.until_answer(bench.send_good)
    assert bench.call(SetBool, 'set_enabled', SetBool.Request(data=False)).message == 'disabled; the node is active'
    sent: set[int] = set()
    bench.until_says('disabled by ~/set_enabled', lambda: sent.add(bench.send_good()))
    # The camera is silent for longer than input_timeout.
    bench.until_says(f'input_rate_hz: {0:.2f}')
    assert bench.diagnosis.level == DiagnosticStatus.OK and bench.diagnosis.message == 'disabled by ~/set_enabled'
    assert not sent & {stamp_of(hands.header) for hands in bench.hands}
    assert bench.call(SetBool, 'set_enabled', SetBool.Request(data=True)).message == 'enabled; the node is active'
    bench.until_answer(bench.send_good)


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('min_score', math.nan, 'min_score'),
        ('max_hands', 0, 'out of range'),
        ('depth_tolerance', 0.05, 'deactivate, cleanup before'),
        ('use_depth', False, 'deactivate, cleanup before'),
        ('image_transport', 'theora', 'expected one of raw, compressed'),
    ],
)
def test_a_bad_parameter_is_refused(bench: ColourBench, name: str, value: object, reason: str) -> None:
    before = bench.get_parameter(name)
    result = bench.set_parameter(name, value)
    assert not result.successful and reason in result.reason
    assert bench.get_parameter(name) == before


def test_live_parameters_take_effect_while_active(bench: ColourBench) -> None:
    assert bench.set_parameter('publish_mesh', False).successful
    bench.until_answer(bench.send_good, lambda hands: not hands.hands[0].vertices)
    bench.until(lambda: not bench.received[f'{NODE}/objects'][-1].objects[0].vertices, bench.send_good)
    assert bench.set_parameter('publish_mesh', True).successful
    for on in (False, True):
        assert bench.set_parameter('fit_surface', on).successful
        bench.until_answer(bench.send_good, lambda hands: bool(hands.hands[0].shape[6]) == on)
    assert bench.set_parameter('min_confidence', 0.9).successful
    bench.until(lambda: not bench.received[f'{NODE}/object_boxes'][-1].detections, bench.send_good, 'no box')
    bench.until(lambda: math.isnan(bench.received[f'{NODE}/objects'][-1].objects[0].size.x), bench.send_good)
    assert bench.received[f'{NODE}/objects'][-1].objects[0].touching
    assert bench.set_parameter('min_confidence', 0.8).successful
    assert bench.set_parameter('min_score', 0.95).successful
    bench.until_answer(bench.send_good, lambda hands: not hands.hands)
    assert bench.set_parameter('min_score', 0.5).successful


def test_depth_can_be_left_alone(bench: ColourBench) -> None:
    for transition, use in (('cleanup', False), ('cleanup', True)):
        assert bench.change_state('deactivate') and bench.change_state(transition)
        assert bench.set_parameter('use_depth', use).successful
        assert bench.change_state('configure') and bench.change_state('activate')
        if not use:
            bench.hands.clear()
            bench.until_answer(bench.send_good, by_hand_size)
            assert 'depth' not in bench.value('missing_inputs')
            assert bench.count_subscribers(DEPTH) == 0


@pytest.mark.parametrize('size', [SIZE, (2160, 3840)])
def test_compressed_images_are_read_up_to_4k(shared_bench: ColourBench, tmp_path: Path, size: tuple[int, int]) -> None:
    bench, (height, width) = shared_bench, size
    node = NodeProcess(
        STAND_IN,
        tmp_path / 'log.txt',
        {'image_transport': 'compressed'},
        topics={'image': '/other/image', 'camera_info': '/other/camera_info', '__node': 'second', '/tf': '/other/tf'},
    )
    bench.listen(HandArray, '/second/hands')
    publish = bench.create_publisher(CompressedImage, '/other/image/compressed')
    publish_info = bench.create_publisher(CameraInfo, '/other/camera_info')
    data = cv2.imencode('.png', np.full((height, width, 3), COLOUR[::-1], np.uint8))[1].tobytes()

    def found() -> Hand | None:
        return next(
            (
                hand
                for message in bench.received['/second/hands']
                for hand in message.hands
                if (hand.shape[3], hand.shape[4]) == (width, height)
            ),
            None,
        )

    def send() -> None:
        header = bench.next_header()
        publish_info(good_info(header, width, height))
        publish(CompressedImage(header=header, format='rgb8; png compressed bgr8', data=data))

    bench.until(found, send, 'a hand')
    np.testing.assert_allclose(found().shape[:3], np.array(COLOUR) / 255, atol=1e-3)
    assert node.end() == 0 and 'Traceback' not in node.log
