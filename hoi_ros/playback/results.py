# SPDX-License-Identifier: Apache-2.0
"""Estimates as JSON, and the reasons for unusable images in a few lines."""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from hoi_ros.camera import Pinhole
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.playback.contact_results import hand_contact_record
from hoi_ros.stages.parts.sample_request import HandInteraction

_NAMES = 3
"""Images that a reason names."""


def hand_record(hand: HandEstimate, vertices: bool, objects: bool) -> dict[str, Any]:
    """A hand as JSON, with what `hand_contact_record` says; lengths in metres, to a micrometre.

    `keypoints` (x and y of each) and `box` (left, top, width, height) are pixels of the original image, to a hundredth.

    Args:
        hand: the estimate.
        vertices: whether to write the vertices of the meshes, too.
        objects: whether the stage estimates held objects.
    """
    record: dict[str, Any] = {
        'side': hand.side,
        'side_score': round(float(hand.side_score), 4),
        'score': round(float(hand.score), 4),
        'id': int(hand.track_id),
        'joints': _rounded(hand.joints),
    }
    if hand.in_image is not None:
        box = hand.in_image.box
        record['keypoints'] = np.round(hand.in_image.keypoints.astype(float), 2).tolist()
        record['box'] = np.round([box.x, box.y, box.width, box.height], 2).tolist()
    if vertices:
        record['vertices'] = _rounded(hand.vertices)
    if objects:
        record['located_by'] = hand.located_by
        if hand.held is not None:
            held = hand.held
            record['held'] = {'score': round(float(held.score), 4), **_claims(held)}
            if vertices:
                record['held']['vertices'] = _rounded(held.vertices)
    return record | hand_contact_record(hand, vertices)


def _claims(held: ObjectEstimate) -> dict[str, Any]:
    """Box, contact and gap of an object as JSON, each with its confidence; null where a claim is withheld."""
    boxed, confidence = held.has_box, held.confidence
    return {
        'position': _rounded(held.position) if boxed else None,
        'orientation': _rounded(held.orientation) if boxed else None,
        'size': _rounded(held.size) if boxed else None,
        'box_confidence': round(float(confidence.box), 4),
        'touching': bool(held.touching) if confidence.touching else None,
        'touching_confidence': round(float(confidence.touching), 4),
        'gap': None if math.isnan(held.gap) else round(float(held.gap), 6),
        'gap_confidence': round(float(confidence.gap), 4),
    }


def interaction_record(interaction: HandInteraction) -> dict[str, Any]:
    """What became of two hands as JSON; lengths in metres, volumes in cm³, null where they are not known."""
    return {
        'regularised': bool(interaction.regularised),
        'reason': interaction.reason,
        'left_id': int(interaction.left_id),
        'right_id': int(interaction.right_id),
        'gap': None if math.isnan(interaction.gap) else round(float(interaction.gap), 6),
        'intersection_before': _cm3(interaction.intersection_before),
        'intersection_after': _cm3(interaction.intersection_after),
    }


def camera_record(camera: Pinhole) -> dict[str, float]:
    """A camera as JSON, pixels."""
    return {name: round(value, 3) for name, value in dataclasses.asdict(camera).items()}


class Reasons:
    """Collects why images could not be used, one entry a kind of fault."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[str, list[str]]] = {}

    def add(self, fault: str) -> None:
        """Counts a fault, '<image>: <reason>'."""
        image, _, reason = fault.partition(': ')
        # Other numbers in the same sentence are the same kind.
        kind = re.sub(r'\d+', '#', reason)
        self._kinds.setdefault(kind, (reason, []))[1].append(PurePath(image).name)

    def lines(self) -> list[str]:
        """A line a kind of fault, the most frequent first."""
        kinds = sorted(self._kinds.values(), key=lambda kind: -len(kind[1]))
        return [f'{len(names)} x {reason} ({listed(names)})' for reason, names in kinds]


def listed(names: Sequence[str], most: int = _NAMES) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ', '.join(names[:most]) + (f' and {more} more' if more > 0 else '')


def sides_counted(hands: Iterable[HandEstimate]) -> str:
    """'2 left, 1 right'; 'none' without hands."""
    sides = collections.Counter(hand.side for hand in hands)
    return ', '.join(f'{count} {side}' for side, count in sorted(sides.items())) or 'none'


def _cm3(volume: float) -> float:
    return round(1e6 * float(volume), 6)


def _rounded(numbers: np.ndarray) -> list[Any]:
    return np.round(np.asarray(numbers, np.float64), 6).tolist()
