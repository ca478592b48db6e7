# SPDX-License-Identifier: Apache-2.0
"""Regions govern the hands of the stages from the next frame on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import Region
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.stages.depth_pose import DepthPoseStage

from .perfect_network import answer_of
from .perfect_network import detection
from .perfect_network import Outputs
from .perfect_network import planted_stage


def about(square, shift: float = 0.0, side: str | None = None) -> Region:
    """The square of a hand as a region, moved right by a share of its side."""
    return Region(*(square.centre - square.side / 2 + [shift * square.side, 0]), square.side, square.side, side)


def test_the_colour_stage_ends_a_hand_that_the_regions_do_not_hold(samples, build) -> None:
    sample = samples['right']
    true = detection(sample)
    stage, _ = build(lambda image, crop: answer_of(sample, crop) | {'right': [0.9]}, sample)
    here, elsewhere = about(true), Region(0, 0, 15, 15)

    def identities(frame: int, regions: list[Region] | None) -> list[int]:
        return [hand.track_id for hand in stage(sample.image, sample.camera, frame / 30, None, regions)]

    (first,) = identities(0, None)
    assert identities(1, [here]) == [first]
    assert identities(2, [about(true, 0.2)]) == [first]
    assert identities(3, [elsewhere]) == []
    (second,) = identities(4, [elsewhere, here])
    assert second != first
    assert identities(5, [here, elsewhere]) == [second]
    assert identities(6, []) == []
    # Without regions the whole image is searched again.
    assert len(identities(7, None)) == 1


def test_a_colour_hand_in_a_region_survives_a_frame_that_does_not_show_it(samples, build) -> None:
    sample, said = samples['right'], {'hand': [0.99], 'right': [0.9]}
    here, elsewhere = about(detection(sample)), Region(0, 0, 15, 15)
    stage, _ = build(lambda image, crop: answer_of(sample, crop) | said, sample)

    def seen(frame: int, score: float, region: Region) -> list[int]:
        said['hand'] = [score]
        return [hand.track_id for hand in stage(sample.image, sample.camera, frame / 30, None, [region])]

    (first,) = seen(0, 0.99, here)
    assert seen(1, 0.01, here) == seen(2, 0.01, here) == []
    assert seen(3, 0.99, here) == [first]
    assert seen(4, 0.01, elsewhere) == []
    assert seen(5, 0.99, here) != [first]


def test_the_colour_stage_reports_nothing_outside_the_region_that_a_hand_comes_from(samples, build) -> None:
    """Detector and network find the hand beside the region in the crops of it."""
    sample = samples['right']
    true = detection(sample)
    stage, detector = build(lambda image, crop: answer_of(sample, crop) | {'right': [0.9]}, sample)
    detector.hands = [dataclasses.replace(true, score=0.9)]
    whole = about(true, 0.6)
    beside = dataclasses.replace(whole, x=whole.x + 0.3 * whole.width, width=0.4 * whole.width)
    for frame in range(3):
        assert stage(sample.image, sample.camera, frame / 30, None, [beside]) == []
    (hand,) = stage(sample.image, sample.camera, 0.1)
    assert np.abs(sample.camera.project(hand.joints).mean(0) - true.centre).max() < 0.3 * true.side


def test_a_tracked_colour_hand_does_not_leave_its_region_for_another_hand(samples, build) -> None:
    sample = samples['right']
    true, drift = detection(sample), [0.0]

    def answer(image: np.ndarray, crop: ViewCrop) -> Outputs:
        outputs = answer_of(sample, crop) | {'right': [0.9]}
        return outputs | {'place': np.asarray(outputs['place']) + [drift[0] * true.side, 0, 0]}

    stage, detector = build(answer, sample)
    here, there = about(true), about(true, 1.0)
    (first,) = stage(sample.image, sample.camera, 0.0, None, [here])
    detector.hands, drift[0] = [], 0.85
    assert first.track_id not in [
        hand.track_id for hand in stage(sample.image, sample.camera, 0.03, None, [here, there])
    ]


def test_regions_about_two_close_hands_both_count(samples, monkeypatch) -> None:
    sample = samples['right']
    true = dataclasses.replace(detection(sample), score=0.9, holds=0.1, held=None)
    step = 0.65 * true.side

    def answer(pixels: np.ndarray, crop: ViewCrop) -> Outputs:
        other = crop.centre[0] > true.centre[0] + step / 2
        moved = dataclasses.replace(sample.camera, cx=sample.camera.cx + (step if other else 0))
        return answer_of(sample, dataclasses.replace(crop, camera=moved)) | {'holds': [0.01]}

    stage, detector, _ = planted_stage(monkeypatch, answer, np.zeros((1, 3), int), np.arange(3))
    beside = dataclasses.replace(true, centre=true.centre + [step, 0])
    detector.hands, detector.whole = [true, beside], sample.image
    first, second = (about(dataclasses.replace(hand, side=1.5 * true.side)) for hand in (true, beside))
    counts = [
        len(stage(sample.image, sample.camera, n / 30, None, regions))
        for n, regions in enumerate(([first], [first, second], [first, second]))
    ]
    assert counts == [1, 2, 2]


CAMERA = Pinhole(320, 240, 305.0, 305.0, 159.5, 119.5)


@pytest.fixture(scope='module')
def depth_stage() -> DepthPoseStage:
    return DepthPoseStage(max_hands=1)


@pytest.fixture(scope='module')
def view():
    """A depth image in which the stage finds one hand, and that hand's keypoints in pixels."""
    motion = HandMotion(HandModel.load(), 'right', 0, 8.0, 0.0, None)
    simulated = SimulatedCamera(CAMERA, [motion], None, 0)
    depth, colour = np.zeros((240, 320), np.uint16), np.zeros((240, 320, 3), np.uint8)
    seen = simulated.look(1.0)
    simulated.paint(seen, depth, colour)
    return depth.astype(np.float32) / 1000, CAMERA.project(seen.hands[0].joints)


def test_the_depth_stage_ends_a_hand_that_the_regions_do_not_hold(depth_stage, view) -> None:
    depth, pixels = view
    low, high = pixels.min(0), pixels.max(0)
    here = Region(*low, *(high - low), 'right')
    moved = dataclasses.replace(here, x=here.x + 0.2 * here.width)
    elsewhere = Region(5, 5, 30, 30)
    depth_stage.reset()

    def identities(frame: int, regions: list[Region] | None) -> list[int]:
        return [hand.track_id for hand in depth_stage(depth, CAMERA, frame / 30, regions)]

    (first,) = identities(0, None)
    assert identities(1, [here]) == [first]
    assert identities(2, [moved]) == [first]
    assert identities(3, [elsewhere]) == []
    (second,) = identities(4, [elsewhere, here])
    assert second != first
    assert identities(5, []) == []
    assert len(identities(6, None)) == 1


def test_the_depth_stage_reports_nothing_outside_the_region_that_a_hand_comes_from(depth_stage, view) -> None:
    depth, pixels = view
    low, high = pixels.min(0), pixels.max(0)
    width, height = high - low
    depth_stage.reset()
    # From the wrist, the stage moves its crop onto the hand.
    wrist = Region(low[0], low[1] + 0.95 * height, width, 0.3 * height)
    for frame in range(3):
        assert depth_stage(depth, CAMERA, frame / 30, [wrist]) == []
