# SPDX-License-Identifier: Apache-2.0
"""The figures of a recording as rows of a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from hoi_ros.playback.contact_agreement import contact_agreement
from hoi_ros.playback.contact_agreement import intersections
from hoi_ros.playback.pair_agreement import pair_agreement
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.recording import traffic_of
from hoi_ros.playback.recording import truth_agreement
from hoi_ros.playback.session import StartTimes
from hoi_ros.simulation.surface_agreement import surface_agreement
from hoi_ros.simulation.surface_agreement import SurfaceAgreement
from hoi_ros.systems import System

Row = tuple[str, str]


def traffic_rows(recording: Recording) -> list[Row]:
    """Frames, rates and latency."""
    traffic = traffic_of(recording)
    return [
        ('frames in', f'{traffic.frames_in} ({traffic.input_hz:.1f} a second)'),
        ('frames out', f'{traffic.frames_out} ({traffic.output_hz:.1f} a second), {traffic.with_hands} with hands'),
        ('frames dropped', f'{traffic.dropped}'),
        ('camera to topic', f'p50 {traffic.latency_p50_ms:.1f} ms, p99 {traffic.latency_p99_ms:.1f} ms'),
    ]


def input_rows(recording: Recording, system: System) -> list[Row]:
    """Rate and latency of the node that the system stands on."""
    if not recording.inputs:
        return []
    traffic = traffic_of(dataclasses.replace(recording, answers=recording.inputs))
    return [
        (
            system.below[-1].name,
            f'{traffic.frames_out} ({traffic.output_hz:.1f} a second), p50 {traffic.latency_p50_ms:.1f} ms, '
            f'p99 {traffic.latency_p99_ms:.1f} ms',
        )
    ]


def agreement_rows(recording: Recording, system: System, recorded: bool) -> list[Row]:
    """Agreement with the simulated truth or the recorded depth, and contact where the system estimates it."""
    if not recorded:
        rows = truth_rows(recording, system.has_objects)
    else:
        rows = surface_rows(recording) if system.source.images[0] == 'depth' else seen_rows(recording)
    if system.has_interaction and not recorded:
        rows += pair_rows(recording, system)
    if not system.has_contact:
        return rows
    known = not recorded and recording.true_object_faces is not None
    return rows + (touch_rows(recording, system) if known else seen_touch_rows(recording))


def truth_rows(recording: Recording, objects: bool = False) -> list[Row]:
    """Errors of hands and objects against the simulated truth."""
    agreement = truth_agreement(recording)
    rows = [
        ('hands found', f'{_share(agreement.found, agreement.true_hands)}, {agreement.false_hands} false'),
        ('side right', _share(agreement.side_right, agreement.found)),
        ('mean joint error', f'{agreement.mean_joint_error_mm:.1f} mm'),
    ]
    if objects:
        found = _share(agreement.objects_found, agreement.true_objects)
        centre = agreement.mean_object_error_mm
        rows += [
            ('from the wrist', f'{agreement.mean_relative_joint_error_mm:.1f} mm'),
            ('objects found', f'{found}, {agreement.false_objects} false'),
            ('object centre', 'no box is certain enough' if math.isnan(centre) else f'{centre:.1f} mm off'),
        ]
    return rows


def seen_rows(recording: Recording) -> list[Row]:
    """Counts of the estimates, where no truth is known."""
    hands = [hand for answer in recording.answers for hand in answer.hands]
    by_depth = sum(hand.located_by == 'depth' for hand in hands)
    return [
        _sides(recording),
        ('located by', f'depth {_share(by_depth, len(hands))}, else the size of the hand'),
        ('may hold something', _share(sum(hand.held is not None for hand in hands), len(hands))),
    ]


def touch_rows(recording: Recording, system: System) -> list[Row]:
    """Contact against the simulated truth, of the hands that the node is given and of those that it publishes."""
    agreement = contact_agreement(recording)
    before, after = agreement.before, agreement.after
    return [
        ('contact found', f'{_share(agreement.with_contact, agreement.hands)} of the hands with objects'),
        ('given → published', f'{system.below[-1].name} → {system.name}'),
        ('touched vertices', f'F1 {before.vertex_f1:.2f} → {after.vertex_f1:.2f}'),
        (
            'touching fingers',
            f'F1 {before.finger_f1:.2f} → {after.finger_f1:.2f}, '
            f'right {100 * before.fingers_right:.0f} → {100 * after.fingers_right:.0f} %',
        ),
        ('joint error', f'{before.joint_error_mm:.1f} → {after.joint_error_mm:.1f} mm'),
        (
            'intersection',
            f'{before.intersection_cm3:.2f} → {after.intersection_cm3:.2f} cm³, '
            f'in truth {agreement.true_intersection_cm3:.2f}',
        ),
    ]


def pair_rows(recording: Recording, system: System) -> list[Row]:
    """Pairs of hands against the simulated truth, as the node is given them and as it publishes them."""
    agreement = pair_agreement(recording)
    rows = [
        ('pairs found', f'{_share(agreement.pairs, agreement.images)} of the images with two hands'),
        ('regularised', f'{_share(agreement.regularised, agreement.pairs)} of the pairs; the others are as they came'),
    ]
    if not agreement.regularised:
        return rows
    before, after = agreement.before, agreement.after
    return [
        *rows,
        ('given → published', f'{system.below[-1].name} → {system.name}, of the regularised pairs'),
        ('joint error', f'{before.joint_error_mm:.1f} → {after.joint_error_mm:.1f} mm'),
        ('relative root', f'{before.relative_root_error_mm:.1f} → {after.relative_root_error_mm:.1f} mm off'),
        (
            'intersection',
            f'{before.intersection_cm3:.2f} → {after.intersection_cm3:.2f} cm³, '
            f'in truth {agreement.truth.intersection_cm3:.2f}',
        ),
    ]


def seen_touch_rows(recording: Recording) -> list[Row]:
    """Contact where no truth is known."""
    held = [hand for answer in recording.answers for hand in answer.hands if hand.held is not None]
    touching = [len(set(hand.contact.fingers.tolist())) for hand in held if hand.contact is not None]
    before, after = intersections(recording)
    parts = f', {np.mean(touching):.1f} fingers and palms a hand' if touching else ''
    return [
        ('contact found', f'{_share(len(touching), len(held))} of the hands with objects{parts}'),
        ('intersection', f'{before:.2f} → {after:.2f} cm³'),
    ]


def surface_rows(recording: Recording) -> list[Row]:
    """Distance of the meshes from the observed surface."""
    agreements = list(_surfaces(recording))
    residuals = [agreement.residual_mm for agreement in agreements if not math.isnan(agreement.residual_mm)]
    ious = [agreement.silhouette_iou for agreement in agreements]
    rows = [_sides(recording)]
    if agreements:
        distance = f'{np.median(residuals):.1f} mm, worst {max(residuals):.1f} mm' if residuals else 'nothing in common'
        rows += [
            ('mesh to depth', f'{distance} ({len(agreements)} hands)'),
            ('silhouette IoU', f'{np.mean(ious):.2f}, worst {min(ious):.2f}'),
        ]
    return rows


def node_rows(recording: Recording, start: StartTimes) -> list[Row]:
    """Resources of the node."""
    return [
        ('node memory', f'{recording.memory_mb:.0f} MB'),
        ('node processor', f'{recording.cpu:.2f} cores'),
        start_row(start),
    ]


def start_row(start: StartTimes) -> Row:
    """How long the node took to start."""
    return (
        'node start',
        f'{start.ready_s:.1f} s (configure {start.configure_s:.1f}, activate '
        f'{start.activate_s:.1f}), after {start.process_s:.1f} s to appear',
    )


def print_table(rows: Iterable[Row]) -> None:
    """Prints two columns."""
    for name, value in rows:
        print(f'  {name:18} {value}')


def _surfaces(recording: Recording) -> Iterable[SurfaceAgreement]:
    for kept in recording.pictures:
        for hand in recording.hands_at(kept.stamp):
            if len(hand.vertices):
                yield surface_agreement(hand.vertices, recording.faces[hand.side], hand.joints, kept.image, kept.camera)


def _sides(recording: Recording) -> Row:
    sides = [hand.side for answer in recording.answers for hand in answer.hands]
    return 'sides', ', '.join(f'{side} {_share(sides.count(side), len(sides))}' for side in sorted(set(sides)))


def _share(part: int, whole: int) -> str:
    return f'{100 * part / whole:.1f} %' if whole else 'none'
