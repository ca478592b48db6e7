# SPDX-License-Identifier: Apache-2.0
"""The inputs and outputs of a node over a stretch of time, and figures computed from them. Knows no ROS."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from hoi_ros.camera import Pinhole
from hoi_ros.hand.estimates import HandEstimate

_SAME_HAND = 0.1
"""Largest distance between the mean joints of an estimate and of the true hand that it finds, m."""


Hands = Sequence[HandEstimate]


@dataclasses.dataclass(frozen=True)
class Answer:
    """The hands of one frame: the frame's stamp and when the message arrived, both in nanoseconds."""

    stamp: int
    arrival: int
    hands: Hands


@dataclasses.dataclass(frozen=True)
class Picture:
    """The undistorted image of one frame, depth (H, W) in metres, 0 invalid, or colours (H, W, 3) in RGB, and its
    camera."""

    stamp: int
    image: np.ndarray
    camera: Pinhole


@dataclasses.dataclass(frozen=True)
class Recording:
    """A stretch of time at a node.

    Attributes:
        sent: stamps of the frames that the camera sent, nanoseconds.
        answers: what the node published.
        truth: the true hands by stamp, of a simulated camera.
        pictures: some of the frames.
        faces: (F, 3) vertex indices of the 'right' and the 'left' mesh, and of the 'object' where the system has any.
        diagnostics: the node's last message on /diagnostics.
        memory_mb: peak resident memory of the node's process, 1e6 bytes.
        cpu: processor time of the node, cores.
        warnings: the faults that the node named on /diagnostics.
        inputs: what the node of the system that it stands on published; none for a system of images.
        true_object_faces: (F, 3) of the true objects; None where they are not known.
    """

    sent: Sequence[int]
    answers: Sequence[Answer]
    truth: Mapping[int, Hands]
    pictures: Sequence[Picture]
    faces: Mapping[str, np.ndarray]
    diagnostics: str
    memory_mb: float
    cpu: float
    warnings: Sequence[str] = ()
    inputs: Sequence[Answer] = ()
    true_object_faces: np.ndarray | None = None

    def hands_at(self, stamp: int) -> Hands:
        """The hands published for a frame; none if it was dropped."""
        answer = self.answer_at(stamp)
        return answer.hands if answer else ()

    def answered(self) -> Recording:
        """The recording with the pictures whose frame was answered; with all of them where none was."""
        pictures = [kept for kept in self.pictures if self.answer_at(kept.stamp)]
        return dataclasses.replace(self, pictures=pictures or self.pictures)

    @property
    def picture_hz(self) -> float:
        """Pictures a second; 1 where there are fewer than two."""
        return _rate([kept.stamp for kept in self.pictures]) if len(self.pictures) > 1 else 1.0

    def answer_at(self, stamp: int) -> Answer | None:
        """What the node published for a frame; None if it was dropped."""
        return next((answer for answer in self.answers if answer.stamp == stamp), None)


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Frames in, messages out, and the latency from an image's stamp to the arrival of its message."""

    frames_in: int
    frames_out: int
    dropped: int
    """Frames without an answer."""
    with_hands: int
    """Answers with at least one hand."""
    input_hz: float
    output_hz: float
    latency_p50_ms: float
    latency_p99_ms: float
    first_third_p50_ms: float
    """Median latency of the first third of the answers; compare with the last third to detect growth."""
    last_third_p50_ms: float


