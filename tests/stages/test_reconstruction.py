# SPDX-License-Identifier: Apache-2.0
"""The stage's geometry against the generator's truth, and its tracking, with a detector and a network that know it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.resources import ResourceError
from hoi_ros.stages import reconstruction
from hoi_ros.stages.parts.distance import shift_along_ray
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_detector import moved
from training.data.hand_object import HandObjectSample
from training.data.synthetic.rgb_crops import RgbCrops
from training.data.synthetic.rgb_crops import ROOM
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import ROOT

MIRROR = np.diag([-1.0, 1.0, 1.0])


@pytest.fixture(scope='module')
def samples() -> dict[str, HandObjectSample]:
    """A right and a left hand that hold something."""
    stream, found = RgbCrops(3, 'validation', 208), {}
    for index in range(60):
        sample = stream.sample(index)
        if sample.held is not None:
            found.setdefault(sample.side, sample)
        if len(found) == 2:
            return found
    raise AssertionError('no pair of hands with objects')


class Seen:
    """Stands for the detector: it sees what it is told, in whichever part of the image it is shown."""

    def __init__(self) -> None:
        self.hands: list[DetectedHand] = []
        self.whole: np.ndarray | None = None

    def __call__(self, image: np.ndarray, most: int = 2, threshold: float = 0.3) -> list[DetectedHand]:
        base = self.whole if self.whole is not None else image
        offset = image.__array_interface__['data'][0] - base.__array_interface__['data'][0]
        top, left = divmod(offset, base.strides[0])
        corner = np.array([left // base.strides[1], top])
        size = np.array(image.shape[1::-1])
        shown = [moved(hand, -corner) for hand in self.hands if hand.score >= threshold]
        return [hand for hand in shown if (hand.centre >= 0).all() and (hand.centre < size).all()][:most]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Callable[..., tuple[reconstruction.ReconstructionStage, Seen]]:
    """Stages whose network answers what `answer` gives, (image, the crop that it shows) → outputs."""
    cuts: list[ViewCrop] = []

    class ShownCrop(ViewCrop):
        def warp(self, image: np.ndarray, size: int) -> np.ndarray:
            cuts.append(self)
            return super().warp(image, size)

    def make(
        answer: Callable[[np.ndarray, ViewCrop], dict[str, np.ndarray]],
        faces: np.ndarray = np.zeros((1, 3), int),
        mirror: np.ndarray = np.arange(3),
        **more,
    ) -> tuple[reconstruction.ReconstructionStage, Seen]:
        seen = Seen()
        card = SimpleNamespace(parameters={'root': ROOT, 'room': ROOM, 'crop_width_m': CROP_WIDTH})

        def engine(image: np.ndarray) -> dict[str, np.ndarray]:
            return {name: np.asarray(value, np.float32)[None] for name, value in answer(image, cuts[-1]).items()}

        engine.card, engine.inputs = card, [SimpleNamespace(shape=(1, 3, 128, 128))]
        engine.outputs = outputs(len(HandModel.load().template))
        monkeypatch.setattr(reconstruction, 'ViewCrop', ShownCrop)
        monkeypatch.setattr(reconstruction, 'RgbDetector', lambda *arguments: seen)
        monkeypatch.setattr(reconstruction, 'load_engine', lambda *arguments, **named: engine)
        monkeypatch.setattr(reconstruction, 'read_arrays', lambda *arguments: {'faces': faces, 'mirror': mirror})
        return reconstruction.ReconstructionStage(**{'views': 1, **more}), seen

    return make


def outputs(vertices: int) -> list[SimpleNamespace]:
    """What the stage looks for among the outputs of a network."""
    return [SimpleNamespace(name='hand', shape=(1, 1)), SimpleNamespace(name='vertices', shape=(1, vertices, 3))]


def detection(sample: HandObjectSample, score: float = 0.5) -> DetectedHand:
    centre, side = outline(sample.camera.project(sample.keypoints), None)
    held = sample.camera.project(sample.held.placed)
    low, high = held.min(0), held.max(0)
    return DetectedHand(centre, side, score, 0.95 if sample.side == 'right' else 0.05, 0.9, (*low, *(high - low)))


def answer_of(sample: HandObjectSample, crop: ViewCrop, nearer: float = 1.0) -> dict[str, np.ndarray]:
    """What a perfect network says of a sample in the crop that it is shown, but for the distance."""
    right = sample.side == 'right'
    # In its mirror image it takes the hand for the one that it is.
    crop = dataclasses.replace(crop, mirrored=not right)
    keypoints = crop.from_camera(sample.keypoints.astype(float))
    origin = keypoints[ROOT]
    axes = crop.from_camera(np.eye(3)).T
    pose = sample.pose if right else mirror_pose(sample.pose)
    turn = Rotation.from_rotvec(pose[:3]).as_matrix()
    thing = crop.from_camera(sample.held.placed.astype(float)) - origin
    return {
        'rotation': axes @ turn if right else axes @ MIRROR @ turn,
        'fingers': pose[3:],
        'shape': sample.shape,
        'place': np.append(crop.project(origin), np.log(nearer * crop.width_at(origin[2]) / CROP_WIDTH)),
        'keypoints': keypoints - origin,
        'object': thing,
        'hand': [0.9],
    }


@pytest.mark.parametrize('side', ['right', 'left'])
def test_a_perfect_network_gives_the_truth(samples, build, side) -> None:
    sample = samples[side]
    count = len(sample.held.vertices)
    stage, seen = build(lambda image, crop: answer_of(sample, crop), sample.held.faces, np.arange(count))
    seen.hands, seen.whole = [detection(sample)], sample.image
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
    """Of a perfect network they all say the same; where they err against each other, the mean is the truth."""
    sample, sign, shown = samples[side], [0.0], []
    stage, seen = build(
        lambda image, crop: shown.append(crop) or erring(answer_of(sample, crop)),
        sample.held.faces,
        np.arange(len(sample.held.vertices)),
        views=2,
    )
    seen.hands, seen.whole = [detection(sample)], sample.image

    def erring(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        sign[0] = -sign[0]
        turn = Rotation.from_rotvec([0, 0.2 * sign[0], 0]).as_matrix()
        return outputs | {'rotation': turn @ outputs['rotation'], 'object': outputs['object'] + [0, 0, 0.02 * sign[0]]}

    (hand,) = stage(sample.image, sample.camera, 0.0)
    np.testing.assert_allclose(hand.joints, sample.keypoints, atol=5e-4)
    np.testing.assert_allclose(hand.held.vertices, sample.held.placed, atol=5e-4)
    sign[0] = 1.0
    shown.clear()
    (hand,) = stage(sample.image, sample.camera, 1 / 30)
    first, second = shown[:2]
    assert second.turn - first.turn == pytest.approx(0.3) and first.side > 1.05 * second.side
    # About the vertical axis of views that are rolled by 0.15 to either side: their mean is not quite the truth.
    np.testing.assert_allclose(hand.joints, sample.keypoints, atol=6e-3)
    np.testing.assert_allclose(hand.held.vertices, sample.held.placed, atol=8e-3)


def test_what_a_hand_holds_stays_in_the_smoothed_hand(samples, build) -> None:
    sample, jump = samples['right'], np.zeros(3)

    def answer(image: np.ndarray, crop: ViewCrop) -> dict[str, np.ndarray]:
        outputs = answer_of(sample, crop)
        return outputs | {'place': outputs['place'] + jump}

    def in_hand(points: np.ndarray, wrist: np.ndarray, pose: np.ndarray) -> np.ndarray:
        return Rotation.from_rotvec(pose[:3]).inv().apply(points - wrist)

    stage, seen = build(
        answer, sample.held.faces, np.arange(len(sample.held.vertices)), smoothing=OneEuroConfig(beta=0)
    )
    seen.hands, seen.whole = [detection(sample)], sample.image
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
def test_depth_mends_a_wrong_distance(samples, build, side) -> None:
    sample = samples[side]
    stage, seen = build(
        lambda image, crop: answer_of(sample, crop, 1.12),
        sample.held.faces,
        np.arange(len(sample.held.vertices)),
        fit_surface=False,
    )
    seen.hands, seen.whole = [detection(sample)], sample.image
    (guessed,) = stage(sample.image, sample.camera, 0.0)
    assert np.linalg.norm(guessed.joints - sample.keypoints, axis=1).mean() > 0.03
    (hand,) = stage(sample.image, sample.camera, 0.1, sample.depth)
    assert hand.located_by == 'depth'
    assert np.linalg.norm(hand.joints - sample.keypoints, axis=1).mean() < 0.01
    # Where depth is missing for a moment, the hand stays where depth has put it.
    (blind,) = stage(sample.image, sample.camera, 0.2, np.zeros_like(sample.depth))
    assert blind.located_by == 'hand_size'
    np.testing.assert_allclose(blind.joints, hand.joints, atol=1e-4)
    stage.reset()
    (anew,) = stage(sample.image, sample.camera, 0.2)
    np.testing.assert_allclose(anew.joints, guessed.joints, atol=1e-4)
    with pytest.raises(ValueError, match='expected 208x208'):
        stage(sample.image, sample.camera, 0.3, sample.depth[:100])


@pytest.mark.parametrize('side', ['right', 'left'])
def test_depth_mends_a_wrong_pose(samples, build, side) -> None:
    sample = samples[side]

    def answer(image: np.ndarray, crop: ViewCrop) -> dict[str, np.ndarray]:
        outputs, turn = answer_of(sample, crop, 1.1), Rotation.from_rotvec([0.35, -0.3, 0.2]).as_matrix()
        return outputs | {'rotation': turn @ outputs['rotation'], 'object': outputs['object'] @ turn.T}

    stage, seen = build(answer, sample.held.faces, np.arange(len(sample.held.vertices)))
    seen.hands, seen.whole = [detection(sample)], sample.image
    (mended,) = stage(sample.image, sample.camera, 0.0, sample.depth)
    stage.fit_surface = False
    (moved,) = stage(sample.image, sample.camera, 0.1, sample.depth)
    assert moved.located_by == mended.located_by == 'depth'

    def off(hand: HandEstimate) -> float:
        return float(np.linalg.norm(hand.joints - sample.keypoints, axis=1).mean())

    def off_object(hand: HandEstimate) -> float:
        return float(np.linalg.norm(hand.held.vertices - sample.held.placed, axis=1).mean())

    assert off(moved) > 0.015 and off(mended) < 0.8 * off(moved)
    # What is held moves with the palm, which there is more of to see than of fingers.
    assert off_object(mended) < 0.5 * off_object(moved)
    posed = stage.hand_model(side).forward(mended.pose, mended.shape, mended.translation)
    np.testing.assert_allclose(posed.vertices, mended.vertices, atol=1e-5)
    np.testing.assert_allclose(posed.keypoints, mended.joints, atol=1e-5)


def test_a_wall_behind_the_hand_is_not_the_hand() -> None:
    model = HandModel.load()
    camera = Pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
    hand = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, 0.5], np.float32))
    wall = np.full((240, 320), 0.9, np.float32)
    anchor = hand.keypoints[ROOT]
    # All of the hand's vertices agree on the wall, but it is too far away to be the hand.
    assert shift_along_ray(hand.vertices, model.faces, anchor, wall, camera) is None
    assert shift_along_ray(hand.vertices, model.faces, anchor, np.zeros_like(wall), camera) is None


def test_a_hand_keeps_its_number_and_its_side(samples, build) -> None:
    sample, said = samples['right'], {'right': [0.95], 'hand': [0.9]}
    stage, seen = build(
        lambda image, crop: answer_of(sample, crop) | said, sample.held.faces, np.arange(len(sample.held.vertices))
    )
    seen.hands, seen.whole = [detection(sample)], sample.image
    numbers = []
    for frame, right in enumerate([0.95, 0.95, 0.2, 0.95]):  # one frame looks like a left hand
        said['right'] = [right]
        (hand,) = stage(sample.image, sample.camera, frame / 30)
        assert hand.side == 'right'
        numbers.append(hand.track_id)
    assert len(set(numbers)) == 1
    said['hand'] = [0.1]
    (hand,) = stage(sample.image, sample.camera, 4 / 30)  # less than a new one needs, enough to be followed
    assert hand.track_id == numbers[0] and hand.score == pytest.approx(0.1)
    # The detector, which is asked where the network is unsure, sees nothing there either.
    seen.hands, said['hand'] = [], [0.02]
    assert stage(sample.image, sample.camera, 5 / 30) == []
    seen.hands, said['hand'] = [detection(sample)], [0.9]
    (hand,) = stage(sample.image, sample.camera, 6 / 30)
    assert hand.track_id != numbers[0]


def test_a_hand_that_jumps_is_looked_for_near_where_it_was(samples, build) -> None:
    sample, reached = samples['right'], []

    def answer(image: np.ndarray, crop: ViewCrop) -> dict[str, np.ndarray]:
        reached.append(float(np.linalg.norm(crop.centre - true.centre)) / true.side < 0.6)
        return answer_of(sample, crop) | {'hand': [0.9 if reached[-1] else 0.02], 'holds': [0.01]}

    stage, seen = build(answer)
    true = dataclasses.replace(detection(sample), holds=0.1)
    seen.hands, seen.whole = [true], sample.image
    (hand,) = stage(sample.image, sample.camera, 0.0)
    (track,) = stage._tracks
    track.square = track.square._replace(centre=track.square.centre + [0.7 * track.square.side, 0])
    (again,) = stage(sample.image, sample.camera, 1 / 30)
    assert again.track_id == hand.track_id and not all(reached)
    np.testing.assert_allclose(again.joints, hand.joints, atol=2e-3)


def test_the_side_is_that_of_the_crop_that_looks_like_a_right_hand(samples, build) -> None:
    """Where the detector cannot tell: a new hand is read as both, and the frames of a followed one add up."""
    sample = samples['left']
    crops = []

    def answer(image: np.ndarray, crop: ViewCrop) -> dict[str, np.ndarray]:
        crops.append(image)
        shown = image[0, :, 64, 20:60].mean()
        looks_right = next((p for key, p in looks.items() if abs(key - shown) < 1e-6), None)
        return {**answer_of(sample, crop), 'right': [0.9 if looks_right is None else looks_right]}

    looks: dict[float, float] = {}
    stage, seen = build(answer, sample.held.faces, np.arange(len(sample.held.vertices)))
    unsure = detection(sample)
    seen.whole = sample.image
    seen.hands = [type(unsure)(unsure.centre, unsure.side, 0.9, 0.5, unsure.holds, unsure.held)]
    stage(sample.image, sample.camera, 0.0)
    as_right, as_left = (crop[0, :, 64, 20:60].mean() for crop in crops[:2])
    stage.reset()
    (hand,) = stage(sample.image, sample.camera, 0.5)
    assert hand.side_score == 0.5  # both look alike: a guess
    np.testing.assert_allclose(crops[0], crops[1][..., ::-1], atol=0.15)
    # One that is followed is read again as both while its side is not sure, and once where it is.
    for right, side, reads in ((0.97, 'right', 1), (0.3, 'left', 2), (0.03, 'left', 1)):
        looks.update({as_right: right, as_left: 1 - right})
        stage.reset()
        (hand,) = stage(sample.image, sample.camera, 1.0)
        assert hand.side == side and hand.side_score > 0.8
        before = len(crops)
        (hand,) = stage(sample.image, sample.camera, 1.03)
        assert hand.side == side and len(crops) == before + reads


def test_a_hand_is_cut_out_where_its_joints_are(samples, build) -> None:
    sample = samples['right']
    cuts: list[ViewCrop] = []
    stage, seen = build(
        lambda image, crop: (
            cuts.append(crop) or answer_of(sample, crop) | {'holds': [0.01], 'right': [0.01 if crop.mirrored else 0.99]}
        )
    )
    true = detection(sample)
    seen.whole = sample.image

    def detected(across: float, larger: float) -> DetectedHand:
        return DetectedHand(true.centre + [across * true.side, 0], true.side * larger, 0.9, 0.99, 0.1, None)

    def cut(stamp: float) -> list[tuple[float, float]]:
        """How far off, in sides, and how much larger than the hand's own square each crop of a frame was."""
        cuts.clear()
        (hand,) = stage(sample.image, sample.camera, stamp)
        np.testing.assert_allclose(hand.joints, sample.keypoints, atol=2e-3)
        return [
            (float(np.linalg.norm(crop.centre - true.centre)) / true.side, crop.side / (ROOM * true.side))
            for crop in cuts
        ]

    # A new hand, read as either side, that the detector sees coarsely is cut out once more, and again to confirm it.
    there, coarse = pytest.approx((0, 1), abs=1e-2), pytest.approx((0.2, 1.25), abs=1e-3)
    seen.hands = [detected(0.2, 1.25)]
    assert cut(0.0) == [coarse, coarse, there, there]
    # One that is followed is cut out there at once.
    assert cut(1 / 30) == [pytest.approx((0, 1), abs=1e-2)]
    # Joints that lie far off are asked as well before anything is called a hand; further off there is none.
    stage.reset()
    seen.hands = [detected(0.3, 1.9)]
    assert cut(1.0)[2:] == [there]
    stage.reset()
    seen.hands = [detected(0.3, 2.7)]
    assert stage(sample.image, sample.camera, 1.5) == []
    # What is seen well need not be cut out anew but to confirm it.
    stage.reset()
    seen.hands = [detected(0.03, 1.05)]
    assert len(cut(2.0)) == 3


