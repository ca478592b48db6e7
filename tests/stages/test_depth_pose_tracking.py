# SPDX-License-Identifier: Apache-2.0
"""The tracks of `depth_pose` over frames, with hands that are planted where the network would see them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import Region
from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.stages.parts.inferred_hand import InferredHand

CAMERA = Pinhole(640, 480, 500.0, 500.0, 319.5, 239.5)
EMPTY = np.zeros((480, 640), np.float32)
NEAR = 0.06
"""How far from an expected place the planted network sees a hand, metres."""


def hand(x: float, z: float = 0.5, right: bool = True, side_fits: float = 0.9, score: float = 0.95) -> InferredHand:
    model = HandModel.load()
    model = model if right else model.mirrored()
    joints = model.forward(np.zeros(48), np.zeros(10), np.zeros(3), vertices=False).keypoints.astype(float)
    return InferredHand(joints - joints.mean(0) + [x, 0, z], np.full(21, 0.005), score, side_fits, right)


@pytest.fixture(scope='module')
def loaded() -> DepthPoseStage:
    return DepthPoseStage()


@pytest.fixture
def run(loaded: DepthPoseStage, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list]:
    """Runs the stage on a frame that shows some hands; the finder finds all of them."""
    loaded.reset()
    loaded.max_hands, loaded.min_score = 2, 0.5
    shown: list[InferredHand] = []

    def nearest(centre: np.ndarray) -> InferredHand:
        found = min(shown, key=lambda each: np.linalg.norm(each.centre - centre), default=None)
        if found is None or np.abs(found.centre - centre).max() > NEAR:
            return dataclasses.replace(hand(0), joints=hand(0).joints - hand(0).centre + centre, score=0.0)
        return found

    def candidates(depth: np.ndarray, camera: Pinhole, known: Sequence[InferredHand] = ()) -> list[InferredHand]:
        return [each for each in shown if each.score > 0.05 and not each.near(known)]

    def in_region(depth: np.ndarray, camera: Pinhole, region: Region) -> InferredHand | None:
        inside = (each for each in shown if 0 < camera.project(each.centre)[0] - region.x < region.width)
        found = next(inside, None)
        return found and (dataclasses.replace(found, right=region.side == 'right') if region.side else found)

    monkeypatch.setattr(loaded, '_follow_hand', lambda depth, camera, centre, joints, right: nearest(centre))
    monkeypatch.setattr(
        loaded,
        '_infer',
        lambda depth, camera, centre, right, *_: dataclasses.replace(nearest(centre), right=right),
    )
    monkeypatch.setattr(loaded, 'candidates', candidates)
    monkeypatch.setattr(loaded, '_hand_in', in_region)

    def frame(stamp: float, *hands: InferredHand, regions: Sequence[Region] | None = None) -> list:
        shown[:] = hands
        return loaded(EMPTY, CAMERA, stamp, regions)

    frame.stage = loaded
    return frame


def ids(estimates: list) -> list[int]:
    return [each.track_id for each in estimates]


@pytest.mark.parametrize(('rate', 'speed'), [(5, 0.4), (5, 1.2), (10, 0.8), (10, 1.5), (30, 1.5)])
def test_a_moving_hand_keeps_its_identity_at_low_rates(run, rate: int, speed: float) -> None:
    found = [ids(run(number / rate, hand(-0.4 + speed * number / rate))) for number in range(6)]
    assert found == [[found[0][0]]] * 6


@pytest.mark.parametrize(('rate', 'frames'), [(90, 7), (30, 2), (5, 2)])
def test_a_hand_that_is_not_seen_is_waited_for(run, rate: int, frames: int) -> None:
    (first,) = ids(run(0.0, hand(0)))
    for number in range(1, frames + 1):
        assert run(number / rate) == []
    assert ids(run((frames + 1) / rate, hand(0))) == [first]
    for number in range(frames + 2, frames + 14):
        run(number / rate)
    assert ids(run((frames + 14) / rate, hand(0))) != [first]


def test_a_hand_that_is_waited_for_keeps_its_place(run) -> None:
    run.stage.max_hands = 1
    tracked, other = hand(0), hand(0.3)
    (first,) = ids(run(0.0, tracked))
    assert run(1 / 30, other) == []
    assert ids(run(2 / 30, other, tracked)) == [first]


def test_a_hand_that_passes_before_another_one_is_seen_again(run) -> None:
    (left, right) = ids(run(0.0, hand(-0.1, right=False), hand(0.1)))
    assert ids(run(1 / 30, hand(-0.05, right=False), hand(0.05))) == [left, right]
    assert len(run(2 / 30, hand(0.0))) == 1
    assert ids(run(3 / 30, hand(0.06, right=False), hand(-0.06))) == [left, right]


def test_a_track_that_turns_from_a_sure_side_is_another_hand(run) -> None:
    for number in range(6):
        (first,) = ids(run(number / 30, hand(0)))
    found = [run((6 + number) / 30, hand(0, right=False))[0] for number in range(8)]
    assert found[0].track_id == first and found[0].side == 'right'
    assert found[-1].track_id != first and found[-1].side == 'left'
    assert len(set(ids(found))) == 2


def test_a_track_that_is_unsure_of_its_side_turns(run) -> None:
    (first,) = ids(run(0.0, hand(0, side_fits=0.6)))
    found = [run((1 + number) / 30, hand(0, right=False, side_fits=0.8))[0] for number in range(4)]
    assert found[-1].side == 'left' and set(ids(found)) == {first}


def test_nothing_is_followed_for_ever_without_a_least_score(run) -> None:
    run.stage.min_score = 0.0
    assert len(run(0.0, hand(0))) == 1
    assert run(1 / 30, hand(0, score=0.003)) == []


def test_the_side_of_a_region_holds(run) -> None:
    x = CAMERA.project(hand(0).centre)[0]
    here = Region(x - 60, 180, 120, 120, 'left')
    for number in range(5):
        (found,) = run(number / 30, hand(0), regions=[here])
        assert found.side == 'left' and found.side_score > 0.99


def test_a_hand_in_a_region_survives_a_frame_that_does_not_show_it(run) -> None:
    x = CAMERA.project(hand(0).centre)[0]
    here, elsewhere = Region(x - 60, 180, 120, 120), Region(10, 10, 40, 40)
    (first,) = ids(run(0.0, hand(0), regions=[here]))
    assert run(1 / 30, regions=[here]) == []
    assert ids(run(2 / 30, hand(0), regions=[here])) == [first]
    assert run(3 / 30, regions=[elsewhere]) == []
    assert ids(run(4 / 30, hand(0), regions=[here])) != [first]


def region_about(x: float, side: str | None = None) -> Region:
    return Region(CAMERA.project(np.array([x, 0, 0.5]))[0] - 60, 180, 120, 120, side)


def test_a_hand_that_is_found_in_a_region_is_the_one_that_waits_there(run) -> None:
    """Another track is nearer."""
    first, second = hand(-0.06), hand(0.06)
    regions = [region_about(-0.06), region_about(0.06)]
    (a, b) = ids(run(0.0, first, second, regions=regions))
    assert run(1 / 30, regions=regions) == []
    jumped = hand(-0.06 - 0.07)
    wide = [dataclasses.replace(regions[0], x=regions[0].x - 60, width=240), regions[1]]
    assert ids(run(2 / 30, jumped, regions=wide)) in ([a], [a, b])
    assert ids(run(3 / 30, jumped, second, regions=wide)) == [a, b]


def test_a_hand_that_is_seen_again_elsewhere_belongs_to_its_new_region(run) -> None:
    here, there = region_about(0.0), region_about(0.14)
    (first,) = ids(run(0.0, hand(0), regions=[here]))
    assert run(1 / 5, regions=[here, there]) == []
    assert ids(run(2 / 5, hand(0.14), regions=[here, there])) == [first]
    assert ids(run(3 / 5, hand(0.14), regions=[here, there])) == [first]


def test_a_sure_hand_does_not_come_back_as_the_other_side(run) -> None:
    here = dataclasses.replace(region_about(0.0), x=200.0, width=240)
    for number in range(6):
        (first,) = ids(run(number / 30, hand(0), regions=[here]))
    assert run(6 / 30, regions=[here]) == []
    other = hand(0.08, right=False)
    found = [run((7 + number) / 30, other, regions=[here]) for number in range(4)]
    assert all(each.side == 'left' and each.track_id != first for hands in found for each in hands)
    assert found[-1]


def test_a_hand_of_an_unsure_side_comes_back_as_the_other_one(run) -> None:
    run.stage.max_hands = 1
    (first,) = ids(run(0.0, hand(0, side_fits=0.6)))
    (again,) = run(1 / 5, hand(0.2, right=False, side_fits=0.6))
    assert again.track_id == first and again.side == 'left'


def test_hands_are_in_the_order_of_their_tracks(run) -> None:
    (first, second) = ids(run(0.0, hand(-0.1), hand(0.1)))
    assert ids(run(1 / 30, hand(0.1))) == [second]
    assert ids(run(2 / 30, hand(0.1), hand(-0.17))) == [first, second]