def traffic_of(recording: Recording) -> Traffic:
    """Counts, rates and latencies; NaN where they are undefined."""
    answers = sorted(recording.answers, key=lambda answer: answer.stamp)
    latencies = np.array([(answer.arrival - answer.stamp) / 1e6 for answer in answers])
    # An answered frame was sent, even if the recorder missed it.
    sent = sorted({*recording.sent, *(answer.stamp for answer in answers)})
    third = max(len(answers) // 3, 1)
    return Traffic(
        frames_in=len(sent),
        frames_out=len(answers),
        dropped=len(sent) - len({answer.stamp for answer in answers}),
        with_hands=sum(bool(answer.hands) for answer in answers),
        input_hz=_rate(sent),
        output_hz=_rate([answer.stamp for answer in answers]),
        latency_p50_ms=_percentile(latencies, 50),
        latency_p99_ms=_percentile(latencies, 99),
        first_third_p50_ms=_percentile(latencies[:third], 50),
        last_third_p50_ms=_percentile(latencies[-third:], 50),
    )


@dataclasses.dataclass(frozen=True)
class TruthAgreement:
    """The published hands compared with the true ones, over the answered frames."""

    true_hands: int
    found: int
    """True hands with an estimate within 10 cm (mean joint)."""
    false_hands: int
    """Estimates without a true hand."""
    side_right: int
    """Found hands with the correct side."""
    mean_joint_error_mm: float
    """Over all joints of the found hands; NaN where there are none."""
    mean_relative_joint_error_mm: float
    """The same relative to the wrist."""
    true_objects: int
    """Found hands that hold something."""
    objects_found: int
    """Those with an estimated object."""
    false_objects: int
    """Found hands that hold nothing and have an estimated object."""
    mean_object_error_mm: float
    """Mean distance of the published box centres from the true ones; NaN where there are none."""


def truth_agreement(recording: Recording) -> TruthAgreement:
    """Compares each frame; of several estimates of one hand the nearest counts, the others are false."""
    true_hands = found = false_hands = side_right = true_objects = objects_found = false_objects = 0
    errors: list[float] = []
    relative_errors: list[float] = []
    object_errors: list[float] = []
    for answer in recording.answers:
        if answer.stamp not in recording.truth:
            continue
        pairs, left = matched(recording.truth[answer.stamp], answer.hands)
        for truth, hand in pairs:
            true_hands += 1
            if hand is None:
                continue
            found += 1
            side_right += hand.side == truth.side
            off = hand.joints - truth.joints
            errors.append(_mean_length(off) * 1e3)
            relative_errors.append(_mean_length(off - off[0]) * 1e3)
            true_objects += truth.held is not None
            false_objects += truth.held is None and hand.held is not None
            if truth.held is not None and hand.held is not None:
                objects_found += 1
                if hand.held.has_box:
                    object_errors.append(_mean_length(hand.held.position - truth.held.position) * 1e3)
        false_hands += len(left)
    return TruthAgreement(
        true_hands,
        found,
        false_hands,
        side_right,
        _mean(errors),
        _mean(relative_errors),
        true_objects,
        objects_found,
        false_objects,
        _mean(object_errors),
    )


def matched(truth: Hands, hands: Hands) -> tuple[list[tuple[HandEstimate, HandEstimate | None]], list[HandEstimate]]:
    """Each true hand with its estimate, and the estimates that are left.

    A hand and its estimate are at most 10 cm apart (mean joint); of all such pairs as many as possible are taken, and
    then the nearest ones.
    """
    centres, estimates = (np.array([hand.joints.mean(0) for hand in each]).reshape(-1, 3) for each in (truth, hands))
    gaps = np.linalg.norm(centres[:, None] - estimates, axis=-1)
    rows, columns = linear_sum_assignment(np.where(gaps <= _SAME_HAND, gaps, 1e3))
    found = {row: column for row, column in zip(rows, columns) if gaps[row, column] <= _SAME_HAND}
    pairs = [(true, hands[found[row]] if row in found else None) for row, true in enumerate(truth)]
    return pairs, [hand for column, hand in enumerate(hands) if column not in found.values()]


def _mean_length(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=-1).mean())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _rate(stamps: Sequence[int]) -> float:
    return (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0]) if len(stamps) > 1 else math.nan


def _percentile(values: np.ndarray, share: float) -> float:
    return float(np.percentile(values, share)) if values.size else math.nan
