# SPDX-License-Identifier: Apache-2.0
"""Crops for training: keypoints stay on the hand when a crop is moved, rotated and mirrored."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.fitting import HandFitter
from training.data.synthetic.depth_crops import augment
from training.data.synthetic.depth_crops import CropAugmentation
from training.data.synthetic.depth_crops import DepthPatches
from training.data.synthetic.depth_crops import PATCH_SIZE
from training.data.synthetic.scenes import Scene

PLAIN = CropAugmentation()
TURNED_ONLY = dataclasses.replace(PLAIN, centre_jitter=0.0, scale=0.0)
BEHIND_SKIN = (-0.004, 0.028)
"""Range of metres that a visible keypoint lies behind the skin."""


@pytest.fixture(scope='module')
def patches() -> list[np.ndarray]:
    stream = DepthPatches(seed=2)
    return [stream[index] for index in range(1, 22)]


def hands_of(patches: list[np.ndarray]) -> list[np.ndarray]:
    return [patch for patch in patches if patch['hand']]


def behind_the_surface(crop: np.ndarray, keypoints: np.ndarray, cube: float) -> np.ndarray:
    """Distance of each keypoint behind the surface at its pixel, metres; NaN without a surface."""
    size = len(crop)
    columns, rows = np.clip(np.rint((keypoints[:, :2] + 1) * size / 2 - 0.5), 0, size - 1).astype(int).T
    shown = crop[rows, columns]
    return np.where(shown < 1, (keypoints[:, 2] - shown) * cube / 2, np.nan)


def share_seen(gaps: np.ndarray) -> float:
    return float(((gaps > BEHIND_SKIN[0]) & (gaps < BEHIND_SKIN[1])).mean())


def mirror_image(patch: np.ndarray) -> np.ndarray:
    """The mirror image of a patch."""
    mirrored = patch.copy()
    mirrored['depth'] = patch['depth'][:, ::-1]
    mirrored['principal'] = PATCH_SIZE - 1 - patch['principal'][0], patch['principal'][1]
    mirrored['centre'] = patch['centre'] * [-1, 1, 1]
    mirrored['keypoints'] = patch['keypoints'] * [-1, 1, 1]
    mirrored['right'] = not patch['right']
    return mirrored


def test_the_same_index_gives_the_same_patch(patches: list[np.ndarray]) -> None:
    again, other_split = DepthPatches(seed=2)[5], DepthPatches(seed=2, split='test')[5]
    assert again.tobytes() == patches[4].tobytes() != other_split.tobytes()


def test_one_patch_in_seven_shows_no_hand(patches: list[np.ndarray]) -> None:
    assert [bool(patch['hand']) for patch in patches] == [index % 7 != 0 for index in range(1, 22)]
    assert {bool(patch['right']) for patch in hands_of(patches)} == {True, False}


def test_patches_without_a_hand_are_away_from_every_hand(made_scenes: list[Scene]) -> None:
    stream = DepthPatches(seed=2)
    for index in range(7, 7 * 31, 7):
        patch = stream[index]
        gaps = [np.linalg.norm(hand.keypoints - patch['centre'], axis=1).min() for hand in made_scenes[-1].hands]
        assert not patch['hand'] and not patch['keypoints'].any()
        assert min(gaps) > 0.09
        crop, keypoints = augment(patch, PLAIN, np.random.default_rng(index))
        assert crop.shape == (PLAIN.size, PLAIN.size) and not keypoints.any()


def test_keypoints_lie_just_behind_the_observed_skin(patches: list[np.ndarray]) -> None:
    gaps = []
    for patch in hands_of(patches):
        camera = Pinhole(PATCH_SIZE, PATCH_SIZE, patch['focal'], patch['focal'], *patch['principal'])
        np.testing.assert_allclose(patch['keypoints'].mean(0), patch['centre'], atol=1e-5)
        np.testing.assert_allclose(camera.project(patch['centre']), [63.5, 63.5], atol=0.01)
        columns, rows = np.clip(np.rint(camera.project(patch['keypoints'])), 0, 127).astype(int).T
        seen = patch['depth'][rows, columns] * 1e-4
        gaps += list(np.where(seen > 0, patch['keypoints'][:, 2] - seen, np.nan))
    assert share_seen(np.array(gaps)) > 0.5
    assert 0.003 < np.nanmedian(gaps) < 0.02


def test_the_plain_crop_equals_the_crop_of_the_whole_image(made_scenes: list[Scene], perfect_sensor: None) -> None:
    for index in (1, 2, 3, 4):
        patch = DepthPatches(seed=2)[index]
        scene = made_scenes[-1]
        cube = CubeCrop(scene.camera, patch['centre'].astype(float), PLAIN.cube, not patch['right'])
        expected = cube.cut(scene.look(scene.camera).depth, PLAIN.size)
        crop, keypoints = augment(patch, PLAIN, None)
        # The two are sampled from different pixels, which matters at outlines and on steep surfaces.
        assert (np.abs(crop - expected) * PLAIN.cube / 2 < 0.004).mean() > 0.9
        np.testing.assert_allclose(keypoints, cube.from_camera(scene.hands[0].keypoints), atol=1e-4)
        np.testing.assert_allclose(keypoints[:, 2].mean(), 0, atol=1e-4)


def test_keypoints_move_with_the_picture(patches: list[np.ndarray]) -> None:
    differences, moved = [], []
    for number, patch in enumerate(hands_of(patches)):
        plain, keypoints = augment(patch, PLAIN, None)
        gaps = behind_the_surface(plain, keypoints, PLAIN.cube)
        for config in (TURNED_ONLY, PLAIN):
            crop, turned = augment(patch, config, np.random.default_rng(number))
            differences.append(behind_the_surface(crop, turned, PLAIN.cube) - gaps)
            moved.append(np.abs(turned - keypoints).max())
    assert np.mean(moved) > 0.3
    differences = np.array(differences)
    # A keypoint meets the same surface in both crops, unless it lies at an outline.
    assert np.isfinite(differences).mean() > 0.6
    assert np.nanmedian(np.abs(differences)) < 0.001
    assert np.nanquantile(np.abs(differences), 0.75) < 0.004


@pytest.mark.parametrize('hand', [True, False])
def test_fragments_are_removed_from_the_depth_only(patches: list[np.ndarray], hand: bool) -> None:
    whole, broken = (dataclasses.replace(PLAIN, fragments=(share, share)) for share in (0.0, 1.0))
    lost = []
    for number, patch in enumerate(patches):
        if patch['hand'] == hand:
            (crop, keypoints), (left, same_keypoints) = (
                augment(patch, config, np.random.default_rng(number)) for config in (whole, broken)
            )
            np.testing.assert_array_equal(keypoints, same_keypoints)
            changed = left != crop
            assert (left[changed] == 1).all()
            lost.append(changed.sum() / max((crop < 1).sum(), 1))
    assert 0 < np.mean(lost) < (0.2 if hand else 0.7)


def test_a_left_hand_is_mirrored(patches: list[np.ndarray]) -> None:
    for number, patch in enumerate(hands_of(patches)[:8]):
        for config, seed in ((PLAIN, None), (TURNED_ONLY, number)):
            (crop, keypoints), (other_crop, other_keypoints) = (
                augment(one, config, None if seed is None else np.random.default_rng(seed))
                for one in (patch, mirror_image(patch))
            )
            np.testing.assert_allclose(keypoints, other_keypoints, atol=1e-5)
            assert (np.abs(crop - other_crop) < 1e-3).mean() > 0.99


def test_every_crop_shows_a_right_hand(patches: list[np.ndarray]) -> None:
    fitter = HandFitter(HandModel.load())
    for patch in hands_of(patches):
        right = patch if patch['right'] else mirror_image(patch)
        camera = Pinhole(PATCH_SIZE, PATCH_SIZE, right['focal'], right['focal'], *right['principal'])
        _, keypoints = augment(patch, PLAIN, None)
        metric = CubeCrop(camera, right['centre'].astype(float), PLAIN.cube).to_camera(keypoints.astype(float))
        assert fitter.fit(metric).residual < 0.001


def test_the_random_generator_determines_the_crop(patches: list[np.ndarray]) -> None:
    first, again, other = (augment(patches[0], PLAIN, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32 and np.abs(first).max() <= 1
