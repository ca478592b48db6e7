# SPDX-License-Identifier: Apache-2.0
"""The models that ship, on rendered images of hands that are whole, cut, hidden, of two people, or not there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.playback.cameras import assumed_camera
from hoi_ros.stages.parts.hand_square import HandSquare
from hoi_ros.stages.parts.reconstruction_network import CropInference
from hoi_ros.stages.parts.reconstruction_network import CropRequest
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.rgb_config import scenes_of
from training.data.synthetic.rgb_scenes import RgbFrame
from training.data.synthetic.rgb_scenes import RgbScenes

pytestmark = [pytest.mark.slow]

SEED = 5
WIDTH, HEIGHT = 480, 360


def rendered(hands: tuple[float, float, float], count: int = 3) -> list[RgbFrame]:
    model = HandModel.load()
    config = dataclasses.replace(
        scenes_of('plain'), width=WIDTH, height=HEIGHT, hands=hands, free=0.0, samples=1, farthest=0.7
    )
    scenes = RgbScenes(GraspGenerator(model, SEED, 'validation'), SEED, 'validation', config, model)
    return [scenes.frame(index) for index in range(count)]


@pytest.fixture(scope='module')
def frames() -> list[RgbFrame]:
    """Each shows a hand that holds something."""
    return rendered((0, 1, 0))


@pytest.fixture(scope='module')
def stage() -> ReconstructionStage:
    return ReconstructionStage()


def seen(stage: ReconstructionStage, image: np.ndarray, camera: Pinhole) -> list[HandEstimate]:
    """As if it were the first image."""
    stage.reset()
    hands = stage(np.ascontiguousarray(image), camera, 0.0)
    for hand in hands:
        assert stage.min_score <= hand.score <= 1 and np.isfinite(hand.vertices).all() and hand.joints[:, 2].min() > 0
    return hands


def square(frame: RgbFrame) -> tuple[np.ndarray, float]:
    """Centre and side of what the hand's joints span, pixels."""
    return outline(frame.view.camera.project(frame.hands[0].keypoints), None)


def off(hand: HandEstimate, camera: Pinhole, frame: RgbFrame, scale: float = 1.0, moved: float = 0.0) -> float:
    """How far from where it is in a frame, in its sides, a hand was seen in a part of its image, or in a larger one."""
    centre, side = square(frame)
    centre = (centre + 0.5) * scale - 0.5 - [moved, 0]
    return float(np.linalg.norm(outline(camera.project(hand.joints), None)[0] - centre)) / (scale * side)


def cut(frame: RgbFrame, share: float) -> tuple[np.ndarray, Pinhole, int]:
    """The image without what lies left of a part of the hand, its camera, and how many columns it lacks."""
    camera, (centre, side) = frame.view.camera, square(frame)
    left = round(centre[0] + (share - 0.5) * side)
    return frame.image[:, left:], dataclasses.replace(camera, width=WIDTH - left, cx=camera.cx - left), left


def test_a_hand_is_found_whole_and_cut_by_the_border(stage, frames) -> None:
    close = 0
    for frame in frames:
        (hand,) = seen(stage, frame.image, frame.view.camera)
        assert hand.score > 0.9 and off(hand, frame.view.camera, frame) < 0.2 and hand.held is not None
        image, camera, left = cut(frame, 0.25)
        close += sum(off(part, camera, frame, moved=left) < 0.2 for part in seen(stage, image, camera))
        # Of a hand that is more outside than in, silence or doubt.
        image, camera, _ = cut(frame, 0.6)
        assert all(part.score < hand.score for part in seen(stage, image, camera))
    assert close >= 2


def test_a_border_may_cut_a_hand_in_its_middle(stage, frames) -> None:
    """The centre of its square then lies beyond the border."""
    network = CropInference(None, len(HandModel.load().template), 'auto', 1)
    near = []
    for frame in frames:
        centre, side = square(frame)
        image, camera, left = cut(frame, 0.6)
        place = HandSquare(centre - [left, 0], side)
        assert -0.25 * side < place.centre[0] < 0
        half, gone = network(
            image,
            camera,
            [
                CropRequest(place, None, frame.hands[0].side == 'right', None),
                CropRequest(HandSquare(place.centre - [0.3 * side, 0], side), None, True, None),
            ],
            1,
        )
        assert half is not None and gone is None
        near.append(np.linalg.norm(half.square.centre - place.centre) < 0.4 * side)
    assert np.mean(near) > 0.5


def test_what_is_hidden_is_not_guessed(stage, frames) -> None:
    for frame in frames:
        centre, side = square(frame)
        (whole,) = seen(stage, frame.image, frame.view.camera)
        left, top, right, bottom = (round(value) for value in (*(centre - side / 2), *(centre + side / 2)))
        image = frame.image.copy()
        image[max(top, 0) : bottom, max(left, 0) : round(centre[0])] = 90, 60, 40
        assert all(hand.score <= whole.score for hand in seen(stage, image, frame.view.camera))
        image[max(top - 20, 0) : bottom + 20, max(left - 20, 0) : right + 20] = 90, 60, 40
        assert not seen(stage, image, frame.view.camera)


def test_things_without_a_hand_are_no_hands_but_for_a_doubtful_one(stage) -> None:
    frames = rendered((1, 0, 0), 12)
    scores = [hand.score for frame in frames for hand in seen(stage, frame.image, frame.view.camera)]
    assert not any(frame.hands for frame in frames) and len(scores) <= 1 and max(scores, default=0) < 0.8


def test_two_peoples_hands_are_followed_as_two(stage, frames) -> None:
    left, right = frames[:2]
    camera = left.view.camera
    image = np.concatenate([left.image, right.image], 1)
    camera = dataclasses.replace(camera, width=2 * WIDTH, cx=WIDTH - 0.5)
    stage.reset()
    sure: dict[int, str] = {}
    for number in range(8):
        hands = stage(image, camera, number / 30)
        known = {hand.track_id: hand.side for hand in hands}
        assert len(known) == len(hands) <= 2
        assert sure.items() <= known.items()
        sure |= {hand.track_id: hand.side for hand in hands if hand.side_score > 0.9}
    assert sorted(known.values()) == sorted(frame.hands[0].side for frame in (left, right)) == ['left', 'right']
    for hand in hands:
        frame, moved = (left, 0) if hand.side == left.hands[0].side else (right, -WIDTH)
        assert off(hand, camera, frame, moved=moved) < 0.2


def test_images_of_any_size_are_read(stage, frames) -> None:
    for frame in frames:
        camera = frame.view.camera
        large = camera.scaled(8 * WIDTH, 8 * HEIGHT)
        (hand,) = seen(stage, cv2.resize(frame.image, (8 * WIDTH, 8 * HEIGHT)), large)
        assert off(hand, large, frame, 8) < 0.2
        small = cv2.resize(frame.image, (10, 10), interpolation=cv2.INTER_AREA)
        assert not seen(stage, small, camera.scaled(10, 10))


def test_hands_are_found_without_colours(stage) -> None:
    found = 0
    for path in sorted((Path(__file__).parents[2] / 'samples' / 'photos').glob('*.jpg')):
        colour = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        camera = assumed_camera(colour.shape[1], colour.shape[0]).camera
        grey = cv2.cvtColor(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        (hand,) = seen(stage, colour, camera)
        centre, side = outline(camera.project(hand.joints), None)
        others = [outline(camera.project(other.joints), None)[0] for other in seen(stage, grey, camera)]
        found += any(np.linalg.norm(other - centre) < 0.2 * side for other in others)
    assert found >= 3