@pytest.mark.parametrize('side', ['right', 'left'])
def test_a_hand_is_read_with_its_fingers_up(samples, build, side) -> None:
    """However it lies in the image: a new hand from the second look on, a followed one at once."""
    sample, turns = samples[side], []
    count = len(sample.held.vertices)

    def answer(image: np.ndarray, crop: ViewCrop) -> dict[str, np.ndarray]:
        turns.append(crop.turn - crop.upright(sample.keypoints.astype(float)).turn)
        return answer_of(sample, crop) | {'right': [0.01 if crop.mirrored == (side == 'right') else 0.99]}

    stage, seen = build(answer, sample.held.faces, np.arange(count))
    seen.hands, seen.whole = [detection(sample)], sample.image
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert turns[0] != 0 and np.cos(turns[-1]) > 0.999
    turns.clear()
    (again,) = stage(sample.image, sample.camera, 1 / 30)
    assert len(turns) == 1 and np.cos(turns[0]) > 0.999
    for one in (hand, again):
        np.testing.assert_allclose(one.joints, sample.keypoints, atol=5e-4)
        np.testing.assert_allclose(one.held.vertices, sample.held.placed, atol=5e-4)


def test_what_is_not_finite_is_no_hand(samples, build) -> None:
    sample = samples['right']
    wrong: dict[str, list[float]] = {}
    stage, seen = build(
        lambda image, crop: {**answer_of(sample, crop), **wrong},
        sample.held.faces,
        np.arange(len(sample.held.vertices)),
    )
    seen.hands, seen.whole = [detection(sample)], sample.image
    for name, values in (('place', [0.0, 0.0, 800.0]), ('place', [0.0, np.nan, 0.0]), ('holds', [np.nan])):
        wrong.clear()
        wrong[name] = values
        assert stage(sample.image, sample.camera, 0.0) == []
    wrong.clear()
    assert len(stage(sample.image, sample.camera, 0.1)) == 1


