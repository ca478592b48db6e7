# SPDX-License-Identifier: Apache-2.0
"""The stage of the two-hand prior, with denoisers that need no training."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.resources import model_dir
from hoi_ros.stages import two_hand_prior
from hoi_ros.stages.parts.diffusion import SIGNAL
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.stages.parts.two_hand_sampler import Network
from hoi_ros.stages.two_hand_prior import TwoHandPriorStage

from .random_denoiser import random_denoiser
from .random_denoiser import WIDTH

_TURNED = np.array([0.1, 3.0, 0.05], np.float32)
"""Rotation of the right hand: its palm faces that of the left one."""


def unmoved(**inputs: np.ndarray) -> dict[str, np.ndarray]:
    """A denoiser to which every hand is as likely."""
    return {'clean': inputs['noisy'] / SIGNAL[int(inputs['time'][0, 0])].astype(np.float32)}


def in_place(pair: np.ndarray) -> dict[str, np.ndarray]:
    """A cleaner to which no hand is misplaced."""
    return {'roots': np.zeros((2, 18), np.float32), 'misplaced': np.zeros((2, 2), np.float32)}


def right_misplaced(pair: np.ndarray) -> dict[str, np.ndarray]:
    """A cleaner to which the right hand is 6 cm nearer to the other one's back than it was observed."""
    roots = np.concatenate([pair[:, :9], np.tile(np.float32([1, 0, 0, 0, 1, 0, 0, 0, 0]), (2, 1))], 1)
    roots[0, 8] += 0.06
    return {'roots': roots, 'misplaced': np.array([[0.8, 0.1], [0.1, 0.8]], np.float32)}


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, whitening: PairWhitening) -> Callable[..., TwoHandPriorStage]:
    def make(network: Network, cleaner: Network = in_place, **settings: object) -> TwoHandPriorStage:
        class Engine:
            card = types.SimpleNamespace(
                largest_batch=16,
                parameters={'steps': 4, 'object_width': WIDTH, 'changes': {'alone': [0.0, 2.0], 'beside': [0.0, 2.0]}},
            )

            def prepare(self, *batches: int) -> None:
                assert batches in ((2, 16), (2,))

            def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
                return cleaner(**inputs) if 'pair' in inputs else network(**inputs)

        monkeypatch.setattr(two_hand_prior, 'load_engine', lambda *_, **__: Engine())
        monkeypatch.setattr(PairWhitening, 'load', lambda _: whitening)
        monkeypatch.setattr(two_hand_prior, 'model_dir', lambda *_: model_dir('hand_model'))
        return TwoHandPriorStage(**settings)

    return make


def observed(stage: TwoHandPriorStage, side: str, turn: np.ndarray, place: list[float], track: int) -> HandEstimate:
    pose, shape = np.zeros(48, np.float32), np.full(10, 0.2, np.float32)
    pose[:3] = turn
    posed = stage.hand_model(side).forward(pose, shape, np.array(place, np.float32))
    scores = np.ones(21, np.float32)
    return HandEstimate(side, track, 0.9, posed.keypoints, scores, pose, shape, np.float32(place), posed.vertices)


def two_hands(stage: TwoHandPriorStage, apart: float) -> list[HandEstimate]:
    right = observed(stage, 'right', _TURNED, [0.0, 0.0, 0.6 + apart], 3)
    return [right, observed(stage, 'left', np.zeros(3), [0.0, 0.0, 0.6], 8)]


def test_hands_in_each_other_are_moved_apart_and_stay_where_they_were_seen(build) -> None:
    stage = build(unmoved)
    hands = two_hands(stage, 0.09)
    moved = stage(hands, np.zeros((0, 3)), 0.0)
    found = stage.interaction
    assert found.regularised and (found.left_id, found.right_id) == (8, 3)
    assert found.gap < -0.002 and found.intersection_after < 0.3 * found.intersection_before
    for before, after in zip(hands, moved):
        assert (before.side, before.track_id, before.score) == (after.side, after.track_id, after.score)
        assert np.array_equal(before.shape, after.shape)
        posed = stage.hand_model(after.side).forward(after.pose, after.shape, after.translation)
        assert np.allclose(after.joints, posed.keypoints, atol=1e-5)
        assert np.allclose(after.vertices, posed.vertices, atol=1e-5)
        assert 1e-4 < np.linalg.norm(after.joints - before.joints, axis=1).mean() < 0.02
    assert stage.timings['fit'] > 0


