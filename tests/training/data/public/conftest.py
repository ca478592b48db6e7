# SPDX-License-Identifier: Apache-2.0
"""A miniature of each public data set."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from tests.training.data.public.labelled_view import BLENDER_CAMERA
from tests.training.data.public.labelled_view import REAL_CAMERA
from tests.training.data.public.labelled_view import View
from tests.training.data.public.labelled_view import view_of
from tests.training.data.public.miniatures import Folders
from tests.training.data.public.miniatures import write_dexycb
from tests.training.data.public.miniatures import write_freihand
from tests.training.data.public.miniatures import write_ho3d
from tests.training.data.public.miniatures import write_obman
from training.data.public import dexycb
from training.hand.mano import PoseSpace


@pytest.fixture(scope='session')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='session')
def space() -> PoseSpace:
    """Stands for MANO's: a mean pose and 45 orthogonal components."""
    rng = np.random.default_rng(3)
    return PoseSpace(
        rng.normal(0, 0.1, 45).astype(np.float32), np.linalg.qr(rng.normal(size=(45, 45)))[0].astype(np.float32)
    )


@pytest.fixture(scope='session')
def blender_views(hand: HandModel) -> list[View]:
    return [view_of(hand, BLENDER_CAMERA, index) for index in range(2)]


@pytest.fixture(scope='session')
def real_views(hand: HandModel) -> list[View]:
    return [view_of(hand, REAL_CAMERA, index) for index in range(10, 12)]


@pytest.fixture(scope='session')
def miniatures(
    blender_views: list[View],
    real_views: list[View],
    hand: HandModel,
    space: PoseSpace,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of all miniatures."""
    root = tmp_path_factory.mktemp('public')
    write_freihand(root / 'freihand', blender_views, space)
    write_obman(root / 'obman', root / 'shapenet', blender_views)
    write_ho3d(root / 'ho3d', root / 'models', hand, real_views, '.jpg')
    write_dexycb(root / 'dexycb', real_views[:1], space, (dexycb.SUBJECTS[6],))
    return root


@pytest.fixture
def folders(miniatures: Path, hand: HandModel, space: PoseSpace, tmp_path: Path) -> Folders:
    """A copy of the miniatures to damage."""
    shutil.copytree(miniatures, tmp_path / 'public')
    return Folders(tmp_path / 'public', hand, space)
