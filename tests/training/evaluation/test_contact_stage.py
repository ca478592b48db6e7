# SPDX-License-Identifier: Apache-2.0
"""Figures of contact behind reconstruction, on a hand whose estimates are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.contact import touched
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import Can
from training.data.hand_object import HandObjectSample
from training.data.hand_object import ObjectLabel
from training.evaluation.contact_stage import figures_of
from training.evaluation.contact_stage import HandBeforeAndAfter


@pytest.fixture
def held() -> tuple[HandEstimate, np.ndarray]:
    motion = HandMotion(HandModel.load(), 'right', 0, 8.0, 0.0, Can())
    return motion(1.0), motion.object_faces


def test_an_object_that_is_moved_out_of_the_hand_is_better(held: tuple[HandEstimate, np.ndarray]) -> None:
    hand, faces = held
    label = ObjectLabel('can', hand.held.vertices, faces, np.eye(4))
    camera = Pinhole(640, 480, 600.0, 600.0, 319.5, 239.5)
    truth = HandObjectSample(
        'one', np.zeros((1, 1, 3), np.uint8), camera, 'right', hand.joints, hand_vertices=hand.vertices, held=label
    )
    palm = hand.joints[9] - hand.held.vertices.mean(0)
    inside = hand.held.vertices + 0.01 * palm / np.linalg.norm(palm)
    before = dataclasses.replace(
        hand, joints=hand.joints + [0.003, 0, 0], held=dataclasses.replace(hand.held, vertices=inside)
    )
    firm = touched(hand.vertices, hand.held.vertices, faces).astype(np.float32)
    contact = ContactEstimate(firm, np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)), np.arange(5), 0.0, 0.0)
    figures = figures_of([HandBeforeAndAfter(truth, before, dataclasses.replace(hand, contact=contact))], faces)
    assert figures['before']['joints_mm'] == pytest.approx(3.0, abs=0.01) and figures['after']['joints_mm'] == 0
    assert figures['before']['penetration_mm'] > 5 > figures['after']['penetration_mm']
    assert figures['before']['intersection_cm3'] > 3 * figures['after']['intersection_cm3']
    assert figures['after']['vertices_f1'] == 1.0 > figures['before']['vertices_f1']
    assert figures['after']['fingers_f1'] > 0.8
