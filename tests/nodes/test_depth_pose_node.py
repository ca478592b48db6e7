# SPDX-License-Identifier: Apache-2.0
"""The depth_pose node against everything that a camera may send, over DDS; one process outlives it all."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import Region
from hoi_ros.msg import HandArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.images import image_message
from hoi_ros.nodes.runtime.qos import LATCHED
from hoi_ros.nodes.runtime.regions import region_of
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.hand_motion import HandMotion

from .bench import Bench
from .bench import black_image
from .bench import DEPTH_POSE
from .bench import FRAME
from .bench import good_depth
from .bench import good_info
from .bench import HEIGHT
from .bench import NodeProcess
from .bench import stamp_of
from .bench import WIDTH

pytestmark = [pytest.mark.slow, pytest.mark.ros]

Message = TypeVar('Message')


@pytest.fixture(scope='module')
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    process = NodeProcess(DEPTH_POSE, tmp_path_factory.mktemp('node') / 'log.txt', {'min_score': 0.25})
    yield process
    assert process.end() == 0, process.log
    assert 'Traceback' not in process.log


@pytest.fixture(scope='module')
def shared_bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def bench(shared_bench: Bench, node: NodeProcess) -> Iterator[Bench]:
    """The node starts active, and is alive and at work after each test."""
    shared_bench.until_state('active')
    yield shared_bench
    assert node.alive, node.log
    shared_bench.until_hands()


def test_hands_come_with_the_header_of_the_depth_image(bench: Bench) -> None:
    hands = bench.until_hands()
    assert hands.header.frame_id == FRAME
    bench.until_says('missing_inputs: \n', bench.send_good)
    bench.until_well()
    assert float(bench.value('camera_info_skew_ms')) == 0
    assert int(bench.value('frames_processed')) > 0
    assert math.isfinite(float(bench.value('processing_time_ms_p50')))
    assert math.isfinite(float(bench.value('pipeline_latency_ms_p99')))


def test_the_overlay_shows_the_depth_in_colours_under_its_header(bench: Bench) -> None:
    bench.listen(Image, '/depth_pose/overlay')
    overlays = bench.received['/depth_pose/overlay']

    def send() -> None:
        header = bench.next_header()
        depth = np.full((HEIGHT, WIDTH), 900, np.uint16)
        depth[:, : WIDTH // 4], depth[:10] = 500, 0
        bench.send(image_message(depth, header), good_info(header))

    bench.until(lambda: any(np.ptp(overlay.data[-3 * WIDTH :]) for overlay in overlays), send, 'the overlay')
    overlay = overlays[-1]
    assert (overlay.width, overlay.height, overlay.encoding) == (WIDTH, HEIGHT, 'rgb8')
    assert overlay.header.frame_id == FRAME
    pixels = np.frombuffer(overlay.data, np.uint8).reshape(HEIGHT, WIDTH, 3).astype(int)
    assert not pixels[2, 2].any() and pixels[-1, 2].sum() > pixels[-1, -2].sum() > 0


def with_fields(message: Message, **fields: object) -> Message:
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def depth(pixels: np.ndarray) -> Callable[[Header], Image]:
    return lambda header: image_message(pixels, header)


def bad_depth(**fields: object) -> Callable[[Header], Image]:
    return lambda header: with_fields(good_depth(header), **fields)


SIZE = (HEIGHT, WIDTH)
BAD_DEPTH: dict[str, tuple[Callable[[Header], Image], str]] = {
    'a colour image': (black_image, "'rgb8' has 8 bits a channel"),
    '8-bit depth': (depth(np.full(SIZE, 60, np.uint8)), "'mono8' has 8 bits a channel"),
    'an unknown encoding': (bad_depth(encoding='32SC1'), "'32SC1' is no depth encoding"),
    'a step shorter than a row': (bad_depth(step=WIDTH), f'step is {WIDTH} bytes'),
    'more rows than data': (bad_depth(height=2 * HEIGHT), 'truncated'),
    'truncated data': (bad_depth(data=bytes(1000)), 'the image holds 1000 bytes'),
    'no data': (bad_depth(data=b''), 'the image holds 0 bytes'),
    'no pixels': (bad_depth(width=0, height=0), 'the image is 0x0 pixels'),
    'depth of 0 everywhere': (depth(np.zeros(SIZE, np.uint16)), 'the depth is unknown everywhere'),
    'depth of NaN everywhere': (depth(np.full(SIZE, np.nan, np.float32)), 'the depth is unknown everywhere'),
    'a square image': (depth(np.full((HEIGHT, HEIGHT), 600, np.uint16)), 'which is of another shape'),
}


@pytest.mark.parametrize('what', BAD_DEPTH)
def test_bad_depth_is_refused_and_said(bench: Bench, node: NodeProcess, what: str) -> None:
    make, reason = BAD_DEPTH[what]
    bench.until_hands()
    stamps: set[int] = set()

    def send() -> None:
        header = bench.next_header()
        bench.send(make(header), good_info(header))
        stamps.add(stamp_of(header))

    bench.until_says(reason, send)
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    bench.until_logged(node, reason)
    assert not stamps & {stamp_of(hands.header) for hands in bench.hands}


def bad_info(**fields: object) -> Callable[[Header], CameraInfo]:
    return lambda header: with_fields(good_info(header), **fields)


BAD_INFO: dict[str, tuple[Callable[[Header], CameraInfo], str]] = {
    'uncalibrated': (bad_info(k=[0.0] * 9), 'is not calibrated (k[0] is 0)'),
    'of another shape': (bad_info(width=512, height=512), 'which is of another shape'),
    'not finite': (bad_info(k=[math.nan, 0, 1, 0, 300, 1, 0, 0, 1]), 'expected finite numbers'),
    'of an unknown lens': (bad_info(distortion_model='f_theta', d=[0.1]), "distortion model 'f_theta'"),
    'short of coefficients': (bad_info(d=[0.1]), '1 coefficients'),
    'of another camera': (bad_info(header=Header(frame_id='other')), f'is {FRAME!r}, that of camera_info on'),
    'of no lens': (bad_info(d=[-2.0, 0.0, 0.0, 0.0, 0.0]), 'as no lens does'),
}


@pytest.mark.parametrize('what', BAD_INFO)
def test_bad_camera_info_is_refused_and_said(bench: Bench, node: NodeProcess, what: str) -> None:
    make, reason = BAD_INFO[what]
    bench.until_hands()
    stamps: set[int] = set()

    def send() -> None:
        header = bench.next_header()
        bench.send(info=make(header))
        stamps.add(stamp_of(header))
        bench.send(good_depth(header))

    bench.until_says(reason, send)
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    assert 'camera_info on /camera/camera_info' in bench.says
    bench.until_logged(node, reason)
    # The first depth images may have overtaken the first bad camera_info.
    answered = stamps & {stamp_of(hands.header) for hands in bench.hands}
    assert answered <= set(sorted(stamps)[:2])


def test_a_camera_info_of_the_resized_image_is_used(bench: Bench) -> None:
    stamps: set[int] = set()

    def send() -> None:
        header = bench.next_header()
        bench.send(good_depth(header), good_info(header, 2 * WIDTH, 2 * HEIGHT))
        stamps.add(stamp_of(header))

    bench.until(lambda: stamps & {stamp_of(hands.header) for hands in bench.hands}, send, 'hands')


def test_a_distorted_camera_is_rectified(bench: Bench) -> None:
    stamps: set[int] = set()

    def send() -> None:
        header = bench.next_header()
        bench.send(good_depth(header), bad_info(d=[0.1, -0.05, 0.001, 0.0, 0.0])(header))
        stamps.add(stamp_of(header))

    bench.until(lambda: stamps & {stamp_of(hands.header) for hands in bench.hands}, send, 'hands')


def restart(bench: Bench) -> None:
    """The node forgets what it received."""
    for transition in ('deactivate', 'cleanup', 'configure', 'activate'):
        assert bench.change_state(transition)
    bench.hands.clear()


def test_depth_without_camera_info_publishes_nothing_and_says_what_is_missing(bench: Bench) -> None:
    restart(bench)
    bench.until_says('no camera_info on /camera/camera_info', lambda: bench.send(good_depth(bench.next_header())))
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    assert bench.value('missing_inputs') == 'camera_info'
    assert 'there is depth on /camera/depth' in bench.says
    assert not bench.hands


def test_rgb_without_depth_publishes_nothing_and_says_so(bench: Bench, node: NodeProcess) -> None:
    restart(bench)

    def send() -> None:
        header = bench.next_header()
        bench.send(info=good_info(header), image=black_image(header))

    bench.until_says('no depth on /camera/depth', send)
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    assert 'there is camera_info on /camera/camera_info and image on /camera/image' in bench.diagnosis.message
    bench.until_logged(node, 'no depth on /camera/depth')
    assert not bench.hands


def test_a_camera_that_is_unplugged_is_missed_and_welcomed_back(bench: Bench, node: NodeProcess) -> None:
    bench.until_well()
    bench.until_says('no depth on /camera/depth')
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    bench.until_hands()
    bench.until_logged(node, 'depth on /camera/depth is back')
    bench.until_well()


def test_stamps_that_go_backwards_start_over(bench: Bench, node: NodeProcess) -> None:
    before = bench.until_hands()
    bench.turn_back()
    assert stamp_of(bench.until_hands().header) < stamp_of(before.header)
    bench.until_logged(node, 'the stamps of depth on /camera/depth went backwards')


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('min_score', math.nan, 'min_score'),
        ('min_score', math.inf, 'min_score'),
        ('min_score', 1.5, 'out of range'),
        ('min_score', 'high', 'type'),
        ('max_hands', 0, 'out of range'),
        ('smoothing.min_cutoff', -1.0, 'out of range'),
        ('marker_rate', -math.inf, 'out of range'),
        ('variant', 'best', 'expected one of depth_pose, depth_pose_lsps'),
        ('backend', 'openvino', 'deactivate, cleanup before'),
    ],
)
def test_a_bad_parameter_is_refused(bench: Bench, name: str, value: object, reason: str) -> None:
    before = bench.get_parameter(name)
    result = bench.set_parameter(name, value)
    assert not result.successful
    assert reason in result.reason
    assert bench.get_parameter(name) == before


def test_live_parameters_take_effect_while_active(bench: Bench) -> None:
    assert bench.set_parameter('publish_mesh', False).successful
    assert bench.set_parameter('smoothing.enabled', True).successful
    bench.until_hands()
    bench.until(lambda: not any(len(hand.vertices) for hand in bench.hands[-1].hands), bench.send_good)
    assert bench.set_parameter('publish_mesh', True).successful
    assert bench.set_parameter('smoothing.enabled', False).successful


def test_the_mesh_topology_is_there_for_those_who_come_late(bench: Bench) -> None:
    bench.listen(MeshTopology, '/depth_pose/mesh_topology', LATCHED)
    bench.until(lambda: bench.received['/depth_pose/mesh_topology'], what='mesh_topology')
    topology = bench.received['/depth_pose/mesh_topology'][0]
    assert len(topology.right_faces) == len(topology.left_faces) > 1000
    assert max(topology.right_faces) == topology.vertex_count - 1
    assert topology.joint_names[0] == 'wrist'


def test_a_region_outside_the_image_is_ignored_and_said(bench: Bench, node: NodeProcess) -> None:
    region = RegionOfInterest(x_offset=WIDTH + 5, y_offset=0, width=10, height=10)
    publish = bench.create_publisher(RegionOfInterest, '/region')

    def send() -> None:
        publish(region)
        bench.send_good()

    bench.until_says('lies outside the image', send)
    assert bench.diagnosis.level == DiagnosticStatus.WARN and bench.value('regions') == 'none'
    bench.until_logged(node, 'lies outside the image')
    bench.until_hands()


def box(x: float, y: float, *classes: tuple[str, float]) -> Detection2D:
    detection = Detection2D()
    detection.bbox.center.position.x, detection.bbox.center.position.y = float(x), float(y)
    detection.bbox.size_x = detection.bbox.size_y = 40.0
    for name, score in classes:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = name, score
        detection.results.append(result)
    return detection


def test_a_box_says_where_the_hand_is_and_its_class_which_side() -> None:
    assert region_of(box(100, 60)) == Region(80, 40, 40, 40, None)
    assert region_of(box(0, 0, ('right_hand', 0.2), ('Left', 0.7))).side == 'left'
    assert region_of(box(0, 0, ('hand', 0.9))).side is None
    for name, side in {'leftHand': 'left', 'hand-right': 'right', 'bright_glove': None, 'left or right': None}.items():
        assert region_of(box(0, 0, (name, 0.9))).side == side, name


def test_a_turned_box_gives_the_upright_one_around_it() -> None:
    turned = box(100, 60)
    turned.bbox.size_x, turned.bbox.center.theta = 80.0, math.pi / 2
    region = region_of(turned)
    assert (region.x, region.y, region.width, region.height) == pytest.approx((80, 20, 40, 80))


@pytest.mark.parametrize('x', [WIDTH + 50, math.nan])
def test_boxes_outside_the_image_are_ignored_and_said(bench: Bench, node: NodeProcess, x: float) -> None:
    publish = bench.create_publisher(Detection2DArray, '/regions')
    detections = Detection2DArray(detections=[box(x, 40)])

    def send() -> None:
        publish(detections)
        bench.send_good()

    bench.until(lambda: f'the region at ({x - 20:g}, 20)' in node.log, send, 'the warning')
    bench.until_hands()


def test_a_region_governs_from_the_next_frame(bench: Bench) -> None:
    camera = Pinhole(WIDTH, HEIGHT, 305.0, 305.0, WIDTH / 2, HEIGHT / 2)
    simulated = SimulatedCamera(camera, [HandMotion(HandModel.load(), 'right', 0, 8.0)])
    view = simulated.look(1.0)
    pixels, colour = np.zeros(SIZE, np.uint16), np.zeros((*SIZE, 3), np.uint8)
    simulated.paint(view, pixels, colour)
    places = camera.project(view.hands[0].joints)
    middle, size = ((places.min(0) + places.max(0)) / 2).tolist(), np.ptp(places, axis=0).tolist()
    hand = box(*middle)
    hand.bbox.size_x, hand.bbox.size_y = size
    publish = bench.create_publisher(Detection2DArray, '/regions')

    def until_found(count: int, *boxes: Detection2D) -> HandArray:
        sent: set[int] = set()

        def send() -> None:
            publish(Detection2DArray(detections=list(boxes)))
            header = bench.next_header()
            bench.send(image_message(pixels, header), good_info(header))
            sent.add(stamp_of(header))

        def answer() -> HandArray | None:
            answers = [hands for hands in bench.hands if stamp_of(hands.header) in sent]
            return next((hands for hands in answers if len(hands.hands) == count), None)

        bench.until(answer, send, f'{count} hands')
        return answer()

    bench.until_says('running: hands are detected only in 1 region(s)', lambda: until_found(1, hand))
    assert bench.value('regions') == '1'
    (first,) = until_found(1, hand).hands
    assert not until_found(0, box(20, 20)).hands
    (second,) = until_found(1, hand).hands
    assert second.id != first.id
    np.testing.assert_allclose(np.reshape(second.joints, (21, 3)), view.hands[0].joints, atol=0.03)


def test_transitions_that_the_state_does_not_have_are_refused(bench: Bench) -> None:
    assert not bench.change_state('configure')
    assert not bench.change_state('cleanup')
    assert bench.state == 'active'
