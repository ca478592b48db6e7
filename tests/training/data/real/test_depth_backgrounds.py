# SPDX-License-Identifier: Apache-2.0
"""Real depth images stand behind generated hands, at their own size and with right occlusion."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from training.data.real.depth_backgrounds import DepthBackground
from training.data.real.depth_backgrounds import DepthBackgrounds
from training.data.real.depth_backgrounds import FOCAL
from training.data.real.depth_material import DepthMaterial
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_parts import THING
from training.data.synthetic.scenes import SceneGenerator
from training.evaluation.depth_pose_empty import EmptySceneEvaluation
from training.evaluation.depth_pose_empty import evaluate

CAMERA = Pinhole(640, 480, FOCAL, FOCAL, 319.5, 239.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A wall at 0.9 m for training and a nearer one for validation, each with a step of 5 cm on its right."""
    for name, distance in (('mosd_learn0', 900), ('mosd_test0', 400)):
        wall = np.full((480, 640), distance, np.uint16)
        wall[:, 400:] -= 50
        cv2.imwrite(str(tmp_path / f'{name}_depth.png'), wall)
    return tmp_path


def test_the_splits_share_no_image(folder: Path) -> None:
    assert [path.name for path in DepthBackgrounds(folder, 'train').paths] == ['mosd_learn0_depth.png']
    assert [path.name for path in DepthBackgrounds(folder, 'validation').paths] == ['mosd_test0_depth.png']


def test_a_camera_of_the_same_focal_length_shows_the_image_itself(folder: Path) -> None:
    image = DepthBackgrounds(folder, 'train').image(0)
    assert np.array_equal(DepthBackground(image, False, 1.0, np.zeros(2)).look(CAMERA), image)
    mirrored = DepthBackground(image, True, 1.0, np.zeros(2)).look(CAMERA)
    assert np.array_equal(mirrored, image[:, ::-1])


def test_a_window_of_the_camera_shows_its_part(folder: Path) -> None:
    image = DepthBackgrounds(folder, 'train').image(0)
    window = DepthBackground(image, False, 1.0, np.zeros(2)).look(CAMERA.window(379.5, 99.5, 40, 40, 40, 40))
    assert np.array_equal(window, image[100:140, 380:420])


def test_the_nearer_surface_is_seen(folder: Path) -> None:
    config = SceneConfig(hands=(0, 1, 0), nearest=0.6, farthest=0.7, real=1.0, held=0.0, person=0.0)
    for split, walls, visible in (('train', (0.85, 0.9), True), ('validation', (0.35, 0.4), False)):
        generator = SceneGenerator(HandModel.load(), config, 3, split, material=DepthMaterial(folder))
        shares = []
        for index in range(3):
            scene = generator[index]
            view = scene.look(scene.camera.scaled(160, 120))
            distances = np.unique(view.depth[view.owners == THING].round(3))
            assert set(np.float32(walls)) <= set(distances)
            shares.append(scene.visible_share(0, view))
        assert (np.mean(shares) > 0.5) == visible


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no \*_depth.png for the split train'):
        DepthBackgrounds(tmp_path, 'train')


@pytest.mark.slow
def test_a_scene_without_hands_has_none(folder: Path) -> None:
    figures = evaluate(EmptySceneEvaluation(folder))
    assert figures == {'images': len(DepthBackgrounds(folder, 'validation').paths), 'false_per_image': 0.0}
