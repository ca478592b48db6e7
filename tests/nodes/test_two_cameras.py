# SPDX-License-Identifier: Apache-2.0
"""Two cameras in two namespaces: every TF frame has one parent, and every message the frame of its image."""

from __future__ import annotations

from pathlib import Path

import pytest
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hoi_ros.msg import HandArray
from hoi_ros.nodes.runtime.hand_outputs import frame_prefix

from .bench import Bench
from .bench import good_depth
from .bench import good_info
from .bench import NodeProcess
from .reconstruction.colour_bench import colours
from .reconstruction.colour_bench import STAND_IN

CAMERAS = ('left', 'right')


@pytest.mark.parametrize(
    ('given', 'namespace', 'prefix'),
    [('auto', '/', ''), ('auto', '/robot/left', 'robot/left/'), ('', '/robot', ''), ('a_', '/robot', 'a_')],
)
def test_the_namespace_is_the_prefix_unless_one_is_given(given: str, namespace: str, prefix: str) -> None:
    assert frame_prefix(given, namespace) == prefix


@pytest.mark.slow
@pytest.mark.ros
def test_every_frame_has_one_parent(tmp_path: Path) -> None:
    nodes = [NodeProcess(STAND_IN, tmp_path / camera, topics={'__ns': f'/{camera}'}) for camera in CAMERAS]
    bench = Bench('/left/reconstruction')
    bench.listen(TFMessage, '/tf', 100)
    outputs = []
    for camera in CAMERAS:
        bench.listen(HandArray, f'/{camera}/reconstruction/hands')
        kinds = (('camera_info', CameraInfo), ('depth', Image), ('image', Image))
        outputs.append([bench.create_publisher(kind, f'/{camera}/{name}') for name, kind in kinds])

    def send() -> None:
        stamp = bench.next_header().stamp
        for camera, (send_info, send_depth, send_image) in zip(CAMERAS, outputs):
            header = Header(stamp=stamp, frame_id=f'{camera}_optical_frame')
            send_info(good_info(header))
            send_depth(good_depth(header))
            send_image(colours(header))

    def parents() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for message in bench.received['/tf']:
            for each in message.transforms:
                found.setdefault(each.child_frame_id, set()).add(each.header.frame_id)
        return found

    def heard() -> bool:
        return all(any(f'{camera}_optical_frame' in of for of in parents().values()) for camera in CAMERAS)

    bench.until(heard, send, 'transforms of both cameras')
    assert parents().keys() >= {f'{camera}/right_{part}' for camera in CAMERAS for part in ('wrist', 'held_object')}
    for frame, of in parents().items():
        assert of == {f'{frame.partition("/")[0]}_optical_frame'}
    for camera in CAMERAS:
        bench.until(lambda: bench.received[f'/{camera}/reconstruction/hands'], send, 'hands')
        frames = {message.header.frame_id for message in bench.received[f'/{camera}/reconstruction/hands']}
        assert frames == {f'{camera}_optical_frame'}
    bench.close()
    assert [node.end() for node in nodes] == [0, 0]