def test_the_network_says_whether_the_hand_holds_something(samples, build) -> None:
    sample, said = samples['right'], [0.1]
    stage, seen = build(
        lambda image, crop: {**answer_of(sample, crop), 'holds': said},
        sample.held.faces,
        np.arange(len(sample.held.vertices)),
    )
    seen.hands, seen.whole = [detection(sample)], sample.image
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert seen.hands[0].holds == 0.9 and hand.held is None
    said[0] = 0.9
    held = []
    for frame in range(1, 5):
        (hand,) = stage(sample.image, sample.camera, frame / 30)
        held.append(hand.held is not None)
    assert held == [False, True, True, True]  # what was seen before counts, too
    assert 0.7 < hand.held.score < 0.9


def test_what_is_no_hand_or_holds_nothing_is_not_reported(samples, build) -> None:
    sample, hand_said, reads = samples['right'], [0.4], []
    stage, seen = build(
        lambda image, crop: reads.append(crop) or answer_of(sample, crop) | {'hand': hand_said},
        sample.held.faces,
        np.arange(len(sample.held.vertices)),
    )
    seen.whole = sample.image
    sure = detection(sample)
    seen.hands = [sure]
    assert stage(sample.image, sample.camera, 0.0) == []
    # Of what hardly looks like a hand nobody asks which side it is of.
    hand_said[0], seen.hands = 0.02, [dataclasses.replace(sure, right=0.5)]
    reads.clear()
    assert stage(sample.image, sample.camera, 0.1) == [] and len(reads) == 1
    # What the detector says counts half as much: log-odds of 0.2 beside those of 0.9.
    hand_said[0], seen.hands = 0.9, [dataclasses.replace(sure, score=0.2, holds=0.1, held=None)]
    (hand,) = stage(sample.image, sample.camera, 0.2)
    assert hand.held is None and hand.score == pytest.approx(9 / 2 / (9 / 2 + 1))
    stage.reset()
    seen.hands = [dataclasses.replace(sure, score=0.05)]
    assert stage(sample.image, sample.camera, 0.3) == []


