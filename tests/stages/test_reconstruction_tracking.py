# SPDX-License-Identifier: Apache-2.0
"""Tracking of hands from frame to frame: identity, side, place, and when a hand is given up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.stages.parts.hand_square import HandSquare
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from training.data.hand_object import HandObjectSample
from training.data.synthetic.rgb_crop_views import ROOM

from .perfect_network import answer_of
from .perfect_network import detection
from .perfect_network import Outputs
from .perfect_network import planted_stage


def empty_handed(sample: HandObjectSample) -> DetectedHand:
    return dataclasses.replace(detection(sample), holds=0.1, held=None)


def test_a_hand_keeps_its_identity_and_its_side(samples, build) -> None:
    sample, said = samples['right'], {'right': [0.95], 'hand': [0.9]}
    stage, detector = build(lambda image, crop: answer_of(sample, crop) | said, sample)
    identities = []
    for frame, right in enumerate([0.95, 0.95, 0.2, 0.95]):  # in one frame it looks like a left hand
        said['right'] = [right]
        (hand,) = stage(sample.image, sample.camera, frame / 30)
        assert hand.side == 'right'
        identities.append(hand.track_id)
    assert len(set(identities)) == 1
    said['hand'] = [0.3]
    (hand,) = stage(sample.image, sample.camera, 4 / 30)  # too low for a new hand, enough for a tracked one
    assert hand.track_id == identities[0] and hand.score == pytest.approx(0.3)
    # The detector, which runs where the network is unsure, does not find it either.
    detector.hands, said['hand'] = [], [0.02]
    assert [stage(sample.image, sample.camera, frame / 30) for frame in (5, 6, 7)] == [[]] * 3
    detector.hands, said['hand'] = [detection(sample)], [0.9]
    (hand,) = stage(sample.image, sample.camera, 8 / 30)
    assert hand.track_id != identities[0]


def test_a_hand_that_jumps_is_detected_again(samples, build) -> None:
    sample, reached = samples['right'], []
    true = detection(sample)

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        reached.append(float(np.linalg.norm(crop.centre - true.centre)) / true.side < 0.6)
        return answer_of(sample, crop) | {'hand': [0.9 if reached[-1] else 0.02], 'holds': [0.01]}

    stage, detector = build(answer, sample)
    detector.hands = [dataclasses.replace(true, holds=0.1)]
    (hand,) = stage(sample.image, sample.camera, 0.0)
    (track,) = stage._tracks
    track.square = track.square._replace(centre=track.square.centre + [0.7 * track.square.side, 0])
    (again,) = stage(sample.image, sample.camera, 1 / 30)
    assert again.track_id == hand.track_id and not all(reached)
    np.testing.assert_allclose(again.joints, hand.joints, atol=2e-3)


def test_the_side_is_that_of_the_crop_that_looks_like_a_right_hand(samples, build) -> None:
    """Where the detector is unsure, a new hand is inferred as of both sides, and the evidence of the frames adds up."""
    sample = samples['left']
    crops, looks = [], {}

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        crops.append(image)
        return {**answer_of(sample, crop), 'right': [looks.get(crop.mirrored, 0.9)]}

    stage, detector = build(answer, sample)
    detector.hands = [dataclasses.replace(detection(sample), score=0.9, right=0.5)]
    (hand,) = stage(sample.image, sample.camera, 0.5)
    assert hand.side_score == 0.5  # both look alike: a guess
    np.testing.assert_allclose(crops[0], crops[1][..., ::-1], atol=0.15)
    # A tracked hand is inferred as of both sides until its side is sure.
    for right, side, inferred in ((0.97, 'right', 1), (0.3, 'left', 2), (0.03, 'left', 1)):
        looks.update({False: right, True: 1 - right})
        stage.reset()
        (hand,) = stage(sample.image, sample.camera, 1.0)
        assert hand.side == side and hand.side_score > 0.8
        before = len(crops)
        (hand,) = stage(sample.image, sample.camera, 1.03)
        assert hand.side == side and len(crops) == before + inferred


def test_each_frame_counts_once_for_the_side(samples, build) -> None:
    """Also where a hand is inferred twice; the least likely hands keep the side that they were inferred as."""
    sample, said = samples['left'], {'hand': [0.9]}
    true = dataclasses.replace(empty_handed(sample), right=0.5)
    stage, detector = build(
        lambda image, crop: (
            answer_of(sample, crop) | {'holds': [0.01], 'hand': said['hand'], 'right': [0.9 if crop.mirrored else 0.1]}
        )
    )
    detector.hands, detector.whole = [true], sample.image
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert hand.side == 'left'
    odds = np.log(9)
    (track,) = stage._tracks
    assert track.side_evidence == pytest.approx(-2 * odds)
    for frame in range(1, 6):
        before = track.side_evidence
        track.square = track.square._replace(side=0.55 * track.square.side)  # the detector disagrees when it runs
        (hand,) = stage(sample.image, sample.camera, frame / 30)
        inferred = 2 if abs(0.9 * before) < 4 else 1
        assert track.side_evidence == pytest.approx(0.9 * before - inferred * odds) and hand.side == 'left'
    track.side_evidence, said['hand'], stage.min_score = -2.0, [0.08], 0.1
    (hand,) = stage(sample.image, sample.camera, 6 / 30)
    assert hand.side == 'left' and hand.score < 0.1


def test_a_side_that_flips_is_inferred_as_the_other(samples, build) -> None:
    sample, looks = samples['right'], {False: 0.99, True: 0.01}
    stage, _ = build(lambda image, crop: answer_of(sample, crop) | {'right': [looks[crop.mirrored]]}, sample)
    stage(sample.image, sample.camera, 0.0)
    (track,) = stage._tracks
    track.side_evidence = 4.5  # sure, but less so than one frame that speaks against it
    looks.update({False: 0.01, True: 0.99})
    (hand,) = stage(sample.image, sample.camera, 1 / 30)
    assert hand.side == 'left' and stage._tracks[0].prediction.crop.mirrored


def test_a_hand_that_drifted_to_a_part_of_it_is_found_again(samples, build) -> None:
    """Joints in a small square look like a hand, too; the detector corrects their size every few frames."""
    sample = samples['right']
    true = empty_handed(sample)

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        outputs = answer_of(sample, crop) | {'holds': [0.01], 'hand': [0.9]}
        if crop.side < 0.6 * ROOM * true.side:
            outputs |= {'place': outputs['place'] + [0, 0, 1.2], 'hand': [0.8]}
        return outputs

    stage, detector = build(answer)
    detector.hands, detector.whole = [true], sample.image
    stage(sample.image, sample.camera, 0.0)
    (track,) = stage._tracks
    track.square = track.square._replace(side=0.3 * track.square.side)
    sides = []
    for frame in range(1, 6):
        (hand,) = stage(sample.image, sample.camera, frame / 30)
        sides.append(stage._tracks[0].square.side / true.side)
    assert sides[0] < 0.4 and sides[-1] == pytest.approx(1, abs=0.02) and hand.track_id == track.identity


def test_a_hand_that_leaves_the_image_is_given_up(samples, build) -> None:
    """Even by a network that finds it everywhere, and whatever score is asked for."""
    sample, said = samples['right'], {}
    stage, detector = build(lambda image, crop: answer_of(sample, crop) | said, sample, min_score=0.0)
    stage(sample.image, sample.camera, 0.0)
    (track,) = stage._tracks
    detector.hands, track.square = [], track.square._replace(centre=np.array([-90.0, 100.0]))
    assert stage(sample.image, sample.camera, 1 / 30) == []
    detector.hands = [detection(sample)]
    assert len(stage(sample.image, sample.camera, 2 / 30)) == 1
    detector.hands, said['hand'] = [], [0.005]
    assert stage(sample.image, sample.camera, 3 / 30) == []


def test_a_hand_that_a_frame_or_two_do_not_show_keeps_its_identity(samples, build) -> None:
    sample, said = samples['right'], {'hand': [0.99]}
    stage, _ = build(lambda image, crop: answer_of(sample, crop) | said, sample)

    def seen(frame: int, score: float) -> list[int]:
        said['hand'] = [score]
        return [hand.track_id for hand in stage(sample.image, sample.camera, frame / 30)]

    (identity,) = seen(0, 0.99)
    assert seen(1, 0.01) == seen(2, 0.01) == []
    assert seen(3, 0.99) == [identity]
    assert [seen(frame, 0.01) for frame in range(4, 7)] == [[]] * 3
    assert seen(7, 0.99) == [identity + 1]


def test_a_hand_that_waits_keeps_its_place(samples, monkeypatch) -> None:
    scores = [0.99, 0.99]
    sample, image, camera, answer = two_hands(samples, scores)
    width = sample.image.shape[1]
    stage, detector, _ = planted_stage(monkeypatch, answer, np.zeros((1, 3), int), np.arange(3), max_hands=1)
    first = dataclasses.replace(empty_handed(sample), score=0.9)
    second = dataclasses.replace(first, centre=first.centre + [width, 0], score=0.8)
    detector.hands, detector.whole = [first, second], image
    (hand,) = stage(image, camera, 0.0)
    scores[0] = 0.01
    assert stage(image, camera, 1 / 30) == []
    scores[0] = 0.99
    assert {one.track_id for n in range(2, 9) for one in stage(image, camera, n / 30)} == {hand.track_id}
    scores[0] = 0.01
    assert [len(stage(image, camera, n / 30)) for n in range(9, 12)] == [0, 0, 1]
    # Two are reported in the order of their tracks, whichever waited.
    stage.max_hands, scores[0] = 2, 0.99
    ids = [[one.track_id for one in stage(image, camera, n / 30)] for n in range(12, 24)]
    assert len(ids[-1]) == 2
    for score in (0.01, 0.99):
        scores[1] = score
        ids.append([one.track_id for one in stage(image, camera, (12 + len(ids)) / 30)])
    assert ids[-1] == ids[-3] == sorted(ids[-1]) and len(ids[-2]) == 1


def test_a_lost_hand_that_the_search_finds_is_the_same_one(samples, build) -> None:
    sample, said = samples['right'], {'holds': [0.01], 'hand': [0.99]}
    true = empty_handed(sample)
    stage, detector = build(lambda image, crop: answer_of(sample, crop) | said)
    detector.hands, detector.whole = [true], sample.image
    (hand,) = stage(sample.image, sample.camera, 0.0)
    (track,) = stage._tracks
    near, said['hand'] = stage._propose.near, [0.01]

    def nothing_at_first(image: np.ndarray, squares: list[HandSquare]) -> list[DetectedHand | None]:
        stage._propose.near, said['hand'] = near, [0.99]
        return [None for _ in squares]

    stage._propose.near = nothing_at_first
    (again,) = stage(sample.image, sample.camera, 1 / 30)
    assert again.track_id == hand.track_id and stage._tracks[0] is not track
    assert len(stage(sample.image, sample.camera, 2 / 30)) == 1


def test_a_weak_hand_does_not_jump_to_its_neighbour(samples, monkeypatch) -> None:
    """Which lies near enough to be what the detector finds about it."""
    sample = samples['right']
    true = dataclasses.replace(empty_handed(sample), score=0.9)
    step, scores = 0.65 * true.side, [0.9, 0.99]
    middle = true.centre[0] + step / 2

    def answer(pixels: np.ndarray, crop: ViewCrop) -> Outputs:
        other = crop.centre[0] > middle
        moved = dataclasses.replace(sample.camera, cx=sample.camera.cx + (step if other else 0))
        shown = answer_of(sample, dataclasses.replace(crop, camera=moved))
        return shown | {'holds': [0.01], 'hand': [scores[int(other)]]}

    stage, detector, _ = planted_stage(monkeypatch, answer, np.zeros((1, 3), int), np.arange(3))
    beside = dataclasses.replace(true, centre=true.centre + [step, 0])
    detector.hands, detector.whole = [true, beside], sample.image
    assert len(stage(sample.image, sample.camera, 0.0)) == 2
    detector.hands, scores[0] = [beside], 0.6
    assert [len(stage(sample.image, sample.camera, n / 30)) for n in range(1, 12)] == [2] * 11


def test_a_doubtful_hand_gives_way_to_a_sure_one(samples, monkeypatch) -> None:
    scores = [0.9, 0.99]
    sample, image, camera, answer = two_hands(samples, scores)
    width = sample.image.shape[1]
    stage, detector, _ = planted_stage(monkeypatch, answer, np.zeros((1, 3), int), np.arange(3), max_hands=1)
    first = dataclasses.replace(empty_handed(sample), score=0.9)
    detector.hands, detector.whole = [first], image
    (hand,) = stage(image, camera, 0.0)
    assert hand.joints[0, 0] < sample.keypoints[0, 0] + 0.01
    detector.hands = [
        dataclasses.replace(first, score=0.5),
        dataclasses.replace(first, centre=first.centre + [width, 0]),
    ]
    assert {hand.track_id for n in range(1, 11) for hand in stage(image, camera, n / 30)} == {hand.track_id}
    scores[0] = 0.35
    found = [stage(image, camera, n / 30)[0] for n in range(11, 21)]
    assert found[0].track_id == hand.track_id != found[-1].track_id and {len(found)} == {10}
    np.testing.assert_allclose(
        camera.project(found[-1].joints).mean(0)[0] - width, camera.project(hand.joints).mean(0)[0], atol=3
    )


def two_hands(samples, scores=None):
    """A sample, its image twice side by side, the camera of that, and what the network answers in it; `scores` of the
    left and the right one are read at each answer."""
    sample = samples['right']
    width = sample.image.shape[1]

    def answer(pixels: np.ndarray, crop: ViewCrop) -> Outputs:
        second = bool(crop.centre[0] >= width)
        moved = dataclasses.replace(sample.camera, cx=sample.camera.cx + (width if second else 0))
        shown = dataclasses.replace(crop, camera=moved)
        said = {'holds': [0.01], 'right': [0.01 if crop.mirrored else 0.99]}
        return answer_of(sample, shown) | said | ({'hand': [scores[second]]} if scores else {})

    image = np.concatenate([sample.image, sample.image], 1)
    return sample, image, dataclasses.replace(sample.camera, width=2 * width), answer


def test_all_hands_of_a_frame_are_inferred_in_one_batch(samples, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hands side by side share the two views; the hand of unsure side is inferred as of both."""
    sample, image, camera, answer = two_hands(samples)
    width = sample.image.shape[1]
    stage, detector, engine = planted_stage(monkeypatch, answer, np.zeros((1, 3), int), np.arange(3), views=2)
    first = dataclasses.replace(empty_handed(sample), score=0.9)
    second = dataclasses.replace(first, centre=first.centre + [width, 0])
    detector.hands, detector.whole = [first, second], image
    assert len(stage(image, camera, 0.0)) == 2
    assert engine.calls[0] == 4  # both sides of both hands
    for track in stage._tracks:
        track.square = track.square._replace(side=track.square.side * 1.01)
    engine.calls.clear()
    assert len(stage(image, camera, 1 / 30)) == 2 and engine.calls[0] == 2
    stage._tracks[1].side_evidence = 1.0
    engine.calls.clear()
    assert len(stage(image, camera, 2 / 30)) == 2 and engine.calls[0] == 3
    stage._tracks.pop()
    stage.max_hands = 1
    engine.calls.clear()
    assert len(stage(image, camera, 3 / 30)) == 1 and engine.calls[0] == 2
