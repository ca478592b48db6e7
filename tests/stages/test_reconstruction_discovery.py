# SPDX-License-Identifier: Apache-2.0
"""New hands: detections and regions, alignment, confirmation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.stages.parts import hand_proposals
from hoi_ros.stages.parts.hand_finder import FoundHand
from hoi_ros.stages.parts.hand_proposals import WINDOWS
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from training.data.hand_object import HandObjectSample
from training.data.synthetic.rgb_crop_views import ROOM

from .perfect_network import answer_of
from .perfect_network import detection
from .perfect_network import Outputs


def test_a_hand_is_cropped_where_its_joints_are(samples, build) -> None:
    sample = samples['right']
    cuts: list[ViewCrop] = []

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        cuts.append(crop)
        score = 0.9 if np.linalg.norm(crop.centre - true.centre) < 0.1 * true.side else coarse_score[0]
        return answer_of(sample, crop) | {
            'hand': [score],
            'holds': [0.01],
            'right': [0.01 if crop.mirrored else 0.99],
        }

    stage, detector = build(answer)
    true, coarse_score = detection(sample), [0.9]
    detector.whole = sample.image

    def detected(across: float, larger: float) -> DetectedHand:
        return DetectedHand(true.centre + [across * true.side, 0], true.side * larger, 0.9, 0.99, 0.1, None)

    def cropped(stamp: float) -> list[tuple[float, float]]:
        """How far off, in sides, and how much larger than the hand's own square each crop of a frame is."""
        cuts.clear()
        (hand,) = stage(sample.image, sample.camera, stamp)
        np.testing.assert_allclose(hand.joints, sample.keypoints, atol=2e-3)
        return [
            (float(np.linalg.norm(crop.centre - true.centre)) / true.side, crop.side / (ROOM * true.side))
            for crop in cuts
        ]

    # A new hand of a coarse detection is inferred as of both sides, then again where its joints are.
    there, coarse = pytest.approx((0, 1), abs=1e-2), pytest.approx((0.2, 1.25), abs=1e-3)
    detector.hands = [detected(0.2, 1.25)]
    assert cropped(0.0) == [coarse, coarse, there, there]
    # Where the coarse crop does not look like a hand, two others have to.
    stage.reset()
    detector.hands, coarse_score[0] = [detected(0.2, 1.25)], 0.1
    assert cropped(0.5) == [coarse, coarse, there, there, there]
    # A tracked one is cropped there at once.
    assert cropped(0.53) == [pytest.approx((0, 1), abs=1e-2)]
    # Joints that lie far off the detection are confirmed where they are; further off there is no hand.
    stage.reset()
    detector.hands, coarse_score[0] = [detected(0.3, 1.9)], 0.9
    assert cropped(1.0)[2:] == [there, there]
    stage.reset()
    detector.hands = [detected(0.3, 2.7)]
    assert stage(sample.image, sample.camera, 1.5) == []
    # A precise detection is cropped again for the confirmation only.
    stage.reset()
    detector.hands = [detected(0.03, 1.05)]
    assert len(cropped(2.0)) == 4


def test_non_hands_are_not_reported(samples, build) -> None:
    sample, hand_score, inferred = samples['right'], [0.4], []
    stage, detector = build(
        lambda image, crop: inferred.append(crop) or answer_of(sample, crop) | {'hand': hand_score}, sample
    )
    (sure,) = detector.hands
    assert stage(sample.image, sample.camera, 0.0) == []
    # A non-hand takes one batch: it is not cropped again.
    hand_score[0], detector.hands = 0.02, [dataclasses.replace(sure, right=0.5)]
    inferred.clear()
    assert stage(sample.image, sample.camera, 0.1) == [] and len(inferred) == 2
    # The detector's evidence counts half as much: log-odds of 0.2 beside those of 0.9.
    hand_score[0], detector.hands = 0.9, [dataclasses.replace(sure, score=0.2, holds=0.1, held=None)]
    (hand,) = stage(sample.image, sample.camera, 0.2)
    assert hand.held is None and hand.score == pytest.approx(9 / 2 / (9 / 2 + 1))
    stage.reset()
    detector.hands = [dataclasses.replace(sure, score=0.02)]
    assert stage(sample.image, sample.camera, 0.3) == []


