# SPDX-License-Identifier: Apache-2.0
"""CameraInfo as drivers publish it, over DDS: latched or repeated, rectified or raw, of this camera or another."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray
from std_msgs.msg import Header

from .bench import Bench
from .bench import FRAME
from .bench import good_depth
from .bench import good_info
from .bench import HEIGHT
from .bench import NodeProcess
from .bench import WIDTH

pytestmark = [pytest.mark.slow, pytest.mark.ros]

SCRIPT = str(Path(__file__).with_name('camera_node.py'))
INFO = '/camera/camera_info'
CAMERA = '/camera_node/camera'
P = [250.0, 0.0, 150.0, 0.0, 0.0, 251.0, 110.0, 0.0, 0.0, 0.0, 1.0, 0.0]
D = [0.1, -0.05, 0.001, 0.0, 0.0]


def start(tmp_path: Path, depth: str) -> Iterator[tuple[NodeProcess, Bench]]:
    process = NodeProcess((SCRIPT,), tmp_path / 'log.txt', topics={'depth': depth, 'camera_info': INFO})
    bench = Bench('/camera_node')
    bench.listen(Float32MultiArray, CAMERA)
    yield process, bench
    bench.close()
    assert process.end() == 0 and 'Traceback' not in process.log, process.log
    # The latched subscription, which volatile publishers do not match, is none of the user's concern.
    assert 'incompatible QoS' not in process.log, process.log


@pytest.fixture(scope='module')
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, Bench]]:
    yield from start(tmp_path_factory.mktemp('raw'), '/camera/depth')


@pytest.fixture
def node(processes: tuple[NodeProcess, Bench]) -> NodeProcess:
    return processes[0]


@pytest.fixture
def bench(processes: tuple[NodeProcess, Bench]) -> Bench:
    """The node is active and has received no calibration."""
    bench = processes[1]
    bench.until_state('active')
    for transition in ('deactivate', 'cleanup', 'configure', 'activate'):
        assert bench.change_state(transition)
    bench.received[CAMERA].clear()
    return bench


@pytest.fixture
def publisher(bench: Bench) -> Iterator[Callable[[QoSProfile], Callable[[CameraInfo], None]]]:
    """Creates publishers of camera_info that end with the test."""
    made = []

    def create(qos: QoSProfile) -> Callable[[CameraInfo], None]:
        made.append(bench.create_publisher(CameraInfo, INFO, qos))
        bench.until(lambda: bench.count_publishers(INFO) == 1 + len(made))
        return made[-1]

    yield create
    for publish in made:
        bench.destroy_publisher(publish)
    bench.until(lambda: bench.count_publishers(INFO) == 1)


def info(focal: float = 305.0, **fields: object) -> CameraInfo:
    message = good_info(Header(frame_id=FRAME))
    message.k = [focal, 0.0, WIDTH / 2, 0.0, focal, HEIGHT / 2, 0.0, 0.0, 1.0]
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def send_depth(bench: Bench) -> None:
    bench.send(good_depth(bench.next_header()))


def until_camera(bench: Bench, focal: float, meanwhile: Callable[[], object] | None = None) -> list[float]:
    """Sends images until the camera has a focal length; fx, fy, cx, cy, distorted."""
    cameras = bench.received[CAMERA]

    def found() -> bool:
        return bool(cameras) and cameras[-1].data[0] == pytest.approx(focal)

    def send() -> None:
        if meanwhile:
            meanwhile()
        send_depth(bench)

    bench.until(found, send, f'a camera of {focal}')
    return list(cameras[-1].data)


def qos(reliability: str, durability: str) -> QoSProfile:
    return QoSProfile(
        depth=1, reliability=ReliabilityPolicy[reliability.upper()], durability=DurabilityPolicy[durability.upper()]
    )


LATCHED = qos('reliable', 'transient_local')
VOLATILE = qos('reliable', 'volatile')
BEST_EFFORT = qos('best_effort', 'volatile')


def test_a_calibration_latched_before_the_node_listens_is_read(bench: Bench, publisher) -> None:
    assert bench.change_state('deactivate') and bench.change_state('cleanup')
    publisher(LATCHED)(info(311.0))
    assert bench.change_state('configure') and bench.change_state('activate')
    until_camera(bench, 311.0)


@pytest.mark.parametrize('profile', [LATCHED, VOLATILE, BEST_EFFORT, qos('best_effort', 'transient_local')])
def test_a_calibration_said_once_while_the_node_is_inactive_is_kept(bench: Bench, publisher, profile) -> None:
    assert bench.change_state('deactivate')
    publish = publisher(profile)
    bench.until(lambda: publish.__self__.get_subscription_count() >= 1)
    for _ in range(10):  # the node's side of a volatile topic may still be getting to know the publisher
        publish(info(312.0))
        time.sleep(0.1)
    assert bench.change_state('activate')
    until_camera(bench, 312.0)
    for _ in range(2):
        assert bench.change_state('deactivate')
        bench.received[CAMERA].clear()
        assert bench.change_state('activate')
        until_camera(bench, 312.0)
    bench.until_says('missing_inputs: \n', lambda: send_depth(bench))


def test_a_changed_calibration_takes_over_whoever_sends_it(bench: Bench, publisher) -> None:
    publish = publisher(LATCHED)
    for focal in (313.0, 314.0):
        publish(info(focal))
        until_camera(bench, focal)
    repeat = publisher(BEST_EFFORT)
    until_camera(bench, 315.0, lambda: repeat(info(315.0)))
    publish(info(316.0))
    until_camera(bench, 316.0)


def test_a_calibration_that_was_missed_is_told_how_to_be_sent(bench: Bench, publisher) -> None:
    publisher(VOLATILE)
    bench.until_says('latch or repeat it', lambda: send_depth(bench))
    assert bench.diagnosis.level == DiagnosticStatus.ERROR


def test_images_that_get_lost_are_told(bench: Bench) -> None:
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        header = bench.next_header()
        bench.send(good_depth(header) if sent % 5 < 2 else None, good_info(header))

    bench.until_says('as often as camera_info on /camera/camera_info, in irregular intervals', send)
    assert bench.diagnosis.level == DiagnosticStatus.WARN
    assert 'input_qos.reliability' in bench.says


def test_only_p_is_filled(bench: Bench) -> None:
    assert until_camera(bench, 250.0, lambda: bench.send(info=info(k=[0.0] * 9, d=[], p=P))) == [250, 251, 150, 110, 0]


def test_a_resized_image_and_unlike_focal_lengths_are_said(bench: Bench, node: NodeProcess) -> None:
    header, twice = Header(frame_id=FRAME), 2 * WIDTH
    until_camera(bench, 305.0, lambda: bench.send(info=good_info(header, twice, 2 * HEIGHT)))
    bench.until_logged(node, f'for {twice}x{2 * HEIGHT} pixels: its intrinsics are scaled by 0.5 to')
    swapped = info(k=[WIDTH / 2, 0.0, 305.0, 0.0, HEIGHT / 2, 200.0, 0.0, 0.0, 1.0])
    bench.until_says('focal lengths (160, 120) differ by 33%', lambda: [bench.send(info=swapped), send_depth(bench)])
    assert bench.diagnosis.level == DiagnosticStatus.WARN and 'camera_info on /camera/camera_info' in bench.says


def test_a_user_says_that_images_are_rectified(bench: Bench, node: NodeProcess) -> None:
    def send() -> None:
        bench.send(info=info(d=D, p=P))

    assert until_camera(bench, 305.0, send)[4] == 1
    # The topic says neither: the convention is followed, and that is said.
    bench.until_says('set the parameter rectified to false if it is', lambda: [send(), send_depth(bench)])
    assert bench.diagnosis.level == DiagnosticStatus.WARN
    for given in (True, 'true'):
        assert bench.set_parameter('rectified', given).successful
        assert until_camera(bench, 250.0, send) == [250, 251, 150, 110, 0]
        assert bench.set_parameter('rectified', False).successful
        assert until_camera(bench, 305.0, send)[4] == 1
    refused = bench.set_parameter('rectified', 'perhaps')
    assert not refused.successful and 'expected one of auto, true, false' in refused.reason
    assert not bench.set_parameter('rectified', 1).successful
    assert bench.set_parameter('rectified', 'auto').successful
    bench.until_logged(node, '/camera/depth is taken as rectified (the parameter rectified says so)')


def test_the_topic_of_an_image_says_that_it_is_rectified(ros: None, tmp_path: Path) -> None:
    for node, bench in start(tmp_path, '/camera/image_rect'):
        bench.until_state('active')
        publish = bench.create_publisher(Image, '/camera/image_rect')

        def send(bench=bench, publish=publish) -> None:
            bench.send(info=info(d=D, p=P))
            publish(good_depth(bench.next_header()))

        assert until_camera(bench, 250.0, send) == [250, 251, 150, 110, 0]
        bench.until_logged(node, '/camera/image_rect is taken as rectified (its topic says so)')
        assert bench.set_parameter('rectified', False).successful
        assert until_camera(bench, 305.0, send)[4] == 1


@pytest.mark.parametrize(
    ('fields', 'reasons'),
    [
        ({'header': Header(frame_id='other_camera_optical_frame')}, (repr(FRAME), "'other_camera_optical_frame'")),
        ({'d': [-2.0, 0.0, 0.0, 0.0, 0.0]}, ('as no lens does', 'another camera')),
        ({'k': [9.0, 0.0, 160.0, 0.0, 9.0, 120.0, 0.0, 0.0, 1.0]}, ('focal lengths', 'another camera')),
        ({'k': [305.0, 0.0, 0.0, 0.0, 305.0, 0.0, 160.0, 120.0, 1.0]}, ('fill it row by row',)),
        ({'k': [0.0] * 9, 'd': D, 'p': P}, ('set rectified to true',)),
    ],
)
def test_a_calibration_that_is_not_the_images_is_said_and_nothing_is_published(
    bench: Bench, node: NodeProcess, fields: dict[str, object], reasons: tuple[str, ...]
) -> None:
    def send() -> None:
        bench.send(info=info(**fields))
        send_depth(bench)

    bench.until_says(reasons[0], send)
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    assert all(reason in bench.says for reason in ('camera_info on /camera/camera_info', *reasons))
    bench.until_logged(node, reasons[-1])
    assert not bench.received[CAMERA]


def test_frames_of_one_camera_body_and_prefixes_are_the_same_camera(bench: Bench) -> None:
    for focal, frame_id in enumerate(('', '/' + FRAME, f'robot/{FRAME}', 'camera_color_frame'), 320):
        header = Header(frame_id=frame_id)
        until_camera(bench, focal, lambda h=header, f=focal: bench.send(info=info(float(f), header=h)))


def test_a_user_says_that_two_frames_are_of_one_camera(bench: Bench) -> None:
    assert bench.set_parameter('check_frame_id', False).successful
    header = Header(frame_id='left')
    until_camera(bench, 330.0, lambda: bench.send(info=info(330.0, header=header)))
    assert bench.set_parameter('check_frame_id', True).successful


def test_two_cameras_on_one_topic_are_said(bench: Bench, publisher) -> None:
    publish = publisher(VOLATILE)

    def send() -> None:
        bench.send(info=info(340.0))
        send_depth(bench)
        publish(info(350.0))
        send_depth(bench)

    bench.until_says('has 2 publishers of different calibrations', send)
    until_camera(bench, 340.0, lambda: bench.send(info=info(340.0)))
