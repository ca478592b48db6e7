# SPDX-License-Identifier: Apache-2.0
"""DexYCB: either hand gives the scene; the splits are the official ones."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from tests.training.data.public.labelled_view import assert_read
from tests.training.data.public.labelled_view import REAL_CAMERA
from tests.training.data.public.labelled_view import View
from tests.training.data.public.labelled_view import view_of
from tests.training.data.public.miniatures import write_dexycb
from training.data.public import dexycb
from training.data.public.dataset_files import DatasetError
from training.data.public.dexycb import DexYcb
from training.hand.mano import PoseSpace


@pytest.mark.parametrize('side', ['right', 'left'])
def test_dexycb_gives_the_scene_of_either_hand(hand: HandModel, space: PoseSpace, tmp_path: Path, side: str) -> None:
    view, subject = view_of(hand, REAL_CAMERA, 20, side), dexycb.SUBJECTS[6]
    write_dexycb(tmp_path, [view, view], space, (subject,))
    split = DexYcb(tmp_path, 's1', 'val', hand, space)
    assert len(split) == 100 * 8 * 2
    index = 8 * 2 + 7 * 2  # second sequence, last camera, first frame: time runs fastest
    sample = split[index]
    for frame in range(2):
        assert split[index + frame].name == f'{subject}/20200709_141854/{dexycb.CAMERAS[-1]}/{frame:06d}'
    assert sample.held.name == '002_master_chef_can'
    assert_read(sample, view, 'pose shape vertices object depth')
    assert_read(DexYcb(tmp_path, 's1', 'val')[index], view, 'shape object depth')


def test_dexycb_splits_are_the_official_ones(hand: HandModel, space: PoseSpace, tmp_path: Path) -> None:
    write_dexycb(tmp_path, [view_of(hand, REAL_CAMERA, 20)], space)
    sizes = {'s0': (6400, 320, 1280), 's1': (5600, 800, 1600), 's2': (6000, 1000, 1000), 's3': (6000, 800, 1200)}
    for setup, expected in sizes.items():
        subjects, cameras, sequences = zip(*(dexycb.split_of(setup, split) for split in dexycb.SPLITS), strict=True)
        frames = [
            {
                (subject, camera, sequence)
                for subject in subjects[split]
                for camera in cameras[split]
                for sequence in sequences[split]
            }
            for split in range(3)
        ]
        assert tuple(map(len, frames)) == expected
        assert len(set.union(*frames)) == 8000, 'the splits share frames or leave some out'
    grasped = {split: {number // 5 for number in dexycb.split_of('s3', split)[2]} for split in dexycb.SPLITS}
    assert grasped['val'] == {3, 19} and grasped['test'] == {7, 11, 15} and len(grasped['train']) == 15
    assert dexycb.split_of('s1', 'test')[0] == (7, 8) and dexycb.split_of('s2', 'val')[1] == (6,)
    assert dexycb.split_of('s0', 'val')[0] == (0, 1) and dexycb.split_of('s0', 'test')[2][:2] == (4, 9)
    split = DexYcb(tmp_path, 's2', 'test')
    assert len(split) == 1000 and split[101].name.startswith(f'{dexycb.SUBJECTS[1]}/20200709_141854/932122062010')


def test_a_left_hand_of_an_unknown_pose_space_has_joints_only(
    hand: HandModel, space: PoseSpace, tmp_path: Path
) -> None:
    view = view_of(hand, REAL_CAMERA, 20, 'left')
    write_dexycb(tmp_path, [view], space, (dexycb.SUBJECTS[6],))
    other = PoseSpace(space.mean, space.components[::-1])
    assert_read(DexYcb(tmp_path, 's1', 'val', hand, other)[15], view, 'shape object depth')


def test_a_frame_without_labels_has_none(
    real_views: list[View], hand: HandModel, space: PoseSpace, tmp_path: Path
) -> None:
    write_dexycb(tmp_path / 'dexycb', real_views[:1], space, (dexycb.SUBJECTS[6],))
    path = next((tmp_path / 'dexycb').rglob('labels_*.npz'))
    labels = dict(np.load(path))
    np.savez(
        path,
        **{
            **labels,
            'joint_3d': 0 * labels['joint_3d'] - 1,
            'pose_m': 0 * labels['pose_m'],
            'pose_y': 0 * labels['pose_y'],
        },
    )
    sample = DexYcb(tmp_path / 'dexycb', 's1', 'val', hand, space)[15]
    assert sample.keypoints is None and sample.pose is None and sample.hand_vertices is None and sample.held is None


def test_an_object_that_the_hand_has_not_reached_is_not_held(
    hand: HandModel, space: PoseSpace, real_views: list[View], tmp_path: Path
) -> None:
    view = real_views[0]
    gaps = view.keypoints[:, None] - view.placed
    joint, place = np.unravel_index(np.linalg.norm(gaps, axis=2).argmin(), gaps.shape[:2])
    for step, held in ((gaps[joint, place], True), ((0, 0, 0.2), False)):
        pose = view.object_pose.copy()
        pose[:3, 3] += step
        write_dexycb(tmp_path / f'{held}', [dataclasses.replace(view, object_pose=pose)], space, (dexycb.SUBJECTS[6],))
        for models in ((hand, space), ()):
            sample = DexYcb(tmp_path / f'{held}', 's1', 'val', *models)[15]
            assert (sample.held is not None) == held and sample.keypoints is not None


def test_a_hand_model_without_a_pose_space_is_refused(hand: HandModel, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match='holds no MANO pose space.*training.hand.mano'):
        DexYcb(tmp_path, 's1', 'val', hand)
