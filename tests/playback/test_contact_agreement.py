# SPDX-License-Identifier: Apache-2.0
"""Contact of a recording against the truth: figures, tables, pictures, JSON and words."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.playback.contact_agreement import contact_agreement
from hoi_ros.playback.contact_agreement import TouchMeasure
from hoi_ros.playback.contact_results import touching_words
from hoi_ros.playback.pictures import draw_picture
from hoi_ros.playback.recording import Answer
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.results import hand_record
from hoi_ros.playback.tables import agreement_rows
from hoi_ros.playback.tables import input_rows
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import Can
from hoi_ros.systems import SYSTEMS

SYSTEM = SYSTEMS['contact']
CAMERA = Pinhole(160, 120, 150.0, 150.0, 79.5, 59.5)
OFF = np.array([0, 0, 0.012], np.float32)
"""What the object of a given hand is off by, and half of what its joints are off by, metres."""


@pytest.fixture(scope='module')
def motion():
    return HandMotion(HandModel.load(), 'right', 0, 8.0, 0.0, Can())


def published(true, measure):
    """The true hand with its contact as a node publishes it, without the little finger."""
    touch = measure(true)
    fingers = np.flatnonzero(touch.fingers[:4])
    points = np.zeros((len(fingers), 3))
    contact = ContactEstimate(
        0.9 * touch.vertices.astype(np.float32),
        np.zeros(len(true.held.vertices), np.float32),
        points,
        points,
        fingers,
        0.001,
        2e-6,
    )
    return dataclasses.replace(true, contact=contact)


@pytest.fixture(scope='module')
def recording(motion):
    """Four frames of a true hand with a can, of which one was answered with no hand and one not at all."""
    faces = {'right': motion.model.faces, 'left': motion.model.mirrored().faces, 'object': motion.object_faces}
    measure = TouchMeasure(faces, motion.object_faces)
    stamps = [10**9 + 33_333_333 * number for number in range(4)]
    truth = {stamp: (motion(number / 30),) for number, stamp in enumerate(stamps)}
    given = {}
    for stamp, (hand,) in truth.items():
        held = dataclasses.replace(hand.held, vertices=hand.held.vertices + OFF)
        given[stamp] = dataclasses.replace(hand, held=held, joints=hand.joints + 2 * OFF, vertices=hand.vertices)
    answers = [Answer(stamp, stamp + 9_000_000, (published(truth[stamp][0], measure),)) for stamp in stamps[:2]]
    answers.append(Answer(stamps[2], stamps[2] + 9_000_000, ()))
    return Recording(
        stamps,
        answers,
        truth,
        [
            Picture(stamp, np.full((120, 160, 3), 90, np.uint8), Pinhole(160, 120, 150, 150, 79.5, 59.5))
            for stamp in stamps
        ],
        faces,
        'running',
        200,
        0.5,
        inputs=[Answer(stamp, stamp + 5_000_000, (hand,)) for stamp, hand in given.items()],
        true_object_faces=motion.object_faces,
    )


def test_what_touches_before_and_after_is_compared_with_the_truth(recording):
    agreement = contact_agreement(recording)
    before, after = agreement.before, agreement.after
    assert (agreement.hands, agreement.with_contact) == (2, 2)
    assert after.vertex_f1 == 1.0 and after.joint_error_mm == pytest.approx(0, abs=1e-4)
    # All fingers truly touch, and the little finger is not published.
    assert after.fingers_right == pytest.approx(0.8) and after.finger_f1 == pytest.approx(8 / 9)
    assert 0.1 < before.vertex_f1 < 0.9 and before.joint_error_mm == pytest.approx(24, abs=1e-3)
    assert after.intersection_cm3 == pytest.approx(2.0)
    assert before.intersection_cm3 > 2 * agreement.true_intersection_cm3 > 0


def test_a_hand_without_contact_touches_nothing(recording):
    silent = [
        dataclasses.replace(answer, hands=[dataclasses.replace(hand, contact=None) for hand in answer.hands])
        for answer in recording.answers
    ]
    agreement = contact_agreement(dataclasses.replace(recording, answers=silent))
    assert (agreement.hands, agreement.with_contact) == (2, 0)
    assert agreement.after.vertex_f1 == agreement.after.finger_f1 == 0 and np.isnan(agreement.after.intersection_cm3)


def test_the_table_has_what_was_given_and_what_is_published(recording):
    rows = dict(input_rows(recording, SYSTEM) + agreement_rows(recording, SYSTEM, False))
    assert rows['reconstruction'] == '4 (30.0 a second), p50 5.0 ms, p99 5.0 ms'
    assert rows['contact found'] == '100.0 % of the hands with objects'
    assert rows['touched vertices'].endswith('→ 1.00') and rows['touching fingers'].endswith('→ 80 %')
    assert rows['joint error'] == '24.0 → 0.0 mm' and '→ 2.00 cm³, in truth ' in rows['intersection']
    # Recorded images have no truth.
    rows = dict(agreement_rows(dataclasses.replace(recording, truth={}), SYSTEM, True))
    assert rows['contact found'] == '100.0 % of the hands with objects, 4.0 fingers and palms a hand'
    assert rows['intersection'].endswith('→ 2.00 cm³') and 'truth' not in rows['intersection']


def test_the_truth_is_drawn_below_and_open_hands_beside(recording, tmp_path):
    draw_picture(recording.answered(), tmp_path / 'stage.png')
    assert cv2.imread(str(tmp_path / 'stage.png')).shape == (240, 160 + 90, 3)
    draw_picture(dataclasses.replace(recording, true_object_faces=None), tmp_path / 'stage.png')
    assert cv2.imread(str(tmp_path / 'stage.png')).shape == (120, 160 + 90, 3)


def test_answered_pictures_and_their_rate(recording):
    answered = recording.answered()
    assert [kept.stamp for kept in answered.pictures] == [answer.stamp for answer in recording.answers]
    assert answered.picture_hz == pytest.approx(30, rel=1e-6)
    unanswered = dataclasses.replace(recording, answers=[]).answered()
    assert len(unanswered.pictures) == 4
    assert dataclasses.replace(recording, pictures=recording.pictures[:1]).picture_hz == 1


def grasp():
    centroids = np.full((5, 3), np.nan)
    centroids[:2] = 0.25
    return GraspEstimate(
        'precision',
        0.75,
        np.zeros(3),
        np.array([0, 0, 0, 1.0]),
        np.full(3, np.nan),
        np.full(4, np.nan),
        np.full(3, np.nan),
        np.full(7, np.nan),
        np.array([0, 0, 1.0]),
        0.04,
        np.array([True, True, False, False, False]),
        centroids,
        centroids,
        0.25,
    )


def test_contact_and_grasp_as_json_and_as_words(recording):
    hand = dataclasses.replace(recording.answers[0].hands[0], grasp=grasp())
    record = json.loads(json.dumps(hand_record(hand, False, True), allow_nan=False))
    assert record['fingers'] == [True] * 4 + [False] and record['palm'] is False
    assert record['penetration'] == 0.001 and record['intersection'] == 2.0 and 'hand_contact' not in record
    assert record['grasp']['type'] == 'precision' and record['grasp']['aperture'] == 0.04
    assert record['grasp']['wrist_in_object'] == {'position': [None] * 3, 'orientation': [None] * 4}
    assert record['grasp']['centroids'] == [[0.25] * 3] * 2 + [[None] * 3] * 3
    assert len(hand_record(hand, True, True)['hand_contact']) == len(hand.vertices)
    assert touching_words(hand) == ', touches it with thumb, index, middle and ring, precision grasp'
    contact = dataclasses.replace(hand.contact, fingers=np.zeros(0, int), intersection=np.nan)
    assert touching_words(dataclasses.replace(hand, contact=contact, grasp=None)) == ', does not touch it'
    assert hand_record(dataclasses.replace(hand, contact=contact), False, True)['intersection'] is None
    without = dataclasses.replace(hand, contact=None)
    assert 'fingers' not in hand_record(without, False, True) and touching_words(without) == ''