def test_what_the_detector_hardly_sees_is_looked_at_now_and_then(samples, build) -> None:
    sample, hand_score = samples['right'], [0.2]
    stage, detector = build(lambda image, crop: answer_of(sample, crop) | {'hand': hand_score}, sample)
    (sure,) = detector.hands
    detector.hands, looks = [dataclasses.replace(sure, score=0.05)], []
    network = stage._observer._network
    stage._observer._network = lambda *given: looks.append(stage._frame if given[2] else 1) or network(*given)
    for frame in range(7):
        assert stage(sample.image, sample.camera, frame / 30) == []
    assert set(looks) == {1, 6}
    hand_score[0] = 0.99
    assert [len(stage(sample.image, sample.camera, frame / 30)) for frame in range(7, 11)] == [0, 0, 0, 1]
    stage.reset()
    assert len(stage(sample.image, sample.camera, 1.0)) == 1


def test_a_small_hand_is_found_in_the_windows_of_the_image(samples, build) -> None:
    """In all of them in the first frame, then in one after the other."""
    sample, scale = samples['right'], 3
    (height, width), corner = sample.image.shape[:2], np.array([1.5, 1.6]) * sample.image.shape[1::-1]
    image = np.zeros((scale * height, scale * width, 3), np.uint8)
    camera = dataclasses.replace(
        sample.camera,
        width=scale * width,
        height=scale * height,
        cx=sample.camera.cx + corner[0],
        cy=sample.camera.cy + corner[1],
    )
    there = dataclasses.replace(sample, camera=camera)
    stage, detector = build(lambda image, crop: answer_of(there, crop) | {'holds': [0.01]})
    true = detection(there)
    detector.whole, detector.hands, detector.smallest = image, [true], 1.2 * true.side / len(image)
    assert 0.6 * 1.2 < 1 and true.side < 0.3 * len(image)
    (hand,) = stage(image, camera, 0.0)
    np.testing.assert_allclose(camera.project(hand.joints), camera.project(sample.keypoints), atol=2)
    assert detector.batches == [WINDOWS, 1]
    stage.reset()
    # Where the whole image shows a clear one, no smaller ones are searched for.
    detector.smallest = 0.0
    assert len(stage(image, camera, 0.0)) == 1 and detector.batches == [WINDOWS, 1, 1]
    detector.smallest = 1.2 * true.side / len(image)
    stage.reset()
    detector.hands = []
    assert stage(image, camera, 1.0) == []
    detector.hands = [true]
    first = next(frame for frame in range(2, 30) if stage(image, camera, 1 + frame / 30))
    assert first == 16


def test_a_dark_hand_is_brightened_for_the_network(samples, build) -> None:
    sample, brightest = samples['right'], []
    dark = (0.2 * sample.image).astype(np.uint8)
    stage, detector = build(lambda image, crop: brightest.append(image.mean()) or answer_of(sample, crop), sample)
    means = []
    for image in (sample.image, dark):
        stage.reset()
        detector.whole = image
        brightest.clear()
        assert len(stage(image, sample.camera, 0.0)) == 1
        means.append(255 * (np.mean(brightest) + 1) / 2)
    assert means[1] > 0.5 * min(means[0], 128)


def test_one_hand_is_not_two(samples, build) -> None:
    """The detector finds two where the network finds one and the same."""
    sample = samples['right']
    stage, detector = build(lambda image, crop: answer_of(sample, crop), sample)
    (sure,) = detector.hands
    detector.hands = [dataclasses.replace(sure, centre=sure.centre + [gap * sure.side, 0]) for gap in (-0.4, 0.4)]
    assert len(stage(sample.image, sample.camera, 0.0)) == 1