def test_the_mirror_image_of_hands_is_regularised_to_the_mirror_image(build) -> None:
    stage, flip = build(random_denoiser()), np.array([-1, 1, 1])
    hands = two_hands(stage, 0.09)
    mirrored = [
        observed(
            stage,
            'left' if hand.side == 'right' else 'right',
            hand.pose[:3] * [1, -1, -1],
            (hand.translation * flip).tolist(),
            hand.track_id,
        )
        for hand in hands
    ]
    for one, other in zip(stage(hands, np.zeros((0, 3)), 0.0), stage(mirrored, np.zeros((0, 3)), 0.0)):
        assert np.abs(one.joints - other.joints * flip).max() < 1e-4


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda hands: hands[:1], '0 left and 1 right hands'),
        (lambda hands: [*hands, hands[0]], '1 left and 2 right hands'),
        (lambda hands: [], '0 left and 0 right hands'),
        (lambda hands: [hands[0], dataclasses.replace(hands[1], side='right')], '0 left and 2 right hands'),
        (lambda hands: [dataclasses.replace(hands[0], pose=np.full(48, np.nan)), hands[1]], 'pose is not all finite'),
        (lambda hands: [dataclasses.replace(hands[0], shape=np.full(10, 500.0)), hands[1]], 'coefficient of 500'),
        (lambda hands: [dataclasses.replace(hands[0], translation=np.full(3, 1e30)), hands[1]], 'm away, expected'),
        (lambda hands: [hands[0], dataclasses.replace(hands[1], joint_scores=np.zeros(21))], 'joint_scores are all 0'),
    ],
)
def test_other_hands_pass_through_untouched(build, change, reason: str) -> None:
    stage = build(unmoved)
    hands = change(two_hands(stage, 0.09))
    assert all(before is after for before, after in zip(hands, stage(hands, np.zeros((0, 3)), 0.0), strict=True))
    assert not stage.interaction.regularised and reason in stage.interaction.reason


def test_hands_apart_or_of_one_place_pass_through_untouched(build) -> None:
    stage = build(unmoved)
    for apart in (0.16, 0.6):
        hands = two_hands(stage, apart)
        assert all(before is after for before, after in zip(hands, stage(hands, np.zeros((0, 3)), 0.0)))
        nearest = cKDTree(hands[0].vertices).query(hands[1].vertices)[0].min()
        assert stage.interaction.gap == pytest.approx(nearest, abs=1e-3) and 'apart' in stage.interaction.reason
    hands = two_hands(stage, 0.03)
    assert all(before is after for before, after in zip(hands, stage(hands, np.zeros((0, 3)), 0.0)))
    assert 'one is misplaced' in stage.interaction.reason and stage.interaction.intersection_before > 3e-5
    stage.regularise = False
    hands = two_hands(stage, 0.09)
    assert stage(hands, np.zeros((0, 3)), 0.0)[0] is hands[0] and stage.interaction.reason == 'regularise is off'
    assert stage.interaction.intersection_before == stage.interaction.intersection_after > 0


@pytest.mark.parametrize('apart', [0.13, 0.3, 0.6])
def test_the_gap_is_the_distance_of_the_surfaces(build, apart: float) -> None:
    stage = build(unmoved, regularise=False)
    right, left = hands = two_hands(stage, apart)
    stage(hands, np.zeros((0, 3)), 0.0)
    nearest = cKDTree(left.vertices).query(right.vertices)[0].min()
    assert stage.interaction.gap == pytest.approx(nearest, abs=0.004)


def test_a_misplaced_hand_is_placed_and_is_less_sure(build) -> None:
    stage = build(unmoved, right_misplaced)
    right, left = two_hands(stage, 0.03)
    after, other = stage([right, left], np.zeros((0, 3)), 0.0)
    assert stage.interaction.regularised and 'the right hand was misplaced (80 %)' in stage.interaction.reason
    assert after.translation[2] - right.translation[2] == pytest.approx(0.06, abs=0.02)
    assert np.abs(other.joints - left.joints).max() < 0.01
    assert after.score == pytest.approx(0.2 * right.score) and after.joint_scores == pytest.approx(0.2)
    assert (other.score, other.joint_scores.tolist()) == (left.score, left.joint_scores.tolist())


