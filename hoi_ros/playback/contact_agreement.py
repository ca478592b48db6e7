# SPDX-License-Identifier: Apache-2.0
"""Contact of a recording compared with the simulated truth, before and after the refinement. Knows no ROS."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.contact import touched
from hoi_ros.mesh.volumes import grid_volume
from hoi_ros.playback.recording import Answer
from hoi_ros.playback.recording import Hands
from hoi_ros.playback.recording import matched
from hoi_ros.playback.recording import Recording
from hoi_ros.stages.parts.contact_points import PALM
from hoi_ros.stages.parts.contact_points import parts_of_vertices
from hoi_ros.stages.parts.contact_points import TOUCHED
from hoi_ros.stages.parts.contact_points import touching_fingers
from hoi_ros.stages.parts.contact_points import VOXEL

_MOST = 120
"""Frames that are measured, evenly spaced."""
_CM3 = 1e6


@dataclasses.dataclass(frozen=True)
class Touch:
    """Where a hand touches what it holds, and how far both intersect.

    Attributes:
        vertices: (V,) bool, of the hand.
        fingers: (5,) bool, thumb to little finger.
        intersection: cm³ on voxels of 5 mm; NaN without an object that has an inside.
    """

    vertices: np.ndarray
    fingers: np.ndarray
    intersection: float


@dataclasses.dataclass(frozen=True)
class Figures:
    """How well the hands of one node touch; NaN where nothing is known."""

    vertex_f1: float
    """F1 of the vertices that touch, all hands together."""
    finger_f1: float
    """F1 of the fingers that touch, all hands together."""
    fingers_right: float
    """Share of the fingers for which it is right whether they touch."""
    joint_error_mm: float
    intersection_cm3: float
    """Mean of the hands of which it is known as given, as published and in truth: with contact, and with an object that
    has an inside."""


@dataclasses.dataclass(frozen=True)
class ContactAgreement:
    """The published contact, and that of the hands that the node was given, compared with the truth.

    A vertex truly touches if it is inside the true object or within 4 mm of it, and a finger if two of its vertices do.
    Given hands and objects touch likewise. Of a published hand, a vertex touches if its contact is at least 0.4, and a
    finger if it has a contact point. A hand without an object, or without contact, touches nothing.
    """

    hands: int
    """Found hands that truly hold something, of the measured frames."""
    with_contact: int
    """Those whose contact is published."""
    before: Figures
    after: Figures
    true_intersection_cm3: float


class TouchMeasure:
    """Measures where hands and objects touch, from their distance.

    Args:
        faces: (F, 3) of the 'right' and the 'left' hand.
        object_faces: (F, 3) of the objects.
    """

    def __init__(self, faces: Mapping[str, np.ndarray], object_faces: np.ndarray) -> None:
        self._parts = parts_of_vertices(HandModel.load())
        self._closed = {side: close_holes(faces[side]) for side in ('right', 'left')}
        self._object_faces = object_faces

    def __call__(self, hand: HandEstimate) -> Touch:
        """Of a hand with its mesh."""
        held = hand.held
        if held is None or not len(held.vertices):
            return Touch(np.zeros(len(hand.vertices), bool), np.zeros(PALM, bool), math.nan)
        touches, volume = touched(hand.vertices, held.vertices, self._object_faces), math.nan
        if is_closed(held.vertices, self._object_faces):
            volume = grid_volume(hand.vertices, self._closed[hand.side], held.vertices, self._object_faces, VOXEL)
        fingers = touching_fingers(touches, self._parts)
        return Touch(touches, fingers, volume * _CM3)


def published_touch(hand: HandEstimate) -> Touch:
    """What a published contact says; nothing touches without one."""
    contact = hand.contact
    if contact is None:
        return Touch(np.zeros(len(hand.vertices), bool), np.zeros(PALM, bool), math.nan)
    return Touch(contact.hand >= TOUCHED, np.isin(np.arange(PALM), contact.fingers), contact.intersection * _CM3)


def true_contact(hand: HandEstimate, measure: TouchMeasure) -> HandEstimate:
    """A true hand with its contact, to draw it: 1 where a vertex touches, and nothing about the object."""
    if hand.held is None:
        return hand
    nowhere = np.zeros((0, 3))
    touch = measure(hand)
    contact = ContactEstimate(
        touch.vertices.astype(np.float32),
        np.zeros(len(hand.held.vertices), np.float32),
        nowhere,
        nowhere,
        np.zeros(0, int),
        math.nan,
        touch.intersection / _CM3,
    )
    return dataclasses.replace(hand, contact=contact)


def contact_agreement(recording: Recording) -> ContactAgreement:
    """Compares at most 120 of the frames of which the truth and the given hands are known.

    Raises:
        ValueError: the triangles of the true objects are not known.
    """
    if recording.true_object_faces is None:
        raise ValueError('the triangles of the true objects are not known: record `~/mesh_topology` of the camera')
    measure = TouchMeasure(recording.faces, recording.faces['object'])
    measure_truth = TouchMeasure(recording.faces, recording.true_object_faces)
    triples = [
        (true, given, hand)
        for answer, inputs in _measured(recording)
        for true, hand in matched(recording.truth.get(answer.stamp, ()), answer.hands)[0]
        if hand is not None and true.held is not None and (given := _same(hand, inputs)) is not None
    ]
    truths = [measure_truth(true) for true, _, _ in triples]
    before = [measure(given) for _, given, _ in triples]
    after = [published_touch(hand) for _, _, hand in triples]
    volumes = np.array([[touch.intersection for touch in each] for each in (before, after, truths)])
    known = volumes[:, np.isfinite(volumes).all(0)]
    given_cm3, published_cm3, true_cm3 = (_mean(each.tolist()) for each in known)
    return ContactAgreement(
        len(triples),
        sum(hand.contact is not None for _, _, hand in triples),
        _figures(truths, before, [_joint_error(true, given) for true, given, _ in triples], given_cm3),
        _figures(truths, after, [_joint_error(true, hand) for true, _, hand in triples], published_cm3),
        true_cm3,
    )


def intersections(recording: Recording) -> tuple[float, float]:
    """Mean intersection of hands and objects as they were given and as they are published, cm³, of at most 120 frames;
    of the hands with contact, NaN without any."""
    measure = TouchMeasure(recording.faces, recording.faces['object'])
    pairs = [
        (measure(given).intersection, published_touch(hand).intersection)
        for answer, inputs in _measured(recording)
        for hand in answer.hands
        if hand.contact is not None and (given := _same(hand, inputs)) is not None
    ]
    return _mean([before for before, _ in pairs]), _mean([after for _, after in pairs])


def _measured(recording: Recording) -> list[tuple[Answer, Hands]]:
    """Answers and the hands that the node was given, at most 120, evenly spaced."""
    inputs = {answer.stamp: answer.hands for answer in recording.inputs}
    known = [(answer, inputs[answer.stamp]) for answer in recording.answers if answer.stamp in inputs]
    return known[:: max(1, math.ceil(len(known) / _MOST))]


def _same(hand: HandEstimate, hands: Hands) -> HandEstimate | None:
    """The hand of the same track."""
    return next((each for each in hands if each.track_id == hand.track_id), None)


def _figures(
    truths: Sequence[Touch], found: Sequence[Touch], errors_mm: Sequence[float], intersection_cm3: float
) -> Figures:
    if not truths:
        return Figures(*[math.nan] * 5)
    (vertices, fingers), (true_vertices, true_fingers) = (
        (np.concatenate([touch.vertices for touch in touches]), np.concatenate([touch.fingers for touch in touches]))
        for touches in (found, truths)
    )
    return Figures(
        _f1(vertices, true_vertices),
        _f1(fingers, true_fingers),
        float((fingers == true_fingers).mean()),
        _mean(errors_mm),
        intersection_cm3,
    )


def _f1(found: np.ndarray, truth: np.ndarray) -> float:
    """Harmonic mean of precision and recall; NaN where nothing is found nor true."""
    either = int(found.sum() + truth.sum())
    return 2 * int((found & truth).sum()) / either if either else math.nan


def _joint_error(true: HandEstimate, hand: HandEstimate) -> float:
    """Mean distance of the joints, mm."""
    return float(np.linalg.norm(hand.joints - true.joints, axis=1).mean()) * 1e3


def _mean(values: Sequence[float]) -> float:
    """Of the values that are known."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
