# SPDX-License-Identifier: Apache-2.0
"""The geometry of the stage's estimates against the generator's truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.resources import ResourceError
from hoi_ros.stages.parts import reconstruction_network
from hoi_ros.stages.parts.object_claims import ObjectEvidence
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.reconstruction import ReconstructionStage

from .perfect_network import answer_of
from .perfect_network import Outputs
from .perfect_network import outputs_of


@pytest.mark.parametrize('side', ['right', 'left'])
def test_a_perfect_network_gives_the_truth(samples, build, side) -> None:
    sample = samples[side]
    stage, _ = build(lambda image, crop: answer_of(sample, crop), sample)
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert hand.side == side and hand.located_by == 'hand_size' and hand.score == pytest.approx(0.9)
    np.testing.assert_allclose(hand.joints, sample.keypoints, atol=2e-4)
    np.testing.assert_allclose(hand.vertices, sample.hand_vertices, atol=2e-4)
    np.testing.assert_allclose(hand.pose[3:], sample.pose[3:], atol=1e-5)
    between = Rotation.from_rotvec(hand.pose[:3]).inv() * Rotation.from_rotvec(sample.pose[:3])
    assert between.magnitude() < 1e-3
    np.testing.assert_allclose(hand.held.vertices, sample.held.placed, atol=2e-4)
    model = stage.hand_model(side)
    posed = model.forward(hand.pose, hand.shape, hand.translation)
    np.testing.assert_allclose(posed.vertices, hand.vertices, atol=1e-5)


@pytest.mark.parametrize('side', ['right', 'left'])
def test_views_are_averaged(samples, build, side) -> None:
    """The mean of views with opposite errors is the truth."""
    sample, sign, shown = samples[side], [0.0], []

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        shown.append(crop)
        outputs = answer_of(sample, crop)
        sign[0] = -sign[0]
        turn = Rotation.from_rotvec([0, 0.2 * sign[0], 0]).as_matrix()
        return outputs | {'rotation': turn @ outputs['rotation'], 'object': outputs['object'] + [0, 0, 0.02 * sign[0]]}

    stage, _ = build(answer, sample, views=2)
    (hand,) = stage(sample.image, sample.camera, 0.0)
    np.testing.assert_allclose(hand.joints, sample.keypoints, atol=5e-4)
    np.testing.assert_allclose(hand.held.vertices, sample.held.placed, atol=5e-4)
    sign[0] = 1.0
    shown.clear()
    (hand,) = stage(sample.image, sample.camera, 1 / 30)
    first, second = shown[:2]
    assert second.turn - first.turn == pytest.approx(0.3) and first.side > 1.05 * second.side
    # The errors are about the vertical axes of views that are rolled by 0.15 to either side: they do not quite cancel.
    np.testing.assert_allclose(hand.joints, sample.keypoints, atol=6e-3)
    np.testing.assert_allclose(hand.held.vertices, sample.held.placed, atol=8e-3)


def test_a_held_object_stays_in_the_smoothed_hand(samples, build) -> None:
    sample, jump = samples['right'], np.zeros(3)

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        outputs = answer_of(sample, crop)
        return outputs | {'place': outputs['place'] + jump}

    def in_hand(points: np.ndarray, wrist: np.ndarray, pose: np.ndarray) -> np.ndarray:
        return Rotation.from_rotvec(pose[:3]).inv().apply(points - wrist)

    stage, _ = build(answer, sample, smoothing=OneEuroConfig(beta=0))
    stage(sample.image, sample.camera, 0.0)
    jump[:2] = 0.3, -0.2
    (hand,) = stage(sample.image, sample.camera, 1 / 30)
    assert 0.001 < np.linalg.norm(hand.joints - sample.keypoints, axis=1).mean() < 0.02
    np.testing.assert_allclose(
        in_hand(hand.held.vertices, hand.joints[0], hand.pose),
        in_hand(sample.held.placed, sample.keypoints[0], sample.pose),
        atol=2e-3,
    )


@pytest.mark.parametrize('side', ['right', 'left'])
def test_depth_corrects_a_wrong_distance(samples, build, side) -> None:
    sample = samples[side]
    stage, _ = build(lambda image, crop: answer_of(sample, crop, 1.12), sample, fit_surface=False)
    (guessed,) = stage(sample.image, sample.camera, 0.0)
    assert np.linalg.norm(guessed.joints - sample.keypoints, axis=1).mean() > 0.03
    (hand,) = stage(sample.image, sample.camera, 0.1, sample.depth)
    assert hand.located_by == 'depth'
    assert np.linalg.norm(hand.joints - sample.keypoints, axis=1).mean() < 0.01
    # Without depth for a moment, the hand keeps its ratio of the distances.
    (blind,) = stage(sample.image, sample.camera, 0.2, np.zeros_like(sample.depth))
    assert blind.located_by == 'hand_size'
    np.testing.assert_allclose(blind.joints, hand.joints, atol=1e-4)
    stage.reset()
    (anew,) = stage(sample.image, sample.camera, 0.2)
    np.testing.assert_allclose(anew.joints, guessed.joints, atol=1e-4)


@pytest.mark.parametrize('side', ['right', 'left'])
def test_depth_corrects_a_wrong_pose(samples, build, side) -> None:
    sample = samples[side]

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        outputs, turn = answer_of(sample, crop, 1.1), Rotation.from_rotvec([0.35, -0.3, 0.2]).as_matrix()
        return outputs | {'rotation': turn @ outputs['rotation'], 'object': outputs['object'] @ turn.T}

    stage, _ = build(answer, sample)
    (fitted,) = stage(sample.image, sample.camera, 0.0, sample.depth)
    stage.fit_surface = False
    (shifted,) = stage(sample.image, sample.camera, 0.1, sample.depth)
    assert shifted.located_by == fitted.located_by == 'depth'

    def off(hand: HandEstimate) -> float:
        return float(np.linalg.norm(hand.joints - sample.keypoints, axis=1).mean())

    def off_object(hand: HandEstimate) -> float:
        return float(np.linalg.norm(hand.held.vertices - sample.held.placed, axis=1).mean())

    assert off(shifted) > 0.015 and off(fitted) < 0.8 * off(shifted)
    # The object moves with the palm, more of which is visible than of the fingers.
    assert off_object(fitted) < 0.5 * off_object(shifted)
    posed = stage.hand_model(side).forward(fitted.pose, fitted.shape, fitted.translation)
    np.testing.assert_allclose(posed.vertices, fitted.vertices, atol=1e-5)
    np.testing.assert_allclose(posed.keypoints, fitted.joints, atol=1e-5)


def test_depth_of_another_size_is_refused(samples, build) -> None:
    sample = samples['right']
    stage, _ = build(lambda image, crop: answer_of(sample, crop), sample)
    with pytest.raises(FrameRefused, match='is 208x100 pixels, expected 208x208.*align it to the colour camera'):
        stage(sample.image, sample.camera, 0.0, sample.depth[:100])
    with pytest.raises(FrameRefused, match=r'uint16, expected \(H, W\) metres in floats'):
        stage(sample.image, sample.camera, 0.0, (1000 * sample.depth).astype(np.uint16))
    for image, told in (
        (sample.image[:100], 'is 208x100 pixels, expected 208x208 as its camera'),
        (sample.image / 255, 'float64, expected .* uint8 RGB'),
        (sample.image[..., 0], 'expected .* uint8 RGB'),
    ):
        with pytest.raises(FrameRefused, match=told):
            stage(image, sample.camera, 0.0)


def test_depth_that_denies_every_hand_is_doubted(samples, build) -> None:
    sample = samples['right']
    stage, _ = build(lambda image, crop: answer_of(sample, crop), sample)
    for number in range(12):
        assert stage.denials.doubt == '' or number >= 10
        assert not stage(sample.image, sample.camera, 0.1 * number, 2 * sample.depth)
    assert 'in 12 images in a row' in stage.denials.doubt and 'aligned' in stage.denials.doubt
    assert stage(sample.image, sample.camera, 2.0, sample.depth) and stage.denials.doubt == ''
    for number in range(12):
        # A stream that begins anew each time has not shown many images in a row.
        assert not stage(sample.image, sample.camera, -float(number), 2 * sample.depth)
    assert stage.denials.doubt == ''


def test_one_bad_depth_image_ends_no_track(samples, build) -> None:
    sample = samples['right']
    stage, _ = build(lambda image, crop: answer_of(sample, crop), sample)

    def shown(stamp: float, scale: float = 1.0) -> list[int]:
        return [hand.track_id for hand in stage(sample.image, sample.camera, stamp, scale * sample.depth)]

    (first,) = shown(0.0)
    assert shown(0.1, 2.0) == [] and shown(0.2) == [first]
    assert shown(0.3, 2.0) == shown(0.4, 2.0) == [] and shown(0.5) not in ([], [first])


@pytest.mark.parametrize('side', ['right', 'left'])
def test_a_hand_is_inferred_upright(samples, build, side) -> None:
    """A new hand from the second inference on, a tracked one in all."""
    sample, turns = samples[side], []

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        turns.append(crop.turn - crop.upright(sample.keypoints.astype(float)).turn)
        return answer_of(sample, crop) | {'right': [0.01 if crop.mirrored == (side == 'right') else 0.99]}

    stage, _ = build(answer, sample)
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert turns[0] != 0 and np.cos(turns[-1]) > 0.999
    turns.clear()
    (again,) = stage(sample.image, sample.camera, 1 / 30)
    assert len(turns) == 1 and np.cos(turns[0]) > 0.999
    for one in (hand, again):
        np.testing.assert_allclose(one.joints, sample.keypoints, atol=5e-4)
        np.testing.assert_allclose(one.held.vertices, sample.held.placed, atol=5e-4)


def test_outputs_that_are_not_finite_are_no_hand(samples, build) -> None:
    sample = samples['right']
    wrong: dict[str, list[float]] = {}
    stage, _ = build(lambda image, crop: {'holds': [0.9], **answer_of(sample, crop), **wrong}, sample)
    for name, values in (('place', [0.0, 0.0, 800.0]), ('place', [0.0, np.nan, 0.0]), ('holds', [np.nan])):
        wrong.clear()
        wrong[name] = values
        assert stage(sample.image, sample.camera, 0.0) == []
    wrong.clear()
    assert len(stage(sample.image, sample.camera, 0.1)) == 1


def test_the_network_tells_whether_the_hand_holds_something(samples, build) -> None:
    sample, holds = samples['right'], [0.1]
    stage, detector = build(lambda image, crop: {**answer_of(sample, crop), 'holds': holds}, sample)
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert detector.hands[0].holds == 0.9 and hand.held is None
    holds[0] = 0.9
    held = []
    for frame in range(1, 5):
        (hand,) = stage(sample.image, sample.camera, frame / 30)
        held.append(hand.held is not None)
    assert held == [False, True, True, True]  # the evidence of the frames before counts, too
    assert 0.7 < hand.held.score < 0.9


def test_a_network_without_non_hands_is_refused(build, monkeypatch: pytest.MonkeyPatch) -> None:
    build(lambda image, crop: {})
    engine = reconstruction_network.load_engine('')
    engine.outputs.clear()
    with pytest.raises(ResourceError, match='train reconstruction_score'):
        ReconstructionStage()


def test_a_network_of_another_hand_is_refused(build) -> None:
    build(lambda image, crop: {})
    known = len(HandModel.load().template)
    engine = reconstruction_network.load_engine('')
    engine.outputs = outputs_of(778)
    with pytest.raises(ResourceError, match=f'a hand of 778 vertices, .*hand_model holds one of {known}: put the hand'):
        ReconstructionStage()


@pytest.mark.parametrize('side', ['right', 'left'])
def test_claims_about_an_object_are_withheld_below_the_confidence(samples, build, side) -> None:
    sample = samples[side]
    stage, _ = build(lambda image, crop: {**answer_of(sample, crop), 'holds': [0.9]}, sample)
    evidence = []

    def claims(known: ObjectEvidence) -> ClaimConfidence:
        evidence.append(known)
        return ClaimConfidence(touching=0.85, gap=0.6, box=0.3)

    # A network whose claims are not calibrated makes none.
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert not (hand.held.touching or hand.held.has_box) and np.isnan(hand.held.gap)
    assert hand.held.confidence == ClaimConfidence(0, 0, 0) and len(hand.held.vertices)
    stage.claims = claims
    (hand,) = stage(sample.image, sample.camera, 0.1)
    assert hand.held.touching and np.isnan(hand.held.gap) and not hand.held.has_box
    assert hand.held.confidence == ClaimConfidence(0.85, 0, 0)
    stage.min_confidence = 0.0
    (hand,) = stage(sample.image, sample.camera, 0.2, sample.depth)
    assert hand.held.has_box and abs(hand.held.gap) < 0.01
    assert hand.held.confidence == ClaimConfidence(0.85, 0.6, 0.3)
    # Depth shows the true object, and none where the background is all that it shows.
    (hand,) = stage(sample.image, sample.camera, 0.3, np.where(hand_pixels(sample), sample.depth, 3).astype(np.float32))
    colour, seen, missing = evidence
    assert (colour.on_depth, seen.on_depth, missing.on_depth) == (0, 1, 1)
    assert colour.behind == 0 and seen.behind < 0.1 < 0.3 < missing.behind
    assert seen.holds == pytest.approx(np.log(9)) and seen.overlap < 1 and seen.apart < 0.4


def hand_pixels(sample) -> np.ndarray:
    """(H, W) whether a pixel is next to the projection of a vertex of the hand."""
    columns, rows = np.rint(sample.camera.project(sample.hand_vertices)).astype(int).T
    mask = np.zeros(sample.depth.shape, np.uint8)
    inside = (columns >= 0) & (rows >= 0) & (columns < mask.shape[1]) & (rows < mask.shape[0])
    mask[rows[inside], columns[inside]] = 1
    return cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
