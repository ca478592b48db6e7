# SPDX-License-Identifier: Apache-2.0
"""Meshes against depth images whose hand is known."""

import math

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.raycast import Raycaster
from hoi_ros.simulation.sensor import SensorModel
from hoi_ros.simulation.surface_agreement import surface_agreement

CAMERA = Pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
MOMENTS = (0.0, 1.1, 2.3, 3.7, 5.2, 6.6)
KNUCKLES = [5, 9, 13, 17]


class Frame:
    """A simulated hand with its forearm before a wall and a table."""

    def __init__(self, moment, side='right', sensor=None):
        self.motion, self.moment = HandMotion(HandModel.load(), side, seed=3), moment
        simulated = SimulatedCamera(CAMERA, [self.motion], sensor)
        view = simulated.look(moment)
        depth, colour = np.zeros((240, 320), np.uint16), np.zeros((240, 320, 3), np.uint8)
        simulated.paint(view, depth, colour)
        self.depth = depth * np.float32(0.001)
        (self.hand,) = view.hands
        self.faces = self.motion.model.faces

    def agreement(self, shift=(0, 0, 0), depth=None):
        shift = np.array(shift, np.float32)
        return surface_agreement(
            self.hand.vertices + shift,
            self.faces,
            self.hand.joints + shift,
            self.depth if depth is None else depth,
            CAMERA,
        )

    def true_mask(self):
        """Pixels whose nearest surface is the hand beyond its wrist, and not the forearm."""
        count = len(self.hand.vertices)
        arm_vertices, arm_faces = self.motion.forearm(self.moment)
        hits = Raycaster(
            np.concatenate([self.hand.vertices, arm_vertices]), np.concatenate([self.faces, arm_faces + count])
        ).look(CAMERA)
        rows, columns = np.mgrid[:240, :320]
        points = CAMERA.unproject(np.stack([columns, rows], -1), hits.depth)
        wrist = self.hand.joints[0]
        beyond = (points - wrist) @ (self.hand.joints[KNUCKLES].mean(0) - wrist) > 0
        return beyond & (hits.triangles >= 0) & (hits.triangles < len(self.faces))


def share(first, second):
    return (first & second).sum() / (first | second).sum()


@pytest.mark.parametrize('side', ['right', 'left'])
@pytest.mark.parametrize('moment', MOMENTS)
def test_the_true_mesh_lies_on_perfect_depth(moment, side):
    frame = Frame(moment, side)
    agreement = frame.agreement()
    assert agreement.residual_mm < 0.6  # the image counts millimetres
    assert agreement.silhouette_iou > 0.93
    assert share(agreement.observed, frame.true_mask()) > 0.93


@pytest.mark.parametrize('moment', MOMENTS)
def test_the_observed_hand_is_found_in_what_a_real_camera_sees(moment):
    frame = Frame(moment, sensor=SensorModel())
    agreement = frame.agreement()
    assert agreement.residual_mm < 4
    assert share(agreement.observed, frame.true_mask() & (frame.depth > 0)) > 0.9


def test_a_mesh_that_is_off_in_depth_shows_it_in_the_residual():
    assert Frame(0.0).agreement(shift=(0, 0, 0.02)).residual_mm == pytest.approx(20, abs=2)


def test_a_mesh_that_is_off_aside_shows_it_in_the_silhouette():
    frame = Frame(0.0)
    ious = [frame.agreement(shift=(aside, 0, 0)).silhouette_iou for aside in (0, 0.01, 0.02, 0.04)]
    assert ious == sorted(ious, reverse=True) and ious[-1] < 0.6


def test_holes_speak_against_the_mesh():
    frame = Frame(0.0)
    whole = frame.agreement()
    depth = frame.depth.copy()
    rows, columns = np.nonzero(whole.observed)
    lost = rows < np.median(rows)
    depth[rows[lost], columns[lost]] = np.nan
    agreement = frame.agreement(depth=depth)
    assert agreement.silhouette_iou == pytest.approx(whole.silhouette_iou * (1 - lost.mean()), abs=0.05)
    assert agreement.residual_mm < 0.6


def test_what_does_not_touch_the_hand_is_no_hand():
    frame = Frame(0.0)
    joints = frame.hand.joints
    depth, alone = frame.depth.copy(), frame.agreement()
    row, column = np.rint(CAMERA.project(joints[9])[::-1]).astype(int)
    column += 60
    assert not alone.observed[row - 8 : row + 8, column - 8 : column + 8].any()
    depth[row - 5 : row + 5, column - 5 : column + 5] = joints[:, 2].mean()
    np.testing.assert_array_equal(frame.agreement(depth=depth).observed, alone.observed)


@pytest.mark.parametrize('depth', [0.0, np.nan, 3.0])
def test_where_nothing_is_seen_nothing_agrees(depth):
    agreement = Frame(0.0).agreement(depth=np.full((240, 320), depth, np.float32))
    assert math.isnan(agreement.residual_mm) and agreement.silhouette_iou == 0
    assert agreement.mesh.any() and not agreement.observed.any()


def test_a_hand_outside_the_image_agrees_with_nothing():
    agreement = Frame(0.0).agreement(shift=(5, 0, 0))
    assert math.isnan(agreement.residual_mm) and agreement.silhouette_iou == 0
