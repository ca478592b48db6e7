# SPDX-License-Identifier: Apache-2.0
"""Results of a machine as JSON and as a table."""

import dataclasses
import json

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.generator_speed import GeneratorSpeed
from benchmarks.machine import this_machine
from benchmarks.network_speed import AT_256
from benchmarks.network_speed import NETWORKS
from benchmarks.network_speed import NetworkSpeed
from benchmarks.stage_speed import StageSpeed
from benchmarks.timing import Spread
from benchmarks.topics import TopicFigures
from hoi_ros.playback.recording import Traffic

MACHINE = dataclasses.replace(this_machine(), cpu='Quick CPU', cores=2, gpu='')
MEASURED = {'commit': 'abc', 'load_before': 0.1, 'taken': '2026-01-01T00:00:00+00:00'}
SPEED = StageSpeed(Spread(1000, 8.04, 14.0), {'track': 5.0, 'find': 0.0, 'fit': 2.0}, 1.0)
NETWORK = NetworkSpeed('openvino', Spread(1000, 2.5, 3.0), {'onnxruntime': 2.0})
TOPICS = TopicFigures(
    30.0, 60.0, Traffic(1800, 1799, 1, 1799, 30.0, 29.98, 9.12, 14.0, 9.0, 9.2), 312.4, 0.5, 1.25, 2.0
)
OVERLOAD = TopicFigures(
    120.0, 30.0, Traffic(3600, 2700, 900, 2700, 120.0, 90.0, 11.0, 19.0, 10.9, 11.1), 315.0, 1.0, 1.3, 2.1
)
FIGURES = {
    'topics': TOPICS,
    'overload': OVERLOAD,
    'generator': GeneratorSpeed(2, 3000, 201.4),
    'stage': {name: SPEED for name in ('one hand', 'one hand, first frame', 'two hands', 'no hand')},
    'reconstruction_topics': TOPICS,
    'reconstruction_stage': {name: SPEED for name in ('one hand', 'one hand, first frame', 'two hands', 'no hand')},
    'networks': dict.fromkeys((*NETWORKS, *AT_256), NETWORK),
}


def rows(text):
    """The table as {first cell: other cells}; of rows that share their first cell, the last."""
    return {
        cells[0]: cells[1:]
        for cells in ([cell.strip() for cell in line.strip('|').split(' | ')] for line in text.splitlines())
    }


def test_every_row_finds_its_figures(tmp_path):
    for part, figures in FIGURES.items():
        path = report.save('quick', MACHINE, part, MEASURED, figures, tmp_path)
    assert path == tmp_path / 'quick.json'
    table = report.table(tmp_path)
    assert '–' not in table
    assert 'Quick CPU, 2 cores' in table.splitlines()[0]
    cells = rows(table)
    assert cells['depth 640×480 → mesh, hand followed, p50 / p99'] == ['8.0 / 14.0 ms']
    assert cells['— frames dropped in so many seconds'] == ['1 of 1800 in 60 s']
    assert cells['camera at 120 Hz: frames in → out'] == ['120 → 90 Hz']
    assert cells['synthetic generator'] == ['201 crops/s with 2 workers']


def test_a_part_is_kept_with_its_time_when_another_is_measured(tmp_path):
    report.save('quick', MACHINE, 'generator', MEASURED, FIGURES['generator'], tmp_path)
    report.save('quick', MACHINE, 'topics', MEASURED | {'commit': 'def'}, TOPICS, tmp_path)
    kept = json.loads((tmp_path / 'quick.json').read_text())
    assert kept['generator'] == {'measured': MEASURED, 'workers': 2, 'crops': 3000, 'crops_a_second': 201.4}
    assert kept['topics']['measured']['commit'] == 'def'
    assert kept['topics']['traffic']['latency_p50_ms'] == 9.12
    assert kept['machine']['cpu'] == 'Quick CPU' and kept['machine']['versions']['numpy']


def test_what_was_not_measured_is_a_dash(tmp_path):
    silent = dataclasses.replace(TOPICS, traffic=dataclasses.replace(TOPICS.traffic, latency_p50_ms=float('nan')))
    report.save('quick', MACHINE, 'topics', MEASURED, silent, tmp_path)
    cells = rows(report.table(tmp_path))
    assert cells['camera to topic over DDS at 30 Hz, p50 / p99'] == ['–'] == cells['synthetic generator']
    assert cells['node memory'] == ['312 MB']


def test_each_machine_has_a_column(tmp_path, capsys):
    for name in ('quick', 'slow'):
        machine = dataclasses.replace(MACHINE, cpu=f'{name} CPU', gpu='GPU' if name == 'slow' else '')
        report.save(name, machine, 'topics', MEASURED, TOPICS, tmp_path)
    assert main(['--table', '--out', str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'quick CPU, 2 cores | slow CPU, 2 cores, GPU' in lines[0]
    assert len({line.count('|') for line in lines}) == 1


def test_no_result_is_said(tmp_path, capsys):
    assert main(['--table', '--out', str(tmp_path)]) == 1
    assert f'{tmp_path} holds no result' in capsys.readouterr().err


def test_a_machine_describes_itself():
    machine = this_machine()
    assert machine.cpu and machine.cores >= 1 and machine.memory_gb > 0
    assert machine.python.count('.') == 2 and machine.versions['openvino']
    assert MACHINE.slug == 'quick-cpu-2-cores'


def test_bad_arguments_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(['--seconds', '0'])
    assert '--seconds is 0' in capsys.readouterr().err
