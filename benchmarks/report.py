# SPDX-License-Identifier: Apache-2.0
"""Results as JSON, one file a machine, and as a table."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine

RESULTS = Path(__file__).parent / 'results'

# What the table shows: the text, where the numbers are in the results, and how they are written.
_ROWS = (
    (
        'depth 640×480 → mesh, hand followed, p50 / p99',
        ('stage.one hand.total.p50_ms', 'stage.one hand.total.p99_ms'),
        '{:.1f} / {:.1f} ms',
    ),
    (
        '— first frame (hand to be found)',
        ('stage.one hand, first frame.total.p50_ms', 'stage.one hand, first frame.total.p99_ms'),
        '{:.1f} / {:.1f} ms',
    ),
    ('— two hands followed', ('stage.two hands.total.p50_ms', 'stage.two hands.total.p99_ms'), '{:.1f} / {:.1f} ms'),
    ('— no hand in view', ('stage.no hand.total.p50_ms', 'stage.no hand.total.p99_ms'), '{:.1f} / {:.1f} ms'),
    ('pose network alone, p50', ('networks.depth_pose.engine.p50_ms',), '{:.2f} ms'),
    (
        '— the same network in ONNX Runtime',
        ('networks.depth_pose.peers.onnxruntime',),
        '{:.1f}× as long',
    ),
    ('hand finder alone, p50', ('networks.hand_finder.engine.p50_ms',), '{:.2f} ms'),
    (
        '— the same network in ONNX Runtime',
        ('networks.hand_finder.peers.onnxruntime',),
        '{:.1f}× as long',
    ),
    (
        'camera to topic over DDS at 30 Hz, p50 / p99',
        ('topics.traffic.latency_p50_ms', 'topics.traffic.latency_p99_ms'),
        '{:.1f} / {:.1f} ms',
    ),
    (
        '— frames dropped in so many seconds',
        ('topics.traffic.dropped', 'topics.traffic.frames_in', 'topics.seconds'),
        '{:.0f} of {:.0f} in {:.0f} s',
    ),
    ('— processor time of the node', ('topics.cpu_cores',), '{:.2f} cores'),
    (
        'camera at 120 Hz: frames in → out',
        ('overload.traffic.input_hz', 'overload.traffic.output_hz'),
        '{:.0f} → {:.0f} Hz',
    ),
    (
        '— latency p50, first third → last third',
        ('overload.traffic.first_third_p50_ms', 'overload.traffic.last_third_p50_ms'),
        '{:.1f} → {:.1f} ms',
    ),
    ('node memory', ('topics.memory_mb',), '{:.0f} MB'),
    ('node configure + activate', ('topics.start_s',), '{:.1f} s'),
    ('reconstruction network alone, p50', ('networks.reconstruction.engine.p50_ms',), '{:.1f} ms'),
    (
        '— the same network in ONNX Runtime',
        ('networks.reconstruction.peers.onnxruntime',),
        '{:.1f}× as long',
    ),
    ('— for crops of 256×256 pixels', ('networks.reconstruction at 256.engine.p50_ms',), '{:.1f} ms'),
    ("— of the paper's size, 256×256 pixels", ('networks.reconstruction of the paper.engine.p50_ms',), '{:.1f} ms'),
    (
        'RGB and depth 640×480 → hand and object, hand followed, p50 / p99',
        ('reconstruction_stage.one hand.total.p50_ms', 'reconstruction_stage.one hand.total.p99_ms'),
        '{:.1f} / {:.1f} ms',
    ),
    (
        '— first frame (hand to be found)',
        (
            'reconstruction_stage.one hand, first frame.total.p50_ms',
            'reconstruction_stage.one hand, first frame.total.p99_ms',
        ),
        '{:.1f} / {:.1f} ms',
    ),
    (
        '— two hands followed',
        ('reconstruction_stage.two hands.total.p50_ms', 'reconstruction_stage.two hands.total.p99_ms'),
        '{:.1f} / {:.1f} ms',
    ),
    (
        '— no hand in view',
        ('reconstruction_stage.no hand.total.p50_ms', 'reconstruction_stage.no hand.total.p99_ms'),
        '{:.1f} / {:.1f} ms',
    ),
    (
        'RGB-D camera to hands and objects over DDS at 30 Hz, p50 / p99',
        ('reconstruction_topics.traffic.latency_p50_ms', 'reconstruction_topics.traffic.latency_p99_ms'),
        '{:.1f} / {:.1f} ms',
    ),
    (
        '— frames dropped in so many seconds',
        (
            'reconstruction_topics.traffic.dropped',
            'reconstruction_topics.traffic.frames_in',
            'reconstruction_topics.seconds',
        ),
        '{:.0f} of {:.0f} in {:.0f} s',
    ),
    (
        '— latency p50, first third → last third',
        ('reconstruction_topics.traffic.first_third_p50_ms', 'reconstruction_topics.traffic.last_third_p50_ms'),
        '{:.1f} → {:.1f} ms',
    ),
    ('— processor time of the node', ('reconstruction_topics.cpu_cores',), '{:.2f} cores'),
    ('— node memory', ('reconstruction_topics.memory_mb',), '{:.0f} MB'),
    ('— node configure + activate', ('reconstruction_topics.start_s',), '{:.1f} s'),
    ('synthetic generator', ('generator.crops_a_second', 'generator.workers'), '{:.0f} crops/s with {:.0f} workers'),
)


def save(
    name: str, machine: Machine, part: str, measured: Mapping[str, object], figures: Any, folder: Path = RESULTS
) -> Path:
    """Puts one part into `folder`/`name`.json; the other parts in it stay.

    Args:
        name: of the machine.
        machine: what it is like.
        part: what was measured.
        measured: when and how.
        figures: a data class, or a mapping of such.
        folder: of the results.
    """
    path = folder / f'{name}.json'
    kept = json.loads(path.read_text()) if path.is_file() else {}
    folder.mkdir(parents=True, exist_ok=True)
    results = kept | {'machine': _plain(machine), part: {'measured': _plain(measured), **_plain(figures)}}
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + '\n')
    return path


def table(folder: Path = RESULTS) -> str:
    """Every result as one Markdown table, a column a machine; '–' where a figure is missing.

    Raises:
        FileNotFoundError: there is no result.
    """
    results = [json.loads(path.read_text()) for path in sorted(folder.glob('*.json'))]
    if not results:
        raise FileNotFoundError(f'{folder} holds no result: run `python -m benchmarks` first')
    lines = [['', *(_title(result) for result in results)], ['---'] * (len(results) + 1)]
    lines += [[text, *(_cell(result, paths, form) for result in results)] for text, paths, form in _ROWS]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _title(result: Mapping[str, Any]) -> str:
    machine = result['machine']
    return f'{machine["cpu"]}, {machine["cores"]} cores' + (f', {machine["gpu"]}' if machine['gpu'] else '')


def _cell(result: Mapping[str, Any], paths: Sequence[str], form: str) -> str:
    numbers = [_at(result, path.split('.')) for path in paths]
    return '–' if None in numbers else form.format(*numbers)


def _at(values: Any, keys: Sequence[str]) -> float | None:
    for key in keys:
        if not isinstance(values, Mapping) or key not in values:
            return None
        values = values[key]
    return values


def _plain(value: Any) -> Any:
    """Of what JSON knows, numbers to four digits; None for what is not a number."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return float(f'{value:.4g}') if math.isfinite(value) else None
    return value
