# SPDX-License-Identifier: Apache-2.0
"""The results of all machines as one Markdown table, a column a machine; its rows follow from the systems' entries."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.parts import cost_part
from benchmarks.parts import pipeline_part
from benchmarks.parts import stage_part
from benchmarks.parts import topics_part
from benchmarks.stage_speed import CASES
from benchmarks.stage_speed import ONE_HAND
from benchmarks.stage_speed import TWO_HANDS
from hoi_ros.systems import DEFAULT
from hoi_ros.systems import System
from hoi_ros.systems import SYSTEMS

Result = Mapping[str, Any]
_MISSING = '–'
_LABELS = {ONE_HAND: 'one hand, tracked', TWO_HANDS: 'two hands, tracked'}
"""Labels of cases that say more than their names."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A label, and the text of a result's cell; '' without figures."""

    label: str
    cell: Callable[[Result], str]


def table(folder: Path = results.FOLDER) -> str:
    """Every result; '–' where a machine lacks a figure. Rows and sections without any figure are left out.

    Raises:
        FileNotFoundError: there is no result.
    """
    found = results.load_all(folder)
    lines = [['', *_titles(found)], ['---'] * (len(found) + 1)]
    for title, rows in _sections(list(found.values())):
        filled = [[row.label, *(row.cell(result) or _MISSING for result in found.values())] for row in rows]
        filled = [line for line in filled if any(cell != _MISSING for cell in line[1:])]
        if filled:
            lines += [[f'**{title}**', *([''] * len(found))], *filled]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _titles(found: Mapping[str, Result]) -> list[str]:
    """Processor, cores and GPU of each machine; with the file's name where two are alike."""
    titles = []
    for result in found.values():
        machine = result['machine']
        titles.append(f'{machine["cpu"]}, {machine["cores"]} cores' + (f', {machine["gpu"]}' if machine['gpu'] else ''))
    count = Counter(titles)
    return [f'{title} ({name})' if count[title] > 1 else title for title, name in zip(titles, found)]


def _sections(found: Sequence[Result]) -> Iterator[tuple[str, list[Row]]]:
    for system in SYSTEMS.values():
        source = system.source
        images = ', '.join([*source.images, *(f'{kind} where there is any' for kind in source.optional_images)])
        behind = f' behind {system.stands_on}' if system.stands_on else ''
        yield (
            f'{system.name}{behind}' + (f' ({images}; 640×480)' if images else ''),
            [
                *_stage_rows(system, found),
                *_topics_rows(system),
                *_pipeline_rows(system),
                *_cost_rows(system, found),
            ],
        )
    yield (
        f'camera at 120 Hz, {DEFAULT}',
        [
            _row('frames in → out', '{:.0f} → {:.0f} Hz', 'overload.traffic.input_hz', 'overload.traffic.output_hz'),
            _latency_drift('overload'),
        ],
    )
    names = dict.fromkeys(name for result in found for name in _children(result.get('networks')))
    yield 'networks, one crop, p50 (other backends: ratio to it)', [_network_row(name) for name in names]
    yield 'contact refinement in turns with ContactOpt, true contact, one thread', _refinement_rows()
    yield 'two hands sampled in turns with InterHandGen, same threads', _sampling_rows(found)
    yield 'MediaPipe in turns with the stages, one hand tracked', _peer_rows(found)
    yield (
        'training',
        [
            _row(
                'synthetic generator',
                '{:.0f} crops/s with {:.0f} workers',
                'generator.crops_a_second',
                'generator.workers',
            )
        ],
    )


def _stage_rows(system: System, found: Sequence[Result]) -> list[Row]:
    part = stage_part(system.name)
    cases = dict.fromkeys([*CASES, *(case for result in found for case in _children(result.get(part)))])
    one, two = (f'{part}.{case}.total.p50_ms' for case in (ONE_HAND, TWO_HANDS))
    return [
        *(
            _row(
                f'stage, {_LABELS.get(case, case)}: p50 / p99',
                '{:.1f} / {:.1f} ms',
                f'{part}.{case}.total.p50_ms',
                f'{part}.{case}.total.p99_ms',
            )
            for case in cases
        ),
        _row('stage, two hands / one hand', '{:.2f}', one, two, derive=lambda one, two: (two / one,)),
    ]


def _topics_rows(system: System) -> list[Row]:
    part, stage = topics_part(system.name), f'{stage_part(system.name)}.{ONE_HAND}.total.p50_ms'
    return [
        _row(
            'camera to topic over DDS at 30 Hz: p50 / p99',
            '{:.1f} / {:.1f} ms',
            f'{part}.traffic.latency_p50_ms',
            f'{part}.traffic.latency_p99_ms',
        ),
        _row(
            'camera to topic beyond the stage, p50',
            '{:.1f} ms',
            f'{part}.traffic.latency_p50_ms',
            stage,
            derive=lambda topic, stage: (topic - stage,),
        ),
        _latency_drift(part),
        _row(
            'frames dropped',
            '{:.0f} of {:.0f} in {:.0f} s',
            f'{part}.traffic.dropped',
            f'{part}.traffic.frames_in',
            f'{part}.seconds',
        ),
        _row('node: processor time', '{:.2f} cores', f'{part}.cpu_cores'),
        _row('node: memory', '{:.0f} MB', f'{part}.memory_mb'),
        _row('node: configure and activate', '{:.1f} s', f'{part}.start_s'),
    ]


