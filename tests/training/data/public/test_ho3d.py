# SPDX-License-Identifier: Apache-2.0
"""HO-3D: OpenGL axes and the order of MANO give the scene."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from tests.training.data.public.labelled_view import assert_read
from tests.training.data.public.labelled_view import opengl
from tests.training.data.public.labelled_view import View
from tests.training.data.public.miniatures import MANO_ORDER
from tests.training.data.public.miniatures import near
from tests.training.data.public.miniatures import write_ho3d
from tests.training.data.public.miniatures import write_pickle
from training.data.public.ho3d import Ho3d


@pytest.mark.parametrize(('version', 'suffix'), [('v2', '.png'), ('v3', '.jpg')])
def test_ho3d_converts_opengl_axes_and_the_order_of_mano(
    real_views: list[View], hand: HandModel, tmp_path: Path, version: str, suffix: str
) -> None:
    write_ho3d(tmp_path / 'ho3d', tmp_path / 'models', hand, real_views, suffix)
    split = Ho3d(tmp_path / 'ho3d', 'train', version, tmp_path / 'models', hand)
    assert [sample.name for sample in split] == ['MC1/0001', 'MC1/0000'], 'the order is that of train.txt'
    for sample, view in zip(split, reversed(real_views), strict=True):
        assert_read(sample, view, 'pose shape vertices object depth')
        np.testing.assert_array_equal(sample.contact, near(view))
        again = hand.forward(sample.pose, sample.shape, np.zeros(3)).vertices
        np.testing.assert_allclose(again - again[0], sample.hand_vertices - sample.hand_vertices[0], atol=1e-5)
    assert_read(Ho3d(tmp_path / 'ho3d', version=version)[1], real_views[0], 'pose shape depth')


def test_ho3d_evaluation_has_only_the_wrist_without_released_labels(
    real_views: list[View], hand: HandModel, tmp_path: Path
) -> None:
    root = tmp_path / 'ho3d'
    write_ho3d(root, tmp_path / 'models', hand, real_views, '.jpg')
    sample = Ho3d(root, 'evaluation', models=tmp_path / 'models')[1]
    np.testing.assert_allclose(sample.keypoints[0], real_views[0].keypoints[0], atol=1e-6)
    assert np.isnan(sample.keypoints[1:]).all() and sample.pose is None
    order = [KEYPOINT_NAMES.index(joint) for joint in MANO_ORDER]
    for name, values in (
        ('xyz', [opengl(view.keypoints)[order].tolist() for view in reversed(real_views)]),
        ('verts', [opengl(view.vertices).tolist() for view in reversed(real_views)]),
    ):
        (root / f'evaluation_{name}.json').write_text(json.dumps(values))
    assert_read(Ho3d(root, 'evaluation', models=tmp_path / 'models')[1], real_views[0], 'vertices object depth')


def test_a_frame_without_labels_has_none(real_views: list[View], hand: HandModel, tmp_path: Path) -> None:
    write_ho3d(tmp_path / 'ho3d', tmp_path / 'models', hand, real_views, '.jpg')
    path = tmp_path / 'ho3d' / 'train' / 'MC1' / 'meta' / '0000.pkl'
    meta = pickle.loads(path.read_bytes())
    write_pickle(path, {name: value if name == 'camMat' else None for name, value in meta.items()})
    sample = Ho3d(tmp_path / 'ho3d', models=tmp_path / 'models', hand=hand)[1]
    assert sample.keypoints is None and sample.pose is None and sample.held is None and sample.contact is None
