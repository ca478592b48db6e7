# SPDX-License-Identifier: Apache-2.0
"""The picture of the joints and of the wrist frames."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / 'docs' / 'images' / 'hand_frames.svg'
NUMBER = re.compile(r'-?\d+(?:\.\d+)?')


def test_the_picture_is_what_its_script_draws(tmp_path: Path):
    command = [sys.executable, 'scripts/hand_frames.py', str(tmp_path / 'drawn.svg')]
    subprocess.run(command, cwd=ROOT, check=True)
    drawn, committed = (tmp_path / 'drawn.svg').read_text(), PICTURE.read_text()
    texts, committed_texts = (re.findall('<text.*?>(.*?)</text>', svg) for svg in (drawn, committed))
    assert texts == committed_texts
    assert {f'{number} {name.upper()}' for number, name in enumerate(KEYPOINT_NAMES)} <= set(texts)
    # Another processor may round another way.
    joints, committed_joints = (
        np.array([NUMBER.findall(circle)[:2] for circle in re.findall('<circle.*?>', svg)], float)
        for svg in (drawn, committed)
    )
    np.testing.assert_allclose(joints, committed_joints, atol=0.2)
    assert abs(drawn.count('<path') - committed.count('<path')) < 20


def test_the_axes_are_what_the_picture_says():
    """x towards the thumb of a right hand and away from that of a left, y towards the fingers, z out of the palm."""
    right = HandModel.load()
    for model, thumb in ((right, 1), (right.mirrored(), -1)):
        pose = np.zeros(48, np.float32)
        joints = model.forward(pose, np.zeros(10), np.zeros(3)).keypoints
        assert joints[KEYPOINT_NAMES.index('thumb_tip'), 0] * thumb > 0.05
        assert joints[KEYPOINT_NAMES.index('middle_tip'), 1] > 0.15
        # A bent finger moves to the palm's side.
        pose[3:6] = 1.2, 0, 0
        bent = model.forward(pose, np.zeros(10), np.zeros(3)).keypoints
        index = KEYPOINT_NAMES.index('index_tip')
        assert bent[index, 2] - joints[index, 2] > 0.05
