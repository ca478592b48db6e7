# SPDX-License-Identifier: Apache-2.0
"""Two hands of a recording compared with the simulated truth, before and after they are regularised. Knows no ROS."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.volumes import grid_volume
from hoi_ros.playback.recording import Hands
from hoi_ros.playback.recording import matched
from hoi_ros.playback.recording import Recording

_MOST = 120
"""Pairs that are measured, evenly spaced."""
_VOXEL = 0.002
_CM3 = 1e6


class Pair(NamedTuple):
    """The left and the right hand of an image."""

    left: HandEstimate
    right: HandEstimate


@dataclasses.dataclass(frozen=True)
class PairFigures:
    """Means over pairs of hands; NaN without any."""

    joint_error_mm: float
    relative_root_error_mm: float
    """Of the right wrist relative to the left one."""
    intersection_cm3: float
    """Volume that both hands share, on voxels of 2 mm."""


@dataclasses.dataclass(frozen=True)
class PairAgreement:
    """Pairs as a node is given them and as it publishes them, compared with the truth."""

    images: int
    """With two true hands, that were answered."""
    pairs: int
    """Of them with both hands found and their sides right."""
    regularised: int
    """Of them with hands that were moved."""
    before: PairFigures
    """Of those that were moved, at most 120, evenly spaced."""
    after: PairFigures
    truth: PairFigures


def pair_agreement(recording: Recording) -> PairAgreement:
    """Compares the images of which the truth and the given hands are known."""
    moved = moved_stamps(recording)
    images, found = 0, {}
    given = {answer.stamp: answer.hands for answer in recording.inputs}
    for answer in recording.answers:
        truth = _pair(recording.truth.get(answer.stamp, ()))
        if truth is None or answer.stamp not in given:
            continue
        images += 1
        after, before = (_found(truth, hands) for hands in (answer.hands, given[answer.stamp]))
        if before is not None and after is not None:
            found[answer.stamp] = truth, before, after
    chosen = [found[stamp] for stamp in sorted(moved & found.keys())]
    measured = chosen[:: max(1, math.ceil(len(chosen) / _MOST))]
    closed = {side: close_holes(recording.faces[side]) for side in ('left', 'right')}
    truths = [truth for truth, _, _ in measured]
    return PairAgreement(
        images,
        len(found),
        len(chosen),
        _figures(truths, [before for _, before, _ in measured], closed),
        _figures(truths, [after for _, _, after in measured], closed),
        _figures(truths, truths, closed),
    )


def moved_stamps(recording: Recording) -> set[int]:
    """Stamps of the images whose hands are published elsewhere than they were given."""
    given = {answer.stamp: {hand.track_id: hand for hand in answer.hands} for answer in recording.inputs}
    return {
        answer.stamp
        for answer in recording.answers
        for hand in answer.hands
        if (before := given.get(answer.stamp, {}).get(hand.track_id)) is not None
        and not np.array_equal(before.joints, hand.joints)
    }


def _pair(hands: Hands) -> Pair | None:
    sides = {hand.side: hand for hand in hands}
    return Pair(sides['left'], sides['right']) if len(hands) == len(sides) == 2 else None


def _found(truth: Pair, hands: Hands) -> Pair | None:
    """The estimates of both true hands, with their sides right."""
    found = [hand for _, hand in matched(truth, hands)[0] if hand is not None]
    pair = _pair(found)
    return pair if pair is not None and pair.left is found[0] else None


def _figures(truths: Sequence[Pair], found: Sequence[Pair], faces: Mapping[str, np.ndarray]) -> PairFigures:
    joints: list[float] = []
    roots: list[float] = []
    volumes: list[float] = []
    for truth, pair in zip(truths, found, strict=True):
        joints += [float(np.linalg.norm(hand.joints - true.joints, axis=1).mean()) for hand, true in zip(pair, truth)]
        apart, true_apart = (each.right.joints[0] - each.left.joints[0] for each in (pair, truth))
        roots.append(float(np.linalg.norm(apart - true_apart)))
        if all(len(hand.vertices) for hand in pair):
            left, right = pair.left.vertices, pair.right.vertices
            volumes.append(grid_volume(left, faces['left'], right, faces['right'], _VOXEL))
    return PairFigures(1e3 * _mean(joints), 1e3 * _mean(roots), _CM3 * _mean(volumes))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
