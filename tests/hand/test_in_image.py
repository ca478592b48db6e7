# SPDX-License-Identifier: Apache-2.0
"""Hands in pixels of their image."""

import dataclasses

import cv2
import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.lens import Lens
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.in_image import in_image

CAMERA = Pinhole(320, 240, 240.0, 240.0, 160.0, 120.0)
LENS = Lens(CameraCalibration(CAMERA, 'plumb_bob', (-0.3, 0.02, 0.0, 0.0, 0.0)))


@pytest.fixture(scope='module')
def model():
    return HandModel.load()


def hand(model, at=(0.0, 0.0, 0.5)):
    pose, place = np.zeros(48, np.float32), np.array(at, np.float32)
    posed = model.forward(pose, np.zeros(10, np.float32), place)
    return HandEstimate('right', 1, 0.9, posed.keypoints, np.ones(21), pose, np.zeros(10), place, posed.vertices)


@pytest.mark.parametrize('camera', [CAMERA, LENS])
def test_the_box_bounds_the_silhouette(model, camera):
    seen = in_image(hand(model, (0.1, 0.05, 0.5)), camera).in_image
    mask = np.zeros((240, 320), np.uint8)
    for corners in np.round(camera.project(hand(model, (0.1, 0.05, 0.5)).vertices[model.faces])).astype(np.int32):
        cv2.fillConvexPoly(mask, corners, 1)
    box = seen.box
    assert box.side == 'right'
    np.testing.assert_allclose((box.x, box.y, box.width, box.height), cv2.boundingRect(mask), atol=2)
    np.testing.assert_allclose(seen.keypoints, camera.project(hand(model, (0.1, 0.05, 0.5)).joints), rtol=1e-5)


def test_a_hand_partly_out_of_view_has_a_box_inside_the_image_and_keypoints_outside(model):
    seen = in_image(hand(model, (0.45, 0, 0.5)), LENS).in_image
    box = seen.box
    assert box.x >= -0.5 and box.x + box.width == pytest.approx(319.5)
    assert seen.keypoints[:, 0].max() > 320


def test_a_hand_out_of_view_has_an_empty_box(model):
    box = in_image(hand(model, (5, 0, 0.5)), LENS).in_image.box
    assert box.width == 0


def test_without_a_mesh_the_box_bounds_the_keypoints(model):
    bare = dataclasses.replace(hand(model), vertices=np.empty((0, 3), np.float32))
    seen = in_image(bare, CAMERA).in_image
    assert seen.box.x == pytest.approx(seen.keypoints[:, 0].min()) and seen.box.height < 200
