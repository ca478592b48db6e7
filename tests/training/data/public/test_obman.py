# SPDX-License-Identifier: Apache-2.0
"""ObMan: the object has the size of the transform."""

from pathlib import Path

import numpy as np

from tests.training.data.public.labelled_view import assert_read
from tests.training.data.public.labelled_view import View
from tests.training.data.public.miniatures import write_obman
from training.data.public.obman import ObMan


def test_obman_scales_the_object_by_its_transform(blender_views: list[View], tmp_path: Path) -> None:
    write_obman(tmp_path / 'obman', tmp_path / 'shapenet', blender_views)
    split = ObMan(tmp_path / 'obman', 'test', tmp_path / 'shapenet')
    assert [sample.name for sample in split] == ['test/00000000', 'test/00000001']
    for sample, view in zip(split, blender_views, strict=True):
        assert_read(sample, view, 'vertices object')
        extent = np.ptp(sample.held.vertices, axis=0)
        np.testing.assert_allclose(extent, [0.05, 0.07, 0.03], atol=1e-5)
    assert ObMan(tmp_path / 'obman', 'test')[0].held is None
