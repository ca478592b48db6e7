# SPDX-License-Identifier: Apache-2.0
"""Results of a machine as JSON and as a table."""

import dataclasses
import json

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from benchmarks import report
from benchmarks import results
from benchmarks.__main__ import main
from benchmarks.generator_speed import GeneratorSpeed
from benchmarks.machine import this_machine
from benchmarks.network_speed import NetworkSpeed
from benchmarks.peers.comparison import ComparedSpeed
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.comparison import TrackerSpeed
from benchmarks.pipeline import NetworkTimes
from benchmarks.pipeline import PipelineFigures
from benchmarks.pipeline import Turn
from benchmarks.stage_speed import CASES
from benchmarks.stage_speed import StageSpeed
from benchmarks.timing import Spread
from benchmarks.topics import TopicFigures
from hoi_ros.playback.recording import Traffic
from hoi_ros.systems import SYSTEMS

MACHINE = dataclasses.replace(this_machine(), cpu='Fast CPU', cores=2, gpu='')
MEASURED = {'commit': 'abc', 'load_before': 0.1, 'taken': '2026-01-01T00:00:00+00:00'}
SPEED = StageSpeed(Spread(1000, 8.04, 14.0), {'track': 5.0, 'detect': 0.0, 'fit': 2.0}, 1.0)
STAGE = dict.fromkeys(CASES, SPEED) | {'two hands': StageSpeed(Spread(500, 12.06, 20.0), {}, 2.0)}
TOPICS = TopicFigures(
    30.0, 60.0, Traffic(1800, 1799, 1, 1799, 30.0, 29.98, 9.12, 14.0, 9.0, 9.2), 312.4, 0.5, 1.25, 2.0
)
OVERLOAD = TopicFigures(
    120.0, 30.0, Traffic(3600, 2700, 900, 2700, 120.0, 90.0, 11.0, 19.0, 10.9, 11.1), 315.0, 1.0, 1.3, 2.1
)
TRACKER = TrackerSpeed(Spread(100, 10.5, 15.0), 12.0, 1.0)
FIGURES = {
    'overload': OVERLOAD,
    'generator': GeneratorSpeed(2, 3000, 201.4),
    'networks': {'some network': NetworkSpeed('openvino', Spread(1000, 2.5, 3.0), {'onnxruntime': 1.23})},
    'mediapipe': Comparison(
        '0.10.21',
        (640, 360),
        5,
        TRACKER,
        {'some stage': ComparedSpeed(Spread(200, 5.25, 9.0), 6.0, 1.0, 0.5, (0.45, 0.6), 0.571)},
    ),
}
TURN = Turn(TOPICS.traffic, OVERLOAD.traffic, TOPICS.traffic, 300.4, 0.6)
NETWORKS = NetworkTimes(SPEED.total, SPEED.total, SPEED.total, 0.456, 0.321)
FIGURES |= {
    f'{name}_pipeline': PipelineFigures(30.0, 10.0, 12.4, 40.0, 80.0, 2.0, 300.4, NETWORKS, [TURN])
    for name, system in SYSTEMS.items()
    if system.below
}
FIGURES |= {f'{name}_stage': STAGE for name in SYSTEMS} | {f'{name}_topics': TOPICS for name in SYSTEMS}


def saved(folder, name='fast', machine=MACHINE, figures=FIGURES):
    for part, of_part in figures.items():
        path = results.save(name, machine, part, MEASURED, of_part, folder)
    return path


def sections(text):
    """The table as {section: {first cell: other cells}}."""
    found, rows = {}, {}
    for line in text.splitlines()[2:]:
        first, *others = (cell.strip() for cell in line.strip('|').split(' | '))
        if first.startswith('**'):
            rows = found.setdefault(first.strip('*'), {})
        else:
            rows[first] = others
    return found


def section(text, start):
    return next(rows for title, rows in sections(text).items() if title.startswith(start))


def test_every_row_finds_its_figures(tmp_path):
    assert saved(tmp_path) == tmp_path / 'fast.json'
    table = report.table(tmp_path)
    assert '–' not in table
    assert 'Fast CPU, 2 cores' in table.splitlines()[0]
    for name in SYSTEMS:
        rows = section(table, name)
        assert rows['stage, one hand, tracked: p50 / p99'] == ['8.0 / 14.0 ms']
        assert rows['stage, two hands / one hand'] == ['1.50']
        assert rows['camera to topic over DDS at 30 Hz: p50 / p99'] == ['9.1 / 14.0 ms']
        assert rows['camera to topic beyond the stage, p50'] == ['1.1 ms']
        assert rows['frames dropped'] == ['1 of 1800 in 60 s']
    for name, system in SYSTEMS.items():
        if system.below:
            rows, other = section(table, name), system.stands_on
            key = f'{other} and {name}: rate, camera to topic p50; {other} alone; ratio'
            assert rows[key] == ['12.4 Hz, 80.0 ms; 40.0 ms; 2.00'] and rows['node of the pipeline: memory'] == [
                '300 MB'
            ]
    assert section(table, 'camera at 120 Hz')['frames in → out'] == ['120 → 90 Hz']
    assert section(table, 'networks')['some network'] == ['2.50 ms (onnxruntime 1.2×)']
    assert section(table, 'MediaPipe')['tracker: p50 / p99'] == ['10.5 / 15.0 ms']
    assert section(table, 'MediaPipe')['some stage / tracker: p50, processor time'] == ['0.50, 0.57']
    assert section(table, 'training')['synthetic generator'] == ['201 crops/s with 2 workers']