def test_a_rejected_candidate_does_not_hide_the_next_one(samples, build) -> None:
    """Of two overlapping candidates the more likely one is a non-hand."""
    sample = samples['right']
    true = detection(sample)
    stage, detector = build(
        lambda image, crop: (
            answer_of(sample, crop)
            | {'hand': [0.01 if crop.centre[0] < true.centre[0] - 0.1 * true.side else 0.9], 'holds': [0.01]}
        ),
        sample,
    )
    beside = dataclasses.replace(true, centre=true.centre - [0.3 * true.side, 0], score=0.9, holds=0.1, held=None)
    detector.hands = [beside, dataclasses.replace(true, score=0.8, holds=0.1, held=None)]
    (hand,) = stage(sample.image, sample.camera, 0.0)
    np.testing.assert_allclose(hand.joints, sample.keypoints, atol=2e-3)


def test_a_new_hand_is_confirmed_where_its_joints_are(samples, build) -> None:
    sample = samples['right']
    true = detection(sample)
    stage, detector = build(
        lambda image, crop: (
            answer_of(sample, crop)
            | {'hand': [0.9 if np.linalg.norm(crop.centre - true.centre) > 0.1 * true.side else 0.1], 'holds': [0.01]}
        )
    )
    detector.whole = sample.image
    detector.hands = [dataclasses.replace(true, centre=true.centre + [0.115 * true.side, 0], holds=0.1, held=None)]
    assert stage(sample.image, sample.camera, 0.0) == []


def test_a_region_places_a_hand_and_gives_its_side(samples, build) -> None:
    sample = samples['right']
    sure = detection(sample)

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        here = np.linalg.norm(crop.centre - sure.centre) < sure.side
        as_given = dataclasses.replace(sample, side='left' if crop.mirrored else 'right')
        return answer_of(as_given, crop) | {'hand': [0.9 if here else 0.01]}

    stage, detector = build(answer, sample)
    detector.hands = []
    near = Region(*(sure.centre - sure.side / 2), sure.side, sure.side, 'right')
    (hand,) = stage(sample.image, sample.camera, 0.0, None, [near])
    assert hand.side == 'right'
    stage.reset()
    for frame in range(9):  # the given side holds as long as the hand is tracked
        left = dataclasses.replace(near, side='left')
        (hand,) = stage(sample.image, sample.camera, frame / 30, None, [left])
        assert hand.side == 'left' and hand.side_score > 0.99
    stage.reset()
    assert stage(sample.image, sample.camera, 0.1, None, [Region(0, 0, 10, 10)]) == []
    assert stage(sample.image, sample.camera, 0.2, None, []) == []


def test_every_region_is_a_candidate(samples, build) -> None:
    sample = samples['right']
    true = detection(sample)

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        here = np.linalg.norm(crop.centre - true.centre) < true.side
        return answer_of(sample, crop) | {'hand': [0.9 if here else 0.01]}

    stage, detector = build(answer, sample, max_hands=1)
    detector.hands = []
    hand = Region(*(true.centre - true.side / 2), true.side, true.side)
    others = [Region(0, 0, 20, 20), Region(180, 180, 20, 20), Region(0, 180, 20, 20), Region(90, 90, 0, 0)]
    assert len(stage(sample.image, sample.camera, 0.0, None, [*others, hand])) == 1


def test_a_region_is_tried_although_the_detector_sees_a_part_of_it(samples, build) -> None:
    sample = samples['right']
    true = detection(sample)

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        whole = crop.side > 0.6 * true.side and np.linalg.norm(crop.centre - true.centre) < 0.3 * true.side
        return answer_of(sample, crop) | {'hand': [0.9 if whole else 0.01]}

    stage, detector = build(answer, sample)
    corner = true.centre + 0.3 * true.side
    detector.hands = [dataclasses.replace(true, centre=corner, side=0.3 * true.side, score=0.4)]
    region = Region(*(true.centre - true.side / 2), true.side, true.side)
    assert len(stage(sample.image, sample.camera, 0.0, None, [region])) == 1


