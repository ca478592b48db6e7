# SPDX-License-Identifier: Apache-2.0
"""The evaluation on real stereo pairs, on pairs that are made for it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hoi_ros.hand.estimates import HandEstimate
from training.data.synthetic.depth_test_frames import DepthTestFrames
from training.evaluation import stereo
from training.evaluation.depth_pose_stereo import DepthPoseStereo
from training.evaluation.depth_pose_stereo import evaluate
from training.evaluation.stereo import behind_surface
from training.evaluation.stereo import stereo_pairs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pairs with the depth of a generated frame, the box about its hand, and about nothing."""
    frames = DepthTestFrames('validation', 0)
    frame = next(
        each for each in (frames[index] for index in range(40)) if each.counted.sum() == 1 and len(each.sides) == 1
    )
    camera, pixels = frame.camera, frame.camera.project(frame.keypoints[0])
    calibration = {name: getattr(camera, name) for name in ('fx', 'fy', 'cx', 'cy')}
    (tmp_path / 'desk_calibration.json').write_text(json.dumps({'intrinsic_left': calibration}))
    hand = [*(pixels.min(0) / [640, 480]), *(pixels.max(0) / [640, 480])]
    with (tmp_path / 'boxes.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['file', 'x0', 'y0', 'x1', 'y1'])
        for name, box in (('desk_1', hand), ('desk_2', [0.0, 0.0, 0.01, 0.01])):
            writer.writerow([f'rgbd_hands/{name}_left.jpg', *box])
            cv2.imwrite(str(tmp_path / f'{name}_left.jpg'), np.zeros((480, 640, 3), np.uint8))
            cv2.imwrite(str(tmp_path / f'{name}_sgbmdepth.png'), (frame.depth * 1000).astype(np.uint16))
    monkeypatch.setattr(stereo, 'BOXES', tmp_path / 'boxes.csv')
    return tmp_path


@pytest.mark.slow
def test_hands_are_counted_in_their_boxes_and_lie_on_the_surface(folder: Path) -> None:
    first, second = stereo_pairs(folder)
    assert first.name == 'desk_1' and first.depth.max() < 7 and first.camera == second.camera
    figures = evaluate(DepthPoseStereo(folder, overlays=folder / 'drawn'))
    # The hand is found in its box, and counts as false where the box is elsewhere.
    assert (figures['pairs'], figures['found'], figures['false_per_pair']) == (2, 0.5, 0.5)
    assert figures['joints_on_surface'] > 0.7 and 0 < figures['joints_behind_surface_mm'] < 20
    drawn = cv2.imread(str(folder / 'drawn' / 'desk_1.jpg'))
    assert drawn.max() > 100


def test_joints_before_and_behind_the_surface(folder: Path) -> None:
    camera = stereo_pairs(folder)[0].camera
    joints = camera.unproject(
        np.array([[100.0, 100], [200, 100], [300, 100], [-50, 100]]), np.array([0.51, 0.5, 0.4, 0.5])
    )
    depth = np.full((480, 640), 0.5, np.float32)
    depth[100, 300] = 0
    hand: HandEstimate = SimpleNamespace(joints=joints.astype(np.float32))
    np.testing.assert_allclose(behind_surface(hand, depth, camera), [0.01, 0.0], atol=1e-6)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='none of the stereo pairs .* name rgbd_hands'):
        stereo_pairs(tmp_path)


def test_the_drawn_boxes_lie_in_their_images() -> None:
    with stereo.BOXES.open(newline='') as file:
        rows = list(csv.DictReader(file))
    boxes = np.array([[float(row[name]) for name in ('x0', 'y0', 'x1', 'y1')] for row in rows])
    assert len(rows) == 12 and (boxes >= 0).all() and (boxes <= 1).all() and (boxes[:, :2] < boxes[:, 2:]).all()
