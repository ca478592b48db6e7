# SPDX-License-Identifier: Apache-2.0
"""Meshes compared with the observed depth of a folder of images."""

import math
import types

import cv2
import numpy as np
import pytest
import yaml

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.simulation.raycast import Raycaster
from training.evaluation import depth_pose_surface as surface
from training.evaluation.depth_pose_surface import DepthPoseSurfaceEvaluation
from training.evaluation.depth_pose_surface import evaluate
from training.evaluation.depth_pose_surface import HandSurface
from training.evaluation.depth_pose_surface import summarise

CAMERA = Pinhole(160, 120, 150.0, 150.0, 79.5, 59.5)


class Oracle:
    """A stage that returns the true hand, from the third image on 1 cm too far."""

    def __init__(self, models, variant):
        self.model = HandModel.load()

    def __call__(self, depth, camera, stamp):
        if not depth.any():
            return []
        far = np.float32(0.01 if stamp >= 2 else 0)
        posed = posed_hand(far)
        return [types.SimpleNamespace(side='right', score=0.9, joints=posed.keypoints, vertices=posed.vertices)]

    def warm_up(self):
        pass

    def reset(self):
        pass

    def hand_model(self, side):
        return self.model


def posed_hand(far=0.0):
    model = HandModel.load()
    pose = np.zeros(48, np.float32)
    pose[0] = np.pi  # fingers up, palm to the camera
    return model.forward(pose, np.zeros(10, np.float32), np.array([0, 0.08, 0.5 + far], np.float32))


@pytest.fixture
def recording(tmp_path):
    """Four images of a resting hand, and an empty one; unit 0.1 mm."""
    depth = Raycaster(posed_hand().vertices, HandModel.load().faces).look(CAMERA).depth
    (tmp_path / 'depth').mkdir()
    for number in range(5):
        cv2.imwrite(str(tmp_path / 'depth' / f'{number}.png'), (depth * 1e4 * (number != 4)).round().astype(np.uint16))
    camera = {
        'image_width': 160,
        'image_height': 120,
        'camera_name': 'test',
        'distortion_model': 'plumb_bob',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': CAMERA.matrix.ravel().tolist()},
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.0] * 5},
    }
    (tmp_path / 'camera.yaml').write_text(yaml.safe_dump(camera))
    return tmp_path


def test_a_folder_of_images(recording, monkeypatch, capsys):
    monkeypatch.setattr(surface, 'DepthPoseStage', Oracle)
    figures = evaluate(DepthPoseSurfaceEvaluation(recording / 'depth', recording / 'camera.yaml', 1e-4))
    assert (figures['images'], figures['without_a_hand'], figures['right'], figures['left']) == (5, 1, 4, 0)
    assert figures['residual_median_mm'] == pytest.approx(5, abs=1) and figures['residual_worst_mm'] == pytest.approx(
        10, abs=1
    )
    assert 0.9 < figures['iou_worst'] <= figures['iou_mean'] <= 1
    said = capsys.readouterr().out
    assert 'right 0.90' in said and '4.png  no hand' in said


def test_a_mesh_without_observed_points_counts_as_infinitely_far():
    wall = np.full((120, 160), 2, np.float32)
    (found,) = surface.hand_surfaces(Oracle(None, None), 'a.png', wall, CAMERA, 0.0)
    assert found == HandSurface('a.png', 'right', 0.9, math.inf, 0.0)
    figures = summarise([found], ['a.png', 'b.png'])
    assert (figures['right'], figures['without_a_hand']) == (1, 1) and math.isinf(figures['residual_worst_mm'])


def test_figures_without_hands_are_nan():
    figures = summarise([], ['a.png'])
    assert (
        figures['without_a_hand'] == 1 and math.isnan(figures['residual_median_mm']) and math.isnan(figures['iou_mean'])
    )
