# SPDX-License-Identifier: Apache-2.0
"""Evidence about held objects and the confidence that follows from it."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.stages.parts.object_claims import ClaimCalibration
from hoi_ros.stages.parts.object_claims import object_evidence
from hoi_ros.stages.parts.object_claims import share_behind

CAMERA = Pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
BALL = trimesh.creation.icosphere(subdivisions=3, radius=0.05)


def test_without_a_calibration_nothing_is_trusted() -> None:
    assert ClaimCalibration.of({})(object_evidence(0.99, 0.0, 0.0, False)) == ClaimConfidence(0, 0, 0)


def test_the_confidence_of_touching_is_that_of_what_is_claimed() -> None:
    contact = {'offset': 0.0, 'weights': {'holds': 1.0, 'behind': -4.0, 'apart': -1.0}}
    calibration = ClaimCalibration.of({'contact': contact, 'gap': {'offset': -2.0, 'weights': {'overlap': -1.0}}})
    touching, apart = (calibration(object_evidence(0.9, gap, 0.0, False)) for gap in (-0.005, 0.03))
    assert touching.touching == pytest.approx(0.9)
    assert apart.touching == pytest.approx(1 - 1 / (1 + np.exp(3 - np.log(9))))
    assert calibration(object_evidence(0.9, -0.005, 0.5, False)).touching < 0.6
    assert apart.gap == pytest.approx(1 / (1 + np.exp(2))) and apart.gap > touching.gap and apart.box == 0


@pytest.mark.parametrize(('wall', 'share'), [(0.5, 0.0), (0.48, 0.0), (0.9, 1.0)])
def test_the_background_shows_where_there_is_no_object(wall: float, share: float) -> None:
    vertices = BALL.vertices + [0, 0, 0.52]
    depth = np.full((240, 320), wall, np.float32)
    assert share_behind(vertices, BALL.faces, depth, CAMERA) == share
    depth[:, :160] = np.nan
    assert share_behind(vertices, BALL.faces, depth, CAMERA) == share
    assert share_behind(vertices, BALL.faces, 0 * depth, CAMERA) == 0


def test_half_of_an_object_may_be_missing() -> None:
    depth = np.full((240, 320), 0.5, np.float32)
    depth[:, 160:] = 0.9
    share = share_behind(BALL.vertices + [0, 0, 0.52], BALL.faces, depth, CAMERA)
    assert share == pytest.approx(0.5, abs=0.05)
