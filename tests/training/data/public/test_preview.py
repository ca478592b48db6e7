# SPDX-License-Identifier: Apache-2.0
"""The sheet shows the labels on the image."""

import runpy
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tyro

from tests.training.data.public.labelled_view import View
from tests.training.data.public.miniatures import Folders
from tests.training.data.public.miniatures import FRAME
from training.data.hand_object import HandObjectSample
from training.data.public import dexycb
from training.data.public import preview as preview_dataset

SHEETS = {
    'freihand': [],
    'obman': ['--split', 'test', '--shapenet', '{root}/shapenet'],
    'ho3d': ['--models', '{root}/models', '--hand', '{root}/hand.npz'],
    'dexycb': ['--setup', 's1', '--split', 'val', '--samples', '1', '--hand', '{root}/hand.npz'],
}


@pytest.mark.parametrize('name', SHEETS)
def test_the_sheet_draws_object_and_joints_on_the_image(
    folders: Folders, blender_views: list[View], real_views: list[View], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    view = {'freihand': blender_views[0], 'obman': blender_views[0], 'ho3d': real_views[1], 'dexycb': real_views[0]}[
        name
    ]
    folders.hand.save(folders.root / 'hand.npz')
    with np.load(folders.root / 'hand.npz') as file:
        arrays = dict(file)
    np.savez(
        folders.root / 'hand.npz', **arrays, pose_mean=folders.space.mean, pose_components=folders.space.components
    )
    if name == 'dexycb':  # its first sample, of which the miniature holds no frame yet
        frames = folders.root / 'dexycb' / dexycb.SUBJECTS[6]
        shutil.copytree(folders.root / FRAME, frames / '20200709_141754' / dexycb.CAMERAS[0])
    out = folders.root / 'sheet.png'
    arguments = [
        name,
        '--root',
        str(folders.root / name),
        '--out',
        str(out),
        *(option.format(root=folders.root) for option in SHEETS[name]),
    ]
    preview_dataset.main(tyro.cli(preview_dataset.AnySheet, args=arguments))
    assert 'samples; of these have keypoints' in capsys.readouterr().out
    sheet = cv2.cvtColor(cv2.imread(str(out)), cv2.COLOR_BGR2RGB)
    width = 480
    height = round(width * view.camera.height / view.camera.width)
    tile = sheet[:height, :width].astype(int)
    if name != 'freihand':
        drawn = (np.abs(tile - preview_dataset.OUTLINE_COLOUR) < 3).all(-1)
        outline = cv2.morphologyEx(
            cv2.resize(view.silhouette.astype(np.uint8), (width, height)), cv2.MORPH_GRADIENT, np.ones((3, 3))
        )
        far = cv2.distanceTransform(1 - outline, cv2.DIST_L2, 5)
        # Joints and dots of the hand are drawn over a part of the outline.
        assert far[drawn].max() < 4 and drawn.sum() > 0.5 * outline.sum()
    drawn_again = preview_dataset.draw_sample(
        HandObjectSample('truth', view.image, view.camera, view.side, view.keypoints)
    )
    pixels = np.round(view.camera.scaled(width, height).project(view.keypoints)).astype(int)
    for column, row in pixels:
        assert np.abs(tile[row, column] - drawn_again[row, column]).max() < 60


def test_the_command_ends_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['preview_dataset', 'obman', '--root', str(tmp_path)])
    monkeypatch.delitem(sys.modules, 'training.data.public.preview')
    with pytest.raises(SystemExit, match=f'error: {tmp_path}/train/rgb: no such folder.*di.ens.fr'):
        runpy.run_module('training.data.public.preview', run_name='__main__', alter_sys=True)