def test_one_hand_is_not_two(samples, build) -> None:
    """The detector sees two where the network sees one and the same."""
    sample = samples['right']
    stage, seen = build(
        lambda image, crop: answer_of(sample, crop), sample.held.faces, np.arange(len(sample.held.vertices))
    )
    sure = detection(sample)
    seen.whole = sample.image
    seen.hands = [dataclasses.replace(sure, centre=sure.centre + [gap * sure.side, 0]) for gap in (-0.4, 0.4)]
    assert len(stage(sample.image, sample.camera, 0.0)) == 1


def test_a_new_hand_is_one_from_where_its_joints_are_too(samples, build) -> None:
    sample = samples['right']
    true = detection(sample)
    stage, seen = build(
        lambda image, crop: (
            answer_of(sample, crop)
            | {'hand': [0.9 if np.linalg.norm(crop.centre - true.centre) > 0.1 * true.side else 0.1], 'holds': [0.01]}
        )
    )
    seen.whole = sample.image
    seen.hands = [dataclasses.replace(true, centre=true.centre + [0.115 * true.side, 0], holds=0.1, held=None)]
    assert stage(sample.image, sample.camera, 0.0) == []


def test_a_hand_that_was_lost_in_a_part_of_it_is_found_again(samples, build) -> None:
    """Joints in a small square look like a hand, too; now and then the detector says that it is larger."""
    sample = samples['right']
    true = dataclasses.replace(detection(sample), holds=0.1, held=None)

    def answer(image: np.ndarray, crop: ViewCrop) -> dict[str, np.ndarray]:
        outputs = answer_of(sample, crop) | {'holds': [0.01], 'hand': [0.9]}
        if crop.side < 0.6 * ROOM * true.side:
            outputs |= {'place': outputs['place'] + [0, 0, 1.2], 'hand': [0.8]}
        return outputs

    stage, seen = build(answer)
    seen.hands, seen.whole = [true], sample.image
    stage(sample.image, sample.camera, 0.0)
    (track,) = stage._tracks
    track.square = track.square._replace(side=0.3 * track.square.side)
    sides = []
    for frame in range(1, 6):
        (hand,) = stage(sample.image, sample.camera, frame / 30)
        sides.append(stage._tracks[0].square.side / true.side)
    assert sides[0] < 0.4 and sides[-1] == pytest.approx(1, abs=0.02) and hand.track_id == track.identity


