# SPDX-License-Identifier: Apache-2.0
"""What a matched pair of images shows of surfaces whose depth is known, and what it does not."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.hand.model import HandModel
from hoi_ros.simulation.sensor import SensorModel
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scenes import SceneGenerator
from training.data.synthetic.stereo_matching import StereoMatching

FOCAL = 150.0
CAMERA = StereoMatching(contrast=0.05, noise=0.004, misaligned=0.0, nearest=0.25)


def matched(depth: np.ndarray, camera: StereoMatching = CAMERA, seed: int = 0, pitch: float = 2.0) -> np.ndarray:
    normals = np.broadcast_to([0.0, 0.0, -1.0], (*depth.shape, 3))
    owners = (depth < 0.8).astype(int)
    return camera.observe(depth, owners, normals, FOCAL, np.random.default_rng(seed), pitch)


def box_before_a_wall(depth: float = 0.5) -> np.ndarray:
    scene = np.full((96, 128), 1.0, np.float32)
    scene[20:76, 50:90] = depth
    return scene


@pytest.mark.parametrize('seed', range(3))
def test_surfaces_with_texture_are_found_at_their_depth(seed: int) -> None:
    depth = box_before_a_wall()
    found = matched(depth, seed=seed)
    box, wall = depth < 0.8, np.roll(depth < 0.8, 60, 1)
    for surface, tolerance in ((box, 0.005), (wall, 0.02)):
        assert (np.abs(found - depth)[surface] < tolerance).mean() > 0.85
    assert found.dtype == np.float32 and found.shape == depth.shape


def test_the_wall_beside_the_box_is_lost_where_the_other_camera_does_not_see_it() -> None:
    depth = box_before_a_wall()
    found = np.mean([np.abs(matched(depth, seed=seed) - depth) < 0.03 for seed in range(6)], 0)
    width = round(FOCAL * CAMERA.baseline * (1 / 0.5 - 1 / 1.0))
    rows = slice(30, 66)
    assert found[rows, 50 - width + 4 : 48].mean() < 0.3
    assert found[rows, 94:110].mean() > 0.7


def test_what_has_no_texture_is_lost_or_wrong() -> None:
    depth = np.tile(np.linspace(0.4, 0.75, 128, dtype=np.float32), (96, 1))
    bare = dataclasses.replace(CAMERA, contrast=0.0002)
    right = [(np.abs(matched(depth, camera) - depth) < 0.01).mean() for camera in (CAMERA, bare)]
    assert right[0] > 0.85 and right[1] < 0.4


def test_what_is_nearer_than_the_search_reaches_is_never_right() -> None:
    depth = box_before_a_wall(0.2)
    found = matched(depth)
    assert (np.abs(found - depth)[30:66, 58:82] < 0.01).mean() < 0.02
    assert found[found > 0].min() > 0.24


def test_the_random_generator_decides_everything() -> None:
    depth = box_before_a_wall()
    np.testing.assert_array_equal(matched(depth, seed=3), matched(depth, seed=3))
    assert not np.array_equal(matched(depth, seed=3), matched(depth, seed=4))
    assert StereoMatching.sample(np.random.default_rng(1)) == StereoMatching.sample(np.random.default_rng(1))


def test_one_camera_in_five_of_the_scenes_matches_images(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for kind in (SensorModel, StereoMatching):

        def observe(self, depth, *_, kind=kind):
            seen.append(kind.__name__)
            return depth.astype(np.float32)

        monkeypatch.setattr(kind, 'observe', observe)
    scene = SceneGenerator(HandModel.load(), SceneConfig(hands=(0, 1, 0)), 0)[0]
    view, inside = scene.look(scene.camera.scaled(40, 30)), np.zeros((30, 40), bool)
    inside[5:] = True
    for seed in range(300):
        observed = view.observed(np.random.default_rng(seed), inside=inside)
        assert not observed[:5].any() and observed[5:].any()
    assert 0.14 < seen.count('StereoMatching') / len(seen) < 0.26