def _pipeline_rows(system: System) -> list[Row]:
    part, other = pipeline_part(system.name), system.stands_on
    return [
        _row(
            f'{other} and {system.name}: rate, camera to topic p50; {other} alone; ratio',
            '{:.1f} Hz, {:.1f} ms; {:.1f} ms; {:.2f}',
            *(f'{part}.{figure}' for figure in ('output_hz', 'pipeline_p50_ms', 'alone_p50_ms', 'p50_ratio')),
        ),
        _row(
            f'network with its inputs / network of {other}: on one crop, on those of a tracked hand',
            '{:.1f} ms; {:.2f}, {:.2f}',
            *(f'{part}.networks.{figure}' for figure in ('own.p50_ms', 'ratio', 'ratio_views')),
        ),
        _row('node of the pipeline: memory', '{:.0f} MB', f'{part}.memory_mb'),
    ]


def _cost_rows(system: System, found: Sequence[Result]) -> list[Row]:
    part = cost_part(system.name)
    return [
        _row(
            f'{name} in PyTorch: parameters; a batch on one thread, memory',
            '{:,.0f}; {:.1f} s, {:,.0f} MB',
            *(f'{part}.{name}.{figure}' for figure in ('parameters', 'seconds', 'memory_mb')),
        )
        for name in dict.fromkeys(name for result in found for name in _children(result.get(part)))
    ]


def _latency_drift(part: str) -> Row:
    return _row(
        'latency p50, first third → last third',
        '{:.1f} → {:.1f} ms',
        f'{part}.traffic.first_third_p50_ms',
        f'{part}.traffic.last_third_p50_ms',
    )


def _network_row(name: str) -> Row:
    def cell(result: Result) -> str:
        network = _children(result.get('networks')).get(name)
        if network is None:
            return ''
        peers = ', '.join(f'{peer} {ratio:.1f}×' for peer, ratio in network['peers'].items())
        return f'{network["engine"]["p50_ms"]:.2f} ms' + (f' ({peers})' if peers else '')

    return Row(name, cell)


def _refinement_rows() -> list[Row]:
    part, form = 'refinement', '{:.0f} / {:.0f} ms; {:.1f} → {:.1f} mm'
    rows = {
        'refinement within its budget': f'{part}.refinement',
        "ContactOpt's iterations": f'{part}.contactopt',
    }
    return [
        _row(
            f'{label}: p50 / p99; joint error',
            form,
            f'{path}.time.p50_ms',
            f'{path}.time.p99_ms',
            f'{path}.error_before_mm',
            f'{path}.error_after_mm',
        )
        for label, path in rows.items()
    ]


def _sampling_rows(found: Sequence[Result]) -> list[Row]:
    part = 'sampling'
    return [
        _row(
            f"pairs, {count}: p50, in the steps of the model; InterHandGen's network, in 32; ratio",
            '{:.0f} ms; {:.1f} s; {:.0f}×',
            f'{part}.{count}.stage.p50_ms',
            f'{part}.{count}.interhandgen.p50_ms',
            f'{part}.{count}.ratio',
            derive=lambda own, other, ratio: (own, other / 1e3, ratio),
        )
        for count in dict.fromkeys(count for result in found for count in _children(result.get(part)))
    ]


def _peer_rows(found: Sequence[Result]) -> list[Row]:
    form, part = '{:.1f} / {:.1f} ms', 'mediapipe'
    names = dict.fromkeys(name for result in found for name in _children(result.get(part, {}).get('stages')))
    rows = [_row('tracker: p50 / p99', form, f'{part}.tracker.total.p50_ms', f'{part}.tracker.total.p99_ms')]
    for name in names:
        stage = f'{part}.stages.{name}'
        rows += [
            _row(f'{name}: p50 / p99', form, f'{stage}.total.p50_ms', f'{stage}.total.p99_ms'),
            _row(
                f'{name} / tracker: p50, processor time',
                '{:.2f}, {:.2f}',
                f'{stage}.p50_ratio',
                f'{stage}.cpu_ratio',
            ),
        ]
    return rows


def _row(label: str, form: str, *paths: str, derive: Callable[..., Sequence[float]] = lambda *numbers: numbers) -> Row:
    """Formats the numbers at `paths` of a result, or what `derive` makes of them."""

    def cell(result: Result) -> str:
        numbers = [_at(result, path.split('.')) for path in paths]
        return '' if None in numbers else form.format(*derive(*numbers))

    return Row(label, cell)


def _at(values: Any, keys: Sequence[str]) -> float | None:
    for key in keys:
        if not isinstance(values, Mapping) or key not in values:
            return None
        values = values[key]
    return values


def _children(part: Result | None) -> dict[str, Any]:
    """The entries of a part, without its own description."""
    return {name: value for name, value in (part or {}).items() if name != 'measured'}