def test_a_hand_that_only_depth_shows_is_found(samples, build, monkeypatch) -> None:
    sample = samples['right']
    centre = sample.keypoints.mean(0)
    asked = []

    def find(depth: np.ndarray, *_: object) -> list[FoundHand]:
        asked.append(depth.shape)
        return [FoundHand(centre, 0.7), FoundHand(centre + [0.02, 0, 0], 0.3)]

    monkeypatch.setattr(hand_proposals, 'HandFinder', lambda *_: find)
    stage, detector = build(lambda image, crop: answer_of(sample, crop) | {'hand': [0.9], 'holds': [0.01]})
    detector.whole = sample.image
    depth = depth_of(sample)
    assert stage(sample.image, sample.camera, 0.0) == [] and not asked
    (hand,) = stage(sample.image, sample.camera, 0.1, depth)
    np.testing.assert_allclose(hand.joints, sample.keypoints, atol=0.01)
    assert hand.located_by == 'depth' and asked == [depth.shape]
    # Colours that hardly show it, or show it in the whole image only, do not deny it.
    for far, near in ((0.05, 0.05), (0.8, 0.05), (0.8, 0.0)):
        stage.reset()
        detector.hands = []
        assert stage(sample.image, sample.camera, 0.0) == []
        detector.hands = [dataclasses.replace(detection(sample), score=far)]
        again = [[dataclasses.replace(detection(sample), score=near)] if near else []]
        monkeypatch.setattr(detector, 'batch', lambda images, *_, again=again: again * len(images))
        assert len(stage(sample.image, sample.camera, 0.1, depth)) == 1


def test_a_hand_that_depth_contradicts_is_none_and_takes_no_place(samples, build, monkeypatch) -> None:
    """The surer detection is of a hand that would be half as large as hands are at the distance of the wall."""
    sample = samples['right']
    true = detection(sample)
    away = np.array(sample.image.shape[1::-1]) * 0.85
    assert np.linalg.norm(away - true.centre) > 0.75 * true.side
    false = DetectedHand(away, true.side, 0.95, 0.99, 0.1, None)
    monkeypatch.setattr(hand_proposals, 'HandFinder', lambda *_: lambda *_: [])

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        there = np.linalg.norm(crop.centre - true.centre) < 0.4 * true.side
        said = {'hand': [0.99 if not there else 0.9], 'holds': [0.01]}
        if there:
            return answer_of(sample, crop) | said
        # The same hand in the middle of its crop, as far away as its size in the image says.
        return answer_of(sample, ViewCrop(sample.camera, true.centre, crop.side, crop.turn, crop.mirrored)) | said

    stage, detector = build(answer, max_hands=1)
    detector.whole, detector.hands = sample.image, [false, true]
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert np.linalg.norm(hand.joints - sample.keypoints, axis=1).min() > 0.05, 'without depth it is believed'
    stage.reset()
    shown = depth_of(sample)
    wall = np.where(shown > 0, shown, np.float32(0.5 * sample.keypoints[:, 2].mean()))
    (hand,) = stage(sample.image, sample.camera, 0.0, wall)
    np.testing.assert_allclose(hand.joints, sample.keypoints, atol=0.01)


def depth_of(sample: HandObjectSample) -> np.ndarray:
    """The depth (H, W) of a sample's hand alone, 0 beside it."""
    camera = sample.camera
    rows, columns = np.mgrid[: camera.height, : camera.width]
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(rows.shape)], -1)
    faces = HandModel.load().faces if sample.side == 'right' else HandModel.load().faces[:, ::-1]
    reach = TriangleScene(sample.hand_vertices, faces).cast(np.zeros(3), rays).reach
    return np.where(np.isfinite(reach), reach, 0).astype(np.float32)
