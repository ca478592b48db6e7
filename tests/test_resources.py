# SPDX-License-Identifier: Apache-2.0
"""A user's folder of models that holds some of them, and the package's own for the rest."""

import logging
import shutil
from pathlib import Path

import pytest

from hoi_ros import build_engines
from hoi_ros import resources
from hoi_ros.engines import EngineError
from hoi_ros.resources import model_dir
from hoi_ros.resources import ResourceError
from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.systems import SYSTEMS

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def silent_before():
    """Each test hears what is said once a process."""
    resources._log_fallback.cache_clear()


@pytest.fixture
def some(tmp_path: Path) -> Path:
    """A folder that holds the hand model alone."""
    shutil.copytree(ROOT / 'models' / 'hand_model', tmp_path / 'hand_model')
    return tmp_path


@pytest.mark.parametrize('named', ['parameter', 'environment'])
def test_a_folder_of_some_models_leaves_the_rest_to_the_package_and_says_so_once(
    some: Path, named: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    models = some if named == 'parameter' else None
    if named == 'environment':
        monkeypatch.setenv('HOI_ROS_MODELS', str(some))
    assert model_dir('hand_model', models) == some / 'hand_model'
    for _ in range(2):
        assert model_dir('rgb_detector', models) == ROOT / 'models' / 'rgb_detector'
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert said.getMessage() == (
        f'{some} holds no rgb_detector: the model of hoi_ros is used, {ROOT / "models" / "rgb_detector"}'
    )


@pytest.mark.parametrize('system', SYSTEMS.values(), ids=SYSTEMS)
def test_every_stage_takes_what_the_folder_lacks_from_the_package(system, some: Path):
    stage = system.load_stage(models=some)
    assert len(stage.hand_model('left').faces)


def test_a_model_that_is_there_and_damaged_is_not_replaced(some: Path):
    (some / 'hand_finder').mkdir()
    with pytest.raises(EngineError, match=r'hand_finder/card\.yaml cannot be read'):
        DepthPoseStage(models=some)


def test_a_folder_without_any_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ResourceError, match=r'holds no model, expected a folder hand_model or another of .*depth_pose'):
        model_dir('hand_model', tmp_path)
    with pytest.raises(ResourceError, match='absent is not a folder'):
        model_dir('hand_model', tmp_path / 'absent')


def test_a_model_of_the_user_alone_is_expected_in_the_users_folder(some: Path):
    assert model_dir('of_my_own', some) == some / 'of_my_own'


def test_engines_are_built_of_the_users_models_and_of_the_rest_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / 'hand_finder').mkdir()
    (tmp_path / 'hand_finder' / 'card.yaml').touch()
    monkeypatch.setenv('HOI_ROS_MODELS', str(tmp_path))
    folders = {folder.name: folder.parent for folder in build_engines._folders(())}
    assert folders.pop('hand_finder') == tmp_path
    assert set(folders.values()) == {ROOT / 'models'} and 'rgb_detector' in folders
