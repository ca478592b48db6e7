# SPDX-License-Identifier: Apache-2.0
import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hoi_ros.engines import EngineError
from hoi_ros.engines.engine_cache import cached_engine
from hoi_ros.engines.engine_cache import default_cache_dir
from hoi_ros.engines.engine_cache import EngineKey
from hoi_ros.engines.engine_cache import StaleEngineError
from hoi_ros.engines.engine_cache import store_engine
from hoi_ros.engines.engine_cache import write_whole

KEY = EngineKey('hand_finder', 'ab' * 32, 'tensorrt', '10.13.3.9', 'NVIDIA Orin (nvgpu)/8', '8.7', 'fp16', 1)
PLAN = bytes(range(256)) * 10


def test_an_engine_is_stored_and_loaded_without_loss(tmp_path: Path) -> None:
    path = store_engine(tmp_path / 'new', KEY, PLAN)
    assert cached_engine(tmp_path / 'new', KEY) == PLAN
    assert sorted(item.suffix for item in path.parent.iterdir()) == ['.engine', '.json']
    assert path.name == 'hand_finder-abababababab-fp16-tensorrt10.13.3.9-NVIDIA_Orin_nvgpu_8.engine'


@pytest.mark.parametrize(
    'change',
    [
        {'model_sha256': 'cd' * 32},
        {'version': '11.0'},
        {'package': 'tensorrt_rtx'},
        {'gpu': 'other'},
        {'precision': 'fp32'},
        {'model': 'rgb_detector'},
    ],
)
def test_engines_for_different_things_lie_side_by_side(tmp_path: Path, change: dict[str, str]) -> None:
    store_engine(tmp_path, KEY, PLAN)
    with pytest.raises(StaleEngineError, match='is not there'):
        cached_engine(tmp_path, replace(KEY, **change))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'compute_capability': '9.0'}, "was built for compute_capability '8.7', here it is '9.0'"),
        ({'model_sha256': 'ab' * 31 + 'cd'}, 'was built for model_sha256'),
        ({'recipe': 2}, 'was built for recipe 1, here it is 2'),
        ({'largest_batch': 64}, 'was built for largest_batch 8, here it is 64'),
    ],
)
def test_an_engine_for_something_else_is_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    store_engine(tmp_path, KEY, PLAN)
    with pytest.raises(StaleEngineError, match=message):
        cached_engine(tmp_path, replace(KEY, **change))


def test_a_damaged_engine_is_refused(tmp_path: Path) -> None:
    path = store_engine(tmp_path, KEY, PLAN)
    path.write_bytes(PLAN[:100])
    with pytest.raises(StaleEngineError, match=r'is damaged \(100 bytes, 2560 when built\)'):
        cached_engine(tmp_path, KEY)
    path.unlink()
    with pytest.raises(StaleEngineError, match=r'engine is not there'):
        cached_engine(tmp_path, KEY)


@pytest.mark.parametrize('text', ['', '{"model"', '[]', '\udcff'])
def test_a_damaged_description_is_refused(tmp_path: Path, text: str) -> None:
    path = store_engine(tmp_path, KEY, PLAN)
    path.with_suffix('.json').write_bytes(text.encode(errors='surrogateescape'))
    with pytest.raises(StaleEngineError):
        cached_engine(tmp_path, KEY)


def test_every_user_may_read_an_engine(tmp_path: Path) -> None:
    path = store_engine(tmp_path, KEY, PLAN)
    assert {item.stat().st_mode & 0o777 for item in (path, path.with_suffix('.json'))} == {0o644}


def test_the_description_can_be_read_by_a_person(tmp_path: Path) -> None:
    facts = json.loads(store_engine(tmp_path, KEY, PLAN).with_suffix('.json').read_text())
    assert facts['gpu'] == KEY.gpu
    assert facts['engine_bytes'] == len(PLAN)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(EngineError, match=r'file.* cannot be written .*another cache_dir'):
        store_engine(tmp_path / 'file', KEY, PLAN)


def test_the_cache_lies_in_the_cache_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', '/caches')
    assert default_cache_dir() == Path('/caches/hoi_ros/engines')
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', '/home/robot')
    assert default_cache_dir() == Path('/home/robot/.cache/hoi_ros/engines')


def test_a_write_that_fails_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('hoi_ros.engines.engine_cache.os.fchmod', full)
    with pytest.raises(EngineError, match='No space left on device'):
        write_whole(tmp_path / 'engine', b'content')
    assert list(tmp_path.iterdir()) == []
