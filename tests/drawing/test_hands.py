# SPDX-License-Identifier: Apache-2.0
"""Hands drawn over depth and colour images."""

import dataclasses

import cv2
import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.drawing.hands import draw_hands
from hoi_ros.drawing.hands import JOINT_COLOURS
from hoi_ros.drawing.hands import OBJECT_COLOUR
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import ContactEstimate

CAMERA = Pinhole(320, 240, 240.0, 240.0, 160.0, 120.0)


@dataclasses.dataclass(frozen=True)
class Hand:
    side: str
    score: float
    joints: np.ndarray
    vertices: np.ndarray
    held: 'Thing | None' = None
    contact: 'ContactEstimate | None' = None
    grasp: None = None


@dataclasses.dataclass(frozen=True)
class Thing:
    vertices: np.ndarray
    has_box: bool = True


@pytest.fixture(scope='module')
def models():
    right = HandModel.load()
    return {'right': right, 'left': right.mirrored()}


@pytest.fixture(scope='module')
def faces(models):
    return {side: model.faces for side, model in models.items()}


def hand(models, side='right', at=(0.0, 0.0, 0.5), mesh=True):
    pose = np.zeros(48, np.float32)
    geometry = models[side].forward(pose, np.zeros(10, np.float32), np.array(at, np.float32))
    return Hand(side, 0.875, geometry.keypoints, geometry.vertices if mesh else np.empty((0, 3)))


def silhouette(models, side):
    """Which pixels the mesh covers: each triangle filled on its own, front and back."""
    drawn = hand(models, side)
    mask = np.zeros((240, 320), np.uint8)
    for corners in np.round(CAMERA.project(drawn.vertices[models[side].faces])).astype(np.int32):
        cv2.fillConvexPoly(mask, corners, 1)
    return mask


@pytest.mark.parametrize('side', ['right', 'left'])
def test_the_mesh_covers_its_silhouette(models, faces, side):
    image = np.full((240, 320, 3), 20, np.uint8)
    changed = (draw_hands(image, [hand(models, side)], CAMERA, faces) != image).any(-1)
    mask = silhouette(models, side)
    inside = cv2.erode(mask, np.ones((3, 3))) > 0
    assert inside.sum() > 2000 and changed[inside].mean() > 0.99
    # Beyond the outline there are only the label and the outer half of lines and dots.
    assert changed[mask == 0].mean() < 0.06


CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.02
CUBE_FACES = np.array(
    [
        [0, 1, 3],
        [0, 3, 2],
        [4, 6, 7],
        [4, 7, 5],
        [0, 4, 5],
        [0, 5, 1],
        [2, 3, 7],
        [2, 7, 6],
        [0, 2, 6],
        [0, 6, 4],
        [1, 5, 7],
        [1, 7, 3],
    ]
)


def test_a_held_object_is_outlined_where_its_faces_are_given(models, faces):
    blank = np.full((240, 320, 3), 40, np.uint8)
    empty = hand(models, at=(0.3, 0, 0.5))
    holding = dataclasses.replace(empty, held=Thing(CUBE + [-0.1, 0, 0.5]))
    x, y = np.round(CAMERA.project(np.array([-0.1, 0, 0.5]))).astype(int)
    without, with_it = (draw_hands(blank, [drawn], CAMERA, faces, CUBE_FACES) for drawn in (empty, holding))
    # The middle of the cube shows the picture; its nearer face ends 10 pixels from there.
    np.testing.assert_array_equal(with_it[y - 6 : y + 7, x - 6 : x + 7], without[y - 6 : y + 7, x - 6 : x + 7])
    line = with_it[y, x + 7 : x + 16]
    assert (line == OBJECT_COLOUR).all(-1).any() and (with_it[y, x + 16 : x + 30] == 40).all()
    np.testing.assert_array_equal(draw_hands(blank, [holding], CAMERA, faces), without)
    # An object whose box is withheld has a hairline.
    unsure = dataclasses.replace(empty, held=Thing(CUBE + [-0.1, 0, 0.5], has_box=False))
    thin = draw_hands(blank, [unsure], CAMERA, faces, CUBE_FACES)
    assert 0 < (thin != without).any(-1).sum() < 0.6 * (with_it != without).any(-1).sum()


@pytest.mark.parametrize('at', [(0, 0, -0.5), (0, 0, 0.0), (0, 0, 0.03), (5, 0, 0.5), (-0.33, 0, 0.5)])
def test_an_object_behind_the_camera_or_partly_out_of_view_is_no_error(models, faces, at):
    holding = dataclasses.replace(hand(models), held=Thing(CUBE + at))
    assert draw_hands(np.zeros((240, 320, 3), np.uint8), [holding], CAMERA, faces, CUBE_FACES).any()


def test_the_input_is_not_changed(models, faces):
    image = np.full((240, 320, 3), 20, np.uint8)
    draw_hands(image, [hand(models)], CAMERA, faces)
    assert (image == 20).all()


def test_each_joint_has_its_fingers_colour(models, faces):
    drawn = draw_hands(np.zeros((240, 320, 3), np.uint8), [hand(models, mesh=False)], CAMERA, faces)
    joints = hand(models).joints
    for joint in (0, 4, 8, 12, 16, 20):
        x, y = np.round(CAMERA.project(joints[joint])).astype(int)
        np.testing.assert_array_equal(drawn[y, x], JOINT_COLOURS[joint])


def test_the_nearer_hand_is_on_top(models, faces):
    near, far = hand(models, 'right', (0, 0, 0.4)), hand(models, 'left', (0, 0, 0.8))
    blank = np.zeros((240, 320, 3), np.uint8)
    one_way, other_way = (draw_hands(blank, hands, CAMERA, faces) for hands in ([near, far], [far, near]))
    np.testing.assert_array_equal(one_way, other_way)
    x, y = np.round(CAMERA.project(near.joints[9])).astype(int)
    np.testing.assert_array_equal(one_way[y, x], JOINT_COLOURS[9])


@pytest.mark.parametrize('at', [(0, 0, -0.5), (0, 0, 0.0), (0, 0, 0.05), (5, 0, 0.5), (0.3, 0.2, 0.5), (0, 0, 50)])
def test_hands_behind_beside_and_at_the_camera_do_no_harm(models, faces, at):
    drawn = draw_hands(np.zeros((240, 320), np.float32), [hand(models, at=at)], CAMERA, faces)
    assert drawn.shape == (240, 320, 3) and drawn.dtype == np.uint8


def test_an_image_of_another_size_scales_the_camera(models, faces):
    drawn = draw_hands(np.zeros((480, 640, 3), np.uint8), [hand(models, mesh=False)], CAMERA, faces)
    x, y = np.round(CAMERA.scaled(640, 480).project(hand(models).joints[8])).astype(int)
    np.testing.assert_array_equal(drawn[y, x], JOINT_COLOURS[8])