def test_a_network_that_knows_no_hands_is_refused(build, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, _ = build(lambda image, crop: {})
    stage._engine.outputs.clear()
    monkeypatch.setattr(reconstruction, 'load_engine', lambda *arguments, **named: stage._engine)
    with pytest.raises(ResourceError, match='train reconstruction_score'):
        reconstruction.ReconstructionStage()


def test_a_network_of_another_hand_is_refused(build, monkeypatch: pytest.MonkeyPatch) -> None:
    build(lambda image, crop: {})
    known = len(HandModel.load().template)
    engine = reconstruction.load_engine('')
    engine.outputs = outputs(778)
    with pytest.raises(ResourceError, match=f'a hand of 778 vertices, .*hand_model holds one of {known}: put the hand'):
        reconstruction.ReconstructionStage()


def test_a_region_says_where_to_look(samples, build) -> None:
    sample = samples['right']
    sure = detection(sample)

    def answer(image: np.ndarray, crop: ViewCrop) -> dict[str, np.ndarray]:
        here = np.linalg.norm(crop.centre - sure.centre) < sure.side
        as_told = dataclasses.replace(sample, side='left' if crop.mirrored else 'right')
        return answer_of(as_told, crop) | {'hand': [0.9 if here else 0.01]}

    stage, seen = build(answer, sample.held.faces, np.arange(len(sample.held.vertices)))
    seen.whole = sample.image  # the detector itself sees nothing
    near = Region(*(sure.centre - sure.side / 2), sure.side, sure.side, 'right')
    (hand,) = stage(sample.image, sample.camera, 0.0, None, [near])
    assert hand.side == 'right'
    stage.reset()
    for frame in range(9):  # who tells the side is believed as long as the hand is followed
        told = Region(near.x, near.y, near.width, near.height, 'left')
        (hand,) = stage(sample.image, sample.camera, frame / 30, None, [told])
        assert hand.side == 'left' and hand.side_score > 0.99
    stage.reset()
    assert stage(sample.image, sample.camera, 0.1, None, [Region(0, 0, 10, 10)]) == []
    assert stage(sample.image, sample.camera, 0.2, None, []) == []


def test_every_region_is_looked_at(samples, build) -> None:
    sample = samples['right']
    true = detection(sample)

    def answer(image: np.ndarray, crop: ViewCrop) -> dict[str, np.ndarray]:
        here = np.linalg.norm(crop.centre - true.centre) < true.side
        return answer_of(sample, crop) | {'hand': [0.9 if here else 0.01]}

    stage, seen = build(answer, sample.held.faces, np.arange(len(sample.held.vertices)), max_hands=1)
    seen.whole = sample.image
    hand = Region(*(true.centre - true.side / 2), true.side, true.side)
    others = [Region(0, 0, 20, 20), Region(180, 180, 20, 20), Region(0, 180, 20, 20), Region(90, 90, 0, 0)]
    assert len(stage(sample.image, sample.camera, 0.0, None, [*others, hand])) == 1


def test_a_hand_that_leaves_the_image_is_given_up(samples, build) -> None:
    """Even by a network that sees it everywhere, and whatever score is asked for."""
    sample = samples['right']
    stage, seen = build(
        lambda image, crop: answer_of(sample, crop),
        sample.held.faces,
        np.arange(len(sample.held.vertices)),
        min_score=0.0,
    )
    seen.hands, seen.whole = [detection(sample)], sample.image
    stage(sample.image, sample.camera, 0.0)
    (track,) = stage._tracks
    seen.hands, track.square = [], track.square._replace(centre=np.array([-30.0, 100.0]))
    assert stage(sample.image, sample.camera, 1 / 30) == []
    seen.hands = [detection(sample)]
    assert len(stage(sample.image, sample.camera, 2 / 30)) == 1
    seen.hands = []
    stage._engine, sure = (lambda image: sure(image=image) | {'hand': np.full((1, 1), 0.005)}), stage._engine
    assert stage(sample.image, sample.camera, 3 / 30) == []


def test_a_frame_speaks_once_for_a_side(samples, build) -> None:
    """A hand that is looked at twice, as what looks least like one is of either side, is drawn as it was read."""
    sample, said = samples['left'], {'hand': [0.9]}
    true = dataclasses.replace(detection(sample), holds=0.1, held=None, right=0.5)
    stage, seen = build(
        lambda image, crop: (
            answer_of(sample, crop) | {'holds': [0.01], 'hand': said['hand'], 'right': [0.9 if crop.mirrored else 0.1]}
        )
    )
    seen.hands, seen.whole = [true], sample.image
    (hand,) = stage(sample.image, sample.camera, 0.0)
    assert hand.side == 'left'
    odds = np.log(9)
    (track,) = stage._tracks
    assert track.side_evidence == pytest.approx(-2 * odds)
    for frame in range(1, 6):
        before = track.side_evidence
        track.square = track.square._replace(side=0.55 * track.square.side)  # the detector disagrees when it is asked
        (hand,) = stage(sample.image, sample.camera, frame / 30)
        reads = 2 if abs(0.9 * before) < 4 else 1
        assert track.side_evidence == pytest.approx(0.9 * before - reads * odds) and hand.side == 'left'
    track.side_evidence, said['hand'] = -2.0, [0.08]
    (hand,) = stage(sample.image, sample.camera, 6 / 30)
    assert hand.side == 'left' and hand.score < 0.1


def test_the_box_around_a_turned_brick_is_the_brick() -> None:
    rng = np.random.default_rng(2)
    brick = trimesh.creation.box((0.03, 0.06, 0.2)).subdivide().subdivide()
    for turn in Rotation.random(5, random_state=rng):
        place = rng.normal(size=3)
        centre, orientation, size = reconstruction.oriented_box(turn.apply(brick.vertices) + place)
        np.testing.assert_allclose(size, [0.03, 0.06, 0.2], atol=2e-3)
        np.testing.assert_allclose(centre, place, atol=2e-3)
        along = Rotation.from_quat(orientation).apply([0, 0, 1])
        assert abs(along @ turn.apply([0, 0, 1])) > 0.999


def test_the_gap_is_that_of_the_surfaces() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.04)
    rng = np.random.default_rng(3)
    for away in (0.03, 0.004, -0.006):
        points = rng.normal(size=(400, 3))
        points *= (0.04 + away + np.abs(rng.normal(0, 0.01, (400, 1)))) / np.linalg.norm(points, axis=1, keepdims=True)
        points[0] = [0, 0, 0.04 + away]
        gap = reconstruction.surface_gap(points, ball.vertices, ball.faces, near=0.05)
        assert gap == pytest.approx((np.linalg.norm(points, axis=1) - 0.04).min(), abs=5e-4)
