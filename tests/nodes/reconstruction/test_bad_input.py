# SPDX-License-Identifier: Apache-2.0
"""Encodings and bad input: every one is converted, or refused with a report, and the node goes on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hoi_ros.nodes.messages.images import image_message

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
from .colour_bench import restart
from .colour_bench import SIZE
from .colour_bench import with_fields

pytestmark = [pytest.mark.slow, pytest.mark.ros]


def encoded(encoding: str, pixel: tuple[int, ...], padding: int = 0) -> Callable[[Header], Image]:
    def make(header: Header) -> Image:
        rows = np.zeros((HEIGHT, WIDTH * len(pixel) + padding), np.uint8)
        rows[:, : WIDTH * len(pixel)] = np.tile(np.array(pixel, np.uint8), WIDTH)
        message = Image(header=header, width=WIDTH, height=HEIGHT, encoding=encoding, step=rows.shape[1])
        message.data.frombytes(rows.tobytes())
        return message

    return make


ENCODINGS = {
    'rgb8 with padded rows': (encoded('rgb8', COLOUR, 64), COLOUR),
    'bgr8': (encoded('bgr8', COLOUR[::-1]), COLOUR),
    'rgba8': (encoded('rgba8', (*COLOUR, 255)), COLOUR),
    'bgra8': (encoded('bgra8', (*COLOUR[::-1], 255)), COLOUR),
    'mono8': (encoded('mono8', (90,)), (90, 90, 90)),
}


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_comes_to_the_stage_as_rgb(bench: ColourBench, encoding: str) -> None:
    make, colour = ENCODINGS[encoding]

    def send() -> int:
        header = bench.next_header()
        bench.send(good_depth(header), good_info(header), make(header))
        return stamp_of(header)

    (hand,) = bench.until_answer(send).hands
    np.testing.assert_allclose(hand.shape[:3], np.array(colour) / 255, atol=1e-3)


def bad_image(**fields: object) -> Callable[[Header], Image]:
    return lambda header: with_fields(colours(header), **fields)


BAD_IMAGES: dict[str, tuple[Callable[[Header], Image], str]] = {
    'truncated data': (bad_image(data=bytes(1000)), 'the image holds 1000 bytes'),
    'no data': (bad_image(data=b''), 'the image holds 0 bytes'),
    'no pixels': (bad_image(width=0, height=0), 'the image is 0x0 pixels'),
    'a step shorter than a row': (bad_image(step=WIDTH), f'step is {WIDTH} bytes'),
    'an unknown encoding': (bad_image(encoding='rainbow'), "encoding 'rainbow'"),
    'a depth image': (good_depth, "encoding '16UC1'"),
    'a tiny image': (lambda header: colours(header, (10, 10)), 'image on /camera/image is 10x10 pixels'),
    'a square image': (lambda header: colours(header, (HEIGHT, HEIGHT)), 'which is of another shape'),
}


@pytest.mark.parametrize('what', BAD_IMAGES)
def test_a_bad_image_is_refused_and_said(bench: ColourBench, node: NodeProcess, what: str) -> None:
    make, reason = BAD_IMAGES[what]
    bench.until_answer(bench.send_good)
    stamps: set[int] = set()

    def send() -> None:
        header = bench.next_header()
        bench.send(good_depth(header), good_info(header), make(header))
        stamps.add(stamp_of(header))

    bench.until_says(reason, send)
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    bench.until_logged(node, reason)
    assert not stamps & {stamp_of(hands.header) for hands in bench.hands}


def test_a_stage_that_breaks_after_a_refused_frame_does_not_end_the_node(bench: ColourBench, node: NodeProcess) -> None:
    def send(pixels: np.ndarray) -> None:
        header = bench.next_header()
        bench.send(good_depth(header), good_info(header), image_message(pixels, header))

    bench.until_says('refused: ', lambda: send(np.full((10, 10, 3), 90, np.uint8)))
    bench.until_says('failed: RuntimeError: the stand-in breaks', lambda: send(np.full((*SIZE, 3), 255, np.uint8)))
    bench.until_logged(node, 'frame failed: RuntimeError: the stand-in breaks')


def bad_info(**fields: object) -> Callable[[Header], CameraInfo]:
    return lambda header: with_fields(good_info(header), **fields)


BAD_INFO = {
    'uncalibrated': (bad_info(k=[0.0] * 9), 'is not calibrated (k[0] is 0)'),
    'not finite': (bad_info(k=[math.nan, 0, 1, 0, 300, 1, 0, 0, 1]), 'expected finite numbers'),
    'of another shape': (bad_info(width=512, height=512), 'which is of another shape'),
}


@pytest.mark.parametrize('what', BAD_INFO)
def test_a_bad_camera_info_is_refused_and_said(bench: ColourBench, node: NodeProcess, what: str) -> None:
    make, reason = BAD_INFO[what]

    def send() -> None:
        header = bench.next_header()
        bench.send(good_depth(header), make(header), colours(header))

    bench.until_says(reason, send)
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    assert 'camera_info on /camera/camera_info' in bench.says
    bench.until_logged(node, reason)


def test_an_image_without_camera_info_waits_and_says_what_is_missing(bench: ColourBench) -> None:
    restart(bench)
    bench.until_says('no camera_info on /camera/camera_info', lambda: bench.send(image=colours(bench.next_header())))
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    assert 'there is image on /camera/image' in bench.says
    assert not bench.hands


def test_a_distorted_camera_is_rectified(bench: ColourBench) -> None:
    def send() -> int:
        header = bench.next_header()
        bench.send(good_depth(header), bad_info(d=[0.1, -0.05, 0.001, 0.0, 0.0])(header), colours(header))
        return stamp_of(header)

    (hand,) = bench.until_answer(send, by_depth).hands
    # What the lens did not see is black.
    assert hand.shape[0] < 200 / 255 - 1e-3


def test_a_larger_image_is_read_with_the_same_camera_info(bench: ColourBench) -> None:
    bench.until_answer(bench.send_good, by_depth)

    def send() -> int:
        header = bench.next_header()
        bench.send(None, good_info(header), colours(header, (2 * HEIGHT, 2 * WIDTH)))
        return stamp_of(header)

    (hand,) = bench.until_answer(send).hands
    assert (hand.shape[3], hand.shape[4]) == (2 * WIDTH, 2 * HEIGHT)


def bad_depth(**fields: object) -> Callable[[Header], Image]:
    return lambda header: with_fields(good_depth(header), **fields)


def depth(pixels: np.ndarray) -> Callable[[Header], Image]:
    return lambda header: image_message(pixels, header)


ROWS = np.arange(HEIGHT, dtype=np.float32)[:, None]
BAD_DEPTH: dict[str, tuple[Callable[[Header], Image], str]] = {
    'of another size': (
        depth(np.full((480, 848), 600, np.uint16)),
        f'it is 848x480 pixels, the image {WIDTH}x{HEIGHT}: align it to the image',
    ),
    'of another frame': (
        lambda header: with_fields(
            good_depth(header), header=Header(stamp=header.stamp, frame_id='camera_depth_optical_frame')
        ),
        "its frame_id is 'camera_depth_optical_frame'",
    ),
    'a colour image': (colours, "'rgb8' has 8 bits a channel"),
    'truncated': (bad_depth(data=bytes(1000)), 'the image holds 1000 bytes'),
    '0 everywhere': (depth(np.zeros(SIZE, np.uint16)), 'the depth is unknown everywhere'),
    'NaN everywhere': (depth(np.full(SIZE, np.nan, np.float32)), 'the depth is unknown everywhere'),
    'millimetres in 32FC1': (depth(np.full(SIZE, 600, np.float32) + ROWS), 'not in metres but look like millimetres'),
    'tenths of a millimetre': (
        depth(np.full(SIZE, 6000, np.uint16)),
        'if the scene is nearer, the values are not in mi',
    ),
}


@pytest.mark.parametrize('what', BAD_DEPTH)
def test_unusable_depth_is_said_and_the_frame_goes_on_without(bench: ColourBench, node: NodeProcess, what: str) -> None:
    make, reason = BAD_DEPTH[what]

    def send() -> int:
        header = bench.next_header()
        bench.send(make(header), good_info(header), colours(header))
        return stamp_of(header)

    bench.until_answer(send, by_hand_size)
    bench.until_says(reason, send)
    assert bench.diagnosis.level == DiagnosticStatus.WARN
    bench.until_logged(node, 'depth on /camera/depth is not used')
    bench.until_logged(node, reason)
