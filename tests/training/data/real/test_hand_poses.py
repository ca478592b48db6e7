# SPDX-License-Identifier: Apache-2.0
"""Poses of real hands in generated scenes."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand.articulation import JOINTS
from hoi_ros.hand.model import HandModel
from training.data.real.colour_material import ColourMaterial
from training.data.real.depth_material import DepthMaterial
from training.data.real.material import origins
from training.data.synthetic.depth_crops import DepthPatches
from training.data.synthetic.placed_hands import free_angles
from training.data.synthetic.rgb_config import RgbConfig
from training.data.synthetic.rgb_scenes import RgbScenes
from training.data.synthetic.two_hands.postures import postures_of

POSES = Path(os.environ.get('HOI_DATA') or Path(__file__).parents[5] / 'shared/data') / 'hand_poses'
pytestmark = pytest.mark.skipif(not POSES.is_dir(), reason=f'{POSES} is absent (set HOI_DATA)')


def test_half_of_the_free_hands_have_poses_near_real_ones() -> None:
    model = HandModel.load()
    held_out, postures = postures_of(model, 'held_out', POSES), postures_of(model, 'train', POSES)
    assert held_out is not None and postures is not None and postures_of(model, 'train', None) is None
    assert not set(held_out.sources) & set(postures.sources)
    flexion = postures.real[..., 0].reshape(len(postures.real), -1)
    nearest = {}
    for name, source in (('real', postures), ('random', None)):
        drawn = [free_angles(model, np.random.default_rng(seed), source)[JOINTS][..., 0].ravel() for seed in range(200)]
        nearest[name] = np.array([np.abs(flexion - one).mean(1).min() for one in drawn])
    assert abs((nearest['real'] < np.quantile(nearest['random'], 0.05)).mean() - 0.4) < 0.15


def test_scenes_with_real_poses_are_others_and_say_so(tmp_path: Path) -> None:
    poses = tmp_path / 'hand_poses'
    shutil.copytree(POSES, poses)
    for kind in (DepthMaterial, ColourMaterial):
        material = kind(poses=poses)
        assert 'realsense_tracks.npz' in material.key and kind().key != material.key
        assert origins(*material.files) == {'hand_poses': '2 files, Apache License; MIT License'}
    patches = [DepthPatches(0, material=DepthMaterial(poses=folder)) for folder in (None, poses, poses)]
    plain, first, again = ([made[index]['keypoints'] for index in range(1, 7)] for made in patches)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(plain, first)
    config = RgbConfig(window=48, free=1.0)
    images = [
        RgbScenes(seed=1, config=config, material=ColourMaterial(poses=folder)).frame(2) for folder in (None, poses)
    ]
    assert not np.array_equal(images[0].hands[0].keypoints, images[1].hands[0].keypoints)