def test_a_new_system_has_rows_of_its_own(tmp_path, sixth_system):
    saved(tmp_path, figures={'sixth_stage': STAGE | {'six hands': SPEED}})
    rows = section(report.table(tmp_path), 'sixth (colour, depth where there is any')
    assert rows['stage, six hands: p50 / p99'] == ['8.0 / 14.0 ms']


def test_a_part_stays_when_another_is_measured(tmp_path):
    results.save('fast', MACHINE, 'generator', MEASURED, FIGURES['generator'], tmp_path)
    results.save('fast', MACHINE, 'overload', MEASURED | {'commit': 'def'}, OVERLOAD, tmp_path)
    kept = json.loads((tmp_path / 'fast.json').read_text())
    measured = kept['generator'].pop('measured')
    assert measured == MEASURED | {'kernel': MACHINE.kernel, 'versions': MACHINE.versions}
    assert kept['generator'] == {'workers': 2, 'crops': 3000, 'crops_a_second': 201.4}
    assert kept['overload']['measured']['commit'] == 'def'
    assert kept['overload']['traffic']['latency_p50_ms'] == 11.0
    assert kept['machine']['cpu'] == 'Fast CPU' and kept['machine']['versions']['numpy']


def test_results_of_two_machines_do_not_mix(tmp_path):
    saved(tmp_path, figures={'overload': OVERLOAD})
    first, second = (dataclasses.replace(MACHINE, model=f'family {number}') for number in (1, 2))
    results.save('same', first, 'overload', MEASURED, OVERLOAD, tmp_path)
    with pytest.raises(results.OtherMachineError, match="'model': 'family 1'.*'model': 'family 2'.*--name"):
        results.save('same', second, 'overload', MEASURED, OVERLOAD, tmp_path)
    assert json.loads((tmp_path / 'same.json').read_text())['machine']['model'] == 'family 1'


def test_a_missing_figure_is_a_dash_and_a_row_without_figures_is_left_out(tmp_path):
    silent = dataclasses.replace(OVERLOAD, traffic=dataclasses.replace(OVERLOAD.traffic, output_hz=float('nan')))
    saved(tmp_path, 'a', figures={'overload': silent})
    saved(tmp_path, 'b', figures={'generator': FIGURES['generator']})
    table = report.table(tmp_path)
    assert 'frames in → out' not in table and 'MediaPipe' not in table
    assert section(table, 'camera at 120 Hz')['latency p50, first third → last third'] == ['10.9 → 11.1 ms', '–']


def test_each_machine_has_a_column_with_a_title_of_its_own(tmp_path, capsys):
    saved(tmp_path, 'fast')
    saved(tmp_path, 'other')
    saved(tmp_path, 'slow', dataclasses.replace(MACHINE, cpu='Slow CPU', gpu='GPU'))
    assert main(['--table', '--out', str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'Fast CPU, 2 cores (fast) | Fast CPU, 2 cores (other) | Slow CPU, 2 cores, GPU' in lines[0]
    assert len({line.count('|') for line in lines}) == 1


def test_the_shipped_results_fill_the_table():
    table = report.table()
    for name in SYSTEMS:
        assert section(table, name)['stage, one hand, tracked: p50 / p99'] != ['–'] * (
            table.splitlines()[0].count('|') - 2
        )


def test_no_result_is_an_error(tmp_path, capsys):
    assert main(['--table', '--out', str(tmp_path)]) == 1
    assert f'{tmp_path} holds no result' in capsys.readouterr().err


def test_a_machine_describes_itself():
    machine = this_machine()
    assert machine.cpu and machine.cores >= 1 and machine.memory_gb > 0
    assert machine.python.count('.') == 2 and machine.versions['openvino']
    assert dataclasses.replace(MACHINE, model='family 1 model 2').slug == 'fast-cpu-family-1-model-2-2-cores'


def test_bad_arguments_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(['--seconds', '0'])
    assert '--seconds is 0' in capsys.readouterr().err
