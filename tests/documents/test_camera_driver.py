# SPDX-License-Identifier: Apache-2.0
"""The camera driver of docs/cameras.md, with the node, over DDS."""

import collections
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy

from hoi_ros.msg import HandArray

pytestmark = [pytest.mark.slow, pytest.mark.ros]

ROOT = Path(__file__).parents[2]
TIMEOUT = 90.0


def test_the_driver_of_the_page_gives_hands(ros: None, tmp_path: Path):
    page = (ROOT / 'docs' / 'cameras.md').read_text()
    driver = tmp_path / 'driver.py'
    driver.write_text(re.search(r'## Your own camera.*?```python\n(.*?)```', page, re.DOTALL)[1])
    launched = re.findall(r' (\w+):=(/my_camera/\S+)', re.search(r'ros2 launch [^\n]*\n[^\n]*my_camera[^\n]*', page)[0])
    remapped = re.findall(r'-r (\w+):=(/my_camera/\S+)', page)
    assert remapped == launched and [name for name, _ in remapped] == ['depth', 'camera_info']
    commands = (
        [str(driver), str(ROOT / 'samples' / 'depth')],
        [
            '-m',
            'hoi_ros.nodes.depth_pose',
            '--ros-args',
            *(text for pair in remapped for text in ('-r', ':='.join(pair))),
        ],
    )
    node = rclpy.create_node('listener')
    received: list[HandArray] = []
    node.create_subscription(HandArray, '/depth_pose/hands', received.append, 1)
    log = tmp_path / 'log.txt'
    with log.open('w') as output:
        processes = [subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=output) for command in commands]
    try:
        end = time.monotonic() + TIMEOUT
        while sum(bool(message.hands) for message in received) < 20:
            assert time.monotonic() < end and all(process.poll() is None for process in processes), log.read_text()
            rclpy.spin_once(node, timeout_sec=0.1)
        processes[0].send_signal(signal.SIGTERM)
        assert processes[0].wait(TIMEOUT) == 0, log.read_text()
    finally:
        for process in processes:
            process.kill()
            process.wait()
        node.destroy_node()
    (hand, *_) = next(message for message in received if message.hands).hands
    assert 0.4 < hand.joints[2] < 0.8
    assert received[-1].header.frame_id == 'my_camera_optical_frame'
    ids = collections.Counter(hand.id for message in received for hand in message.hands)
    assert max(ids.values()) >= 5, 'a hand keeps its id while the driver holds its image'