def test_a_hand_that_is_placed_in_the_other_one_is_moved_out(build) -> None:
    def within(pair: np.ndarray) -> dict[str, np.ndarray]:
        found = right_misplaced(pair)
        found['roots'][0, 8] -= 0.06
        return found

    stage = build(unmoved, within)
    right, left = two_hands(stage, 0.05)
    after, other = stage([right, left], np.zeros((0, 3)), 0.0)
    assert stage.interaction.regularised and 'misplaced' in stage.interaction.reason
    # The fit alone takes it a centimetre away.
    assert 0.012 < np.linalg.norm(after.translation - right.translation) < 0.03
    assert np.abs(other.joints - left.joints).max() < 0.015


def test_hands_that_touch_and_hardly_intersect_keep_their_places(build) -> None:
    stage = build(unmoved, right_misplaced)
    hands = two_hands(stage, 0.105)
    moved = stage(hands, np.zeros((0, 3)), 0.0)
    found = stage.interaction
    assert found.regularised and not found.reason and found.intersection_before < 5e-6
    for before, after in zip(hands, moved):
        assert np.linalg.norm(after.joints - before.joints, axis=1).max() < 0.02 and after.score == before.score


def test_samples_are_hands_with_scores_and_the_volume_that_they_share(build) -> None:
    stage, told = build(random_denoiser()), []
    samples = stage.sample(SampleRequest(17, 5, anti_penetration=0), progress=told.append)
    assert [[hand.side for hand in pair] for pair in samples.hands] == [['left', 'right']] * 17
    assert [hand.track_id for pair in samples.hands for hand in pair] == list(range(34))
    assert ((samples.scores > 0) & (samples.scores < 1)).all() and (samples.intersections >= 0).all()
    assert told == [16, 17]
    again = stage.sample(SampleRequest(2, 5, anti_penetration=0))
    assert np.allclose(again.hands[1][0].vertices, samples.hands[1][0].vertices, atol=1e-4)

    anchor = two_hands(stage, 0)[0]
    beside = stage.sample(SampleRequest(2, 5, 'left', anchor))
    assert [[hand.side for hand in hands] for hands in beside.hands] == [['left']] * 2
    assert np.linalg.norm(beside.hands[0][0].joints.mean(0) - anchor.joints.mean(0)) < 0.3
    both = stage.sample(SampleRequest(2, 5, 'both', anchor))
    assert np.array_equal(both.hands[1][1].vertices, anchor.vertices) and both.hands[1][1].track_id == 3
    assert np.allclose(both.hands[1][0].vertices, beside.hands[1][0].vertices, atol=1e-5)


def test_sampling_ends_when_nobody_waits(build) -> None:
    stage, asked = build(random_denoiser()), []

    def abort() -> bool:
        asked.append(1)
        # Between two steps, the hands of an image are regularised.
        stage(two_hands(stage, 0.09), np.zeros((0, 3)), 0.0)
        return len(asked) > 3

    assert stage.sample(SampleRequest(256, 0), abort) is None
    assert len(asked) == 4


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'count': 0}, 'count is 0'),
        ({'count': -3}, 'count is -3'),
        ({'count': 257}, 'expected 1 to 256'),
        ({'guidance': float('nan')}, 'guidance is nan'),
        ({'guidance': 10.0}, 'guidance is 10.0, expected 0 to 3'),
        ({'side': 'up'}, "side is 'up'"),
        ({'pose': np.full(48, np.nan)}, 'pose of the anchor'),
        ({'shape': np.full(10, 40.0)}, 'the anchor is no hand: a coefficient'),
        ({'pose': np.full(48, 2.5)}, 'the anchor is no hand: a joint'),
        ({'pose': np.eye(48)[0] * 1e20}, 'the anchor is no hand: its pose has a rotation'),
        ({'translation': np.array([0, 0, 600.0])}, 'the anchor is 600 m away .* in millimetres'),
        (
            {
                'object_vertices': np.eye(4, 3) * 0.1,
                'object_faces': np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [0, 2, 3]]),
            },
            r'the anchor is 0\.50 m away from the object, expected at most 0\.3 m',
        ),
        ({'object_vertices': np.zeros((0, 3)), 'object_faces': np.zeros((0, 3), int)}, 'object'),
    ],
)
def test_requests_that_cannot_be_carried_out_are_refused(build, change: dict[str, object], reason: str) -> None:
    stage = build(random_denoiser())
    anchor = two_hands(stage, 0)[0]
    of_hand = {name: value for name, value in change.items() if name in ('pose', 'shape', 'translation')}
    of_request = {name: value for name, value in change.items() if name not in of_hand}
    request = SampleRequest(1, 0, 'both', dataclasses.replace(anchor, **of_hand))
    with pytest.raises(FrameRefused, match=reason):
        stage.sample(dataclasses.replace(request, **of_request))
