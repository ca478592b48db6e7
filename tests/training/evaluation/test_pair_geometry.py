# SPDX-License-Identifier: Apache-2.0
"""Penetration of pairs of hands, against Open3D's occupancy, and hands that cannot be measured."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import OpenSurfaceError
from hoi_ros.mesh.surface import Surface
from hoi_ros.mesh.volumes import penetration_depth
from hoi_ros.mesh.volumes import shared_volume
from tests.training.two_hand_pairs import random_pairs
from training.evaluation.pair_geometry import PairMeshes
from training.evaluation.pair_geometry import VOXEL


def test_volume_and_depth_are_those_of_open3d() -> None:
    records, meshes = random_pairs(5), PairMeshes()
    found = meshes.geometry(records['right'], records['left'])
    deepest = int(found.volume.argmax())
    right, left = (one[0] for one in meshes.vertices(records['right'][[deepest]], records['left'][[deepest]]))
    solids = Surface(right, meshes.right_faces), Surface(left, meshes.left_faces)
    assert found.volume[deepest] > 1000
    assert found.volume[deepest] == pytest.approx(1e9 * shared_volume(*solids, VOXEL), rel=1e-3)
    depth = max(penetration_depth(right, solids[1]), penetration_depth(left, solids[0]))
    assert found.depth[deepest] == pytest.approx(1e3 * depth, abs=0.01) and found.gap[deepest] == 0
    assert ((found.depth == 0) == (found.gap > 0)).all()
    far = records['right'][:2].copy()
    far[:, 61] += 1
    apart = meshes.geometry(far, records['left'][:2])
    assert apart.figures()['proximity'] == 0 and not apart.volume.any() and (apart.gap > 500).all()


def test_a_hand_with_an_open_wrist_is_closed() -> None:
    hand = HandModel.load()
    lowest = hand.template[hand.faces].mean(1)[:, 1].argmin()
    around = np.isin(hand.faces, hand.faces[lowest]).any(1)
    opened = dataclasses.replace(hand, faces=hand.faces[~around])
    records = random_pairs(1)
    whole, patched = (PairMeshes(one).geometry(records['right'], records['left']) for one in (hand, opened))
    assert patched.volume[0] == pytest.approx(whole.volume[0], rel=0.02) and whole.volume[0] > 1000
    with pytest.raises(OpenSurfaceError):
        PairMeshes(dataclasses.replace(hand, faces=np.concatenate([hand.faces, hand.faces[:1]])))


def test_a_hand_that_is_not_finite_has_no_volume() -> None:
    records = random_pairs(2)
    records['right'][1, 62] = np.nan
    with pytest.raises(ValueError, match='not finite'):
        PairMeshes().geometry(records['right'], records['left'])
