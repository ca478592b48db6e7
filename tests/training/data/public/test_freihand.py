# SPDX-License-Identifier: Apache-2.0
"""FreiHAND: every background and the released labels give the scene."""

import dataclasses
from pathlib import Path

from tests.training.data.public.labelled_view import assert_read
from tests.training.data.public.labelled_view import View
from tests.training.data.public.miniatures import write_freihand
from training.data.public.freihand import FreiHand
from training.hand.mano import PoseSpace


def test_freihand_gives_the_scene_under_each_background(
    blender_views: list[View], space: PoseSpace, tmp_path: Path
) -> None:
    write_freihand(tmp_path, blender_views, space)
    split = FreiHand(tmp_path, pose_space=space)
    assert len(split) == 8
    for index, sample in enumerate(split):
        version, number = divmod(index, 2)
        assert sample.name == f'training/{number + 32560 * version:08d}'
        lighter = dataclasses.replace(sample, image=sample.image + 20 * version)
        assert_read(lighter, blender_views[number], 'pose shape vertices')
    alone = FreiHand(tmp_path, versions=('auto',))
    assert len(alone) == 2 and alone[1].name == f'training/{32560 * 3 + 1:08d}'
    assert_read(dataclasses.replace(alone[1], image=alone[1].image + 60), blender_views[1], 'shape vertices')


def test_freihand_evaluates_with_and_without_the_released_labels(
    blender_views: list[View], space: PoseSpace, tmp_path: Path
) -> None:
    write_freihand(tmp_path, blender_views, space, 'evaluation')
    assert_read(FreiHand(tmp_path, 'evaluation')[1], blender_views[1], 'shape vertices')
    for name in ('xyz', 'verts', 'mano'):
        (tmp_path / f'evaluation_{name}.json').unlink()
    sample = FreiHand(tmp_path, 'evaluation')[1]
    assert sample.keypoints is None and sample.hand_vertices is None and sample.camera == blender_views[1].camera
