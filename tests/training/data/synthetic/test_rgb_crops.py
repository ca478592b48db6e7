# SPDX-License-Identifier: Apache-2.0
"""Crops of hands and objects: the labels of a record lie on the right pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from training.data.hand_object import HandObjectSample
from training.data.hand_object import ObjectLabel
from training.data.synthetic.objects import sample_object
from training.data.synthetic.recolouring import OWN_COLOURS
from training.data.synthetic.rgb_crop_views import cut
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.data.synthetic.rgb_crops import crop_dtype
from training.data.synthetic.rgb_crops import record_of
from training.data.synthetic.rgb_crops import RecordedSamples
from training.data.synthetic.rgb_crops import RgbCrops
from training.data.synthetic.rgb_crops import windowed
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import ROOT

CAMERA = Pinhole(640, 480, 560.0, 560.0, 320.0, 238.0)
STILL = RgbAugmentation(size=96)


def picture(side: str = 'right') -> HandObjectSample:
    """A hand near a box; each keypoint is a dot of its own brightness on black."""
    model = HandModel.load() if side == 'right' else HandModel.load().mirrored()
    pose = np.zeros(48, np.float32)
    pose[:3] = 0.4, 0.2, 0.3
    hand = model.forward(pose, np.zeros(10, np.float32), np.array([0.12, -0.05, 0.6], np.float32))
    shape = sample_object(np.random.default_rng(1), ['box'])
    place = np.eye(4)
    place[:3, 3] = hand.keypoints.mean(0) + [0.05, 0, 0.03]
    image = np.zeros((480, 640, 3), np.uint8)
    for number, (column, row) in enumerate(np.round(CAMERA.project(hand.keypoints)).astype(int)):
        image[row - 2 : row + 3, column - 2 : column + 3] = 40 + 10 * number
    return HandObjectSample(
        'one',
        image,
        CAMERA,
        side,
        hand.keypoints,
        pose,
        np.zeros(10),
        hand.vertices,
        ObjectLabel('box', shape.vertices, shape.faces, place),
    )


def record(sample: HandObjectSample, size: int = 200) -> np.ndarray:
    return record_of(windowed(sample, size), crop_dtype(size, len(sample.hand_vertices)), np.random.default_rng(0))


def pixels(crop, points: np.ndarray, size: int) -> np.ndarray:
    """Pixels of points relative to the root, from the place and the focal length of a crop."""
    width = CROP_WIDTH * np.exp(crop.place[2])
    depth = crop.focal * width / 2
    points = points + [crop.place[0] * width / 2, crop.place[1] * width / 2, depth]
    return (crop.focal * points[:, :2] / points[:, 2:] + 1) * size / 2 - 0.5


@pytest.mark.parametrize('side', ['right', 'left'])
@pytest.mark.parametrize('seed', [None, 0, 1])
def test_keypoints_lie_on_their_dots(side: str, seed: int | None) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    colourless = dataclasses.replace(STILL, colours=OWN_COLOURS)
    crop = cut(record(picture(side)), colourless, ROOT, CROP_WIDTH, rng)
    assert (crop.keypoints[ROOT] == 0).all()
    inside = [
        place for place in np.round(pixels(crop, crop.keypoints, 96)).astype(int) if (abs(place - 47.5) < 46).all()
    ]
    assert len(inside) >= 15
    for column, row in inside:
        assert crop.image[row - 1 : row + 2, column - 1 : column + 2].max() > 20


@pytest.mark.parametrize('side', ['right', 'left'])
def test_a_crop_stands_upright(side: str) -> None:
    """Approximately under augmentation, exactly with known keypoints."""
    one, rng = record(picture(side)), np.random.default_rng(7)

    def askew(crop) -> float:
        across, up = (crop.pixels[[5, 9, 13, 17]].mean(0) - crop.pixels[0]) * [1, -1]
        return float(np.arctan2(across, up))

    config = RgbAugmentation(size=32, upright=1.0, roll=0.2)
    assert abs(askew(cut(one, config, ROOT, CROP_WIDTH, None))) > 0.2
    assert abs(askew(cut(one, config, ROOT, CROP_WIDTH, None, one['keypoints'].astype(float)))) < 0.02
    rolls = [askew(cut(one, config, ROOT, CROP_WIDTH, rng)) for _ in range(200)]
    assert abs(np.mean(rolls)) < 0.06 and 0.15 < np.std(rolls) < 0.25
    others = [askew(cut(one, dataclasses.replace(config, upright=0.0), ROOT, CROP_WIDTH, rng)) for _ in range(100)]
    assert np.std(others) > 0.4


def test_the_width_of_a_crop_does_not_reveal_an_object() -> None:
    sample = picture()
    config = RgbAugmentation(size=64, scale=0.0)
    place = sample.held.pose.copy()
    place[0, 3] += 0.1
    wide, black = {}, {}
    tight = cut(record(dataclasses.replace(sample, held=None)), config, ROOT, CROP_WIDTH, None).place[2]
    # A window about an empty hand may be as wide as one about a held thing.
    one = record(dataclasses.replace(sample, held=dataclasses.replace(sample.held, pose=place)))
    one['image'] = np.maximum(one['image'], 1)
    for family in (int(one['family']), -1):
        one['family'] = family
        rng = np.random.default_rng(5)
        crops = [cut(one, config, ROOT, CROP_WIDTH, rng) for _ in range(120)]
        wide[family] = np.mean(np.array([crop.place[2] for crop in crops]) > tight + 0.08)
        black[family] = np.mean([(crop.image.max(-1) == 0).mean() for crop in crops])
    assert min(wide.values()) > 0.3 and max(wide.values()) < 0.8, wide
    assert abs(black[0] - black[-1]) < 0.08, black


def test_a_left_hand_is_the_mirror_image_of_a_right_hand() -> None:
    left = picture('left')
    flip = np.array([-1, 1, 1], np.float32)
    mirrored = dataclasses.replace(
        left,
        image=np.ascontiguousarray(left.image[:, ::-1]),
        side='right',
        keypoints=left.keypoints * flip,
        camera=dataclasses.replace(CAMERA, cx=639 - CAMERA.cx),
        hand_vertices=left.hand_vertices * flip,
        held=ObjectLabel('box', left.held.placed * flip, left.held.faces[:, ::-1], np.eye(4)),
    )
    first, second = (cut(record(sample), STILL, ROOT, CROP_WIDTH, None) for sample in (left, mirrored))
    np.testing.assert_allclose(first.keypoints, second.keypoints, atol=1e-6)
    np.testing.assert_allclose(first.place, second.place, atol=1e-4)
    assert np.abs(first.image.astype(int) - second.image).mean() < 3


def test_surface_points_are_drawn_on_the_object() -> None:
    sample = picture()
    kept = record(sample)
    import trimesh  # slow to load

    mesh = trimesh.Trimesh(sample.held.placed, sample.held.faces)
    _, distance, _ = trimesh.proximity.closest_point_naive(mesh, kept['surface'][:50].astype(float))
    assert distance.max() < 1e-6


def test_an_index_always_gives_the_same_complete_record() -> None:
    first, again = RgbCrops(3, 'validation', 80), RgbCrops(3, 'validation', 80)
    one, two = first[1], again[1]
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() != first[2].tobytes()
    assert one['has_vertices'] and np.isfinite(one['keypoints']).all()
    assert one['image'].std() > 5


class Listed:
    """A data set in memory."""

    def __init__(self, *samples: HandObjectSample) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> HandObjectSample:
        return self._samples[index]


def test_samples_without_keypoints_are_skipped() -> None:
    good = picture()
    partial = good.keypoints.copy()
    partial[3] = np.nan
    samples = Listed(dataclasses.replace(good, keypoints=None), good, dataclasses.replace(good, keypoints=partial))
    records = RecordedSamples(samples, np.arange(3), 96, len(good.hand_vertices))
    assert all((records[index]['keypoints'] == records[0]['keypoints']).all() for index in range(6))
    with pytest.raises(ValueError, match='none of 2 samples'):
        RecordedSamples(samples, np.array([0, 2]), 96, 778)[0]


def test_samples_outside_their_image_are_skipped() -> None:
    good = picture()
    beside = dataclasses.replace(good, keypoints=good.keypoints + np.float32([1, 0, 0]))
    records = RecordedSamples(Listed(beside, good), np.arange(2), 96, len(good.hand_vertices))
    assert all((records[index]['keypoints'] == records[0]['keypoints']).all() for index in range(4))
    with pytest.raises(ValueError, match='half of them in the image'):
        RecordedSamples(Listed(beside), np.arange(1), 96, 778)[0]


def test_vertices_of_another_hand_count_as_missing() -> None:
    assert not RecordedSamples(Listed(picture()), np.arange(1), 96, 778)[0]['has_vertices']
