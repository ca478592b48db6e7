# SPDX-License-Identifier: Apache-2.0
"""The detections of a stand-in for MediaPipe are matched with the rendered hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.hand_realism import Detection
from benchmarks.hand_realism import nearest_detection
from benchmarks.hand_realism import report

SHAPE = (480, 640, 3)
KEYPOINTS = np.random.default_rng(0).uniform(0, 100, (21, 2)) + [200, 150]


def result_of(*hands):
    """MediaPipe's result with these keypoints (pixels) and labels."""
    return SimpleNamespace(
        multi_hand_landmarks=[
            SimpleNamespace(landmark=[SimpleNamespace(x=x / 640, y=y / 480) for x, y in points]) for points, _ in hands
        ],
        multi_handedness=[SimpleNamespace(classification=[SimpleNamespace(label=label)]) for _, label in hands],
    )


def test_the_nearest_hand_counts_and_its_side_is_mirrored():
    size = np.ptp(KEYPOINTS, axis=0).max()
    detection = nearest_detection(result_of((KEYPOINTS + 40, 'Right'), (KEYPOINTS + [3, 4], 'Left')), KEYPOINTS, SHAPE)
    assert detection.side == 'right'
    assert detection.error == pytest.approx(5 / size)


def test_a_far_hand_or_none_is_no_detection():
    assert nearest_detection(result_of((KEYPOINTS + 200, 'Left')), KEYPOINTS, SHAPE) is None
    nothing = SimpleNamespace(multi_hand_landmarks=None, multi_handedness=None)
    assert nearest_detection(nothing, KEYPOINTS, SHAPE) is None


def test_the_report_counts_by_group(capsys):
    known = [{'keypoints': KEYPOINTS.tolist(), 'side': 'right', 'held': held} for held in ('mug', None, None, None)]
    report(known, [Detection('right', 0.1), Detection('left', 0.3), None, None])
    out = capsys.readouterr().out
    assert 'detected 50.0% of 4; correct side 50.0%; median keypoint error 0.200 hand sizes' in out
    assert 'holding: 100.0% of 1' in out and 'free: 33.3% of 3' in out and '80 to 160 px: 50.0% of 4' in out
    report(known, [None] * 4)
    assert 'detected 0.0% of 4\n' in capsys.readouterr().out
