# SPDX-License-Identifier: Apache-2.0
"""The parts of a run follow from the systems' entries and from the names of files."""

from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

import benchmarks
from benchmarks import stage_speed
from benchmarks.__main__ import BenchmarkConfig
from benchmarks.__main__ import main
from benchmarks.network_speed import network_speed
from benchmarks.network_speed import shipped_networks
from benchmarks.own_files import own_module
from benchmarks.parts import parts
from benchmarks.parts import Run
from benchmarks.stage_frames import simulated_frames
from hoi_ros.resources import models_dir
from hoi_ros.systems import System
from hoi_ros.systems import SYSTEMS


def test_every_system_with_a_camera_has_a_stage_and_a_topics_part():
    names = set(parts())
    assert names >= {'overload', 'networks', 'generator', 'mediapipe'}
    for name, system in SYSTEMS.items():
        assert {f'{name}_stage', f'{name}_topics'} <= names or not system.images


def test_the_peer_and_what_runs_in_pytorch_wait_to_be_asked_for():
    costs = {name for name in parts() if name.endswith('_cost')}
    assert set(parts()) - set(BenchmarkConfig().parts) == {'mediapipe', *costs}


def test_a_system_that_stands_on_another_is_compared_with_it():
    pipelines = {f'{name}_pipeline' for name, system in SYSTEMS.items() if system.below}
    assert pipelines and pipelines == {name for name in parts() if name.endswith('_pipeline')}


def test_a_new_entry_is_measured_by_its_name(sixth_system, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        stage_speed, 'simulated_frames', lambda system, sides, count: simulated_frames(system, sides, 1)
    )
    assert main(['--parts', 'sixth_stage', '--seconds', '1', '--name', 'here', '--out', str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert '**sixth (colour, depth where there is any; 640×480)**' in out
    assert '| stage, two hands / one hand |' in out


def test_a_system_without_a_camera_needs_a_file_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setitem(SYSTEMS, 'blind', System('blind', 'none:None', images=()))
    assert not {'blind_stage', 'blind_topics'} & set(parts())
    monkeypatch.setattr(benchmarks, '__path__', [*benchmarks.__path__, str(tmp_path)])
    (tmp_path / 'blind_stage.py').write_text('def measure(seconds):\n    return {"seconds": seconds}\n')
    assert 'blind_stage' in parts() and 'blind_topics' not in parts()
    assert parts()['blind_stage'].measure(Run(2.0, tmp_path, tmp_path, print)) == {'seconds': 1.0}
    assert own_module('blind', 'networks') is None


def test_unknown_parts_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(['--parts', 'sixth_stage'])
    assert "--parts has 'sixth_stage', expected some of" in capsys.readouterr().err


def test_every_folder_with_a_card_is_a_network(tmp_path):
    assert set(shipped_networks(models_dir())) == {card.parent.name for card in models_dir().rglob('card.yaml')}
    (tmp_path / 'no card').mkdir()
    assert shipped_networks(tmp_path) == {}


def test_a_network_is_timed_beside_onnx_runtime():
    folders = shipped_networks(models_dir())
    smallest = min(folders.values(), key=lambda folder: (folder / 'model.onnx').stat().st_size)
    speed = network_speed(smallest, 0.1)
    assert speed.engine.calls >= 5 and 0 < speed.engine.p50_ms <= speed.engine.p99_ms
    assert all(ratio > 0 for ratio in speed.peers.values())


def test_extra_networks_are_exported_by_a_system_of_this_tree():
    own = [path.name for path in Path(benchmarks.__file__).parent.glob('*_networks.py')]
    assert {name.removesuffix('_networks.py') for name in own} <= set(SYSTEMS)
