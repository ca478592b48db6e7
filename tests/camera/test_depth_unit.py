# SPDX-License-Identifier: Apache-2.0
"""Depth in a wrong unit is named with the likely one; real scenes pass."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.depth import check_depth
from hoi_ros.camera.depth import DepthUnitError

DATA = Path(os.environ.get('HOI_DATA', '../shared/data'))
ROWS, COLUMNS = np.mgrid[:240, :320].astype(np.float32)


def plane(distance, across, down):
    """A plane before a camera of 90 degrees."""
    return distance / np.maximum(1 + across * (COLUMNS - 160) / 160 + down * (ROWS - 120) / 160, 0.05)


def desk(seed=0):
    """A desk, a wall behind it and a hand-sized ball above it, with the noise and the holes of a sensor; metres."""
    rng = np.random.default_rng(seed)
    depth = np.minimum(plane(0.8, 0.05, 0.7), 1.6)
    offset = ((COLUMNS - 150) ** 2 + (ROWS - 130) ** 2) / 30**2
    depth = np.where(offset < 1, 0.5 - 0.05 * np.sqrt(np.maximum(1 - offset, 0)), depth)
    depth = depth * (1 + 0.002 * cv2.GaussianBlur(rng.normal(size=depth.shape), (0, 0), 1.5))
    return np.where(rng.random(depth.shape) < 0.1, 0, depth).astype(np.float32)


def integers(raw):
    """What 16UC1 makes of raw numbers, in metres."""
    return np.clip(raw, 0, 65535).astype(np.uint16) * np.float32(0.001)


def disparity(depth, scale):
    return np.where(depth > 0, scale / np.maximum(depth, 0.01), 0)


WRONG = {
    'metres in 16UC1': (integers(desk().round()), 0.001, 'millimetres but look like metres', 1.0),
    'millimetres in 32FC1': (desk() * 1000, 1.0, 'metres but look like millimetres', 0.001),
    'tenths of a millimetre in 32FC1': (desk() * 10000, 1.0, 'look like units of 0.1 to 0.25 mm', 0.0001),
    'centimetres in 32FC1': (desk() * 100, 1.0, 'look like centimetres', 0.01),
    'metres divided by 1000 in 32FC1': (desk() / 1000, 1.0, 'divided by 1000 once too often', 1000.0),
    'disparities in 32FC1': (disparity(desk(), 40), 1.0, 'look like disparities', None),
    'disparities in 16UC1': (integers(disparity(desk(), 30)), 0.001, 'look like disparities', None),
    'sub-pixel disparities in 16UC1': (integers(disparity(desk(), 640)), 0.001, 'look like disparities', None),
    'an 8-bit picture in 16UC1': (integers((desk() - 0.45) * 220), 0.001, '8-bit picture', None),
    'the largest number in 16UC1': (integers(np.full((240, 320), 65535)), 0.001, 'saturated: it is 65.54 m', None),
    'one far number in 32FC1': (np.full((240, 320), 300.0), 1.0, 'saturated: it is 300 m', None),
}


@pytest.mark.parametrize('what', WRONG)
def test_depth_in_no_possible_unit_is_refused_with_the_likely_one(what):
    depth, unit, told, likely = WRONG[what]
    with pytest.raises(DepthUnitError, match=told) as caught:
        check_depth(depth.astype(np.float32), unit, 'give --depth-scale')
    assert len(str(caught.value)) < 250
    assert 'saturated' in told or str(caught.value).endswith('give --depth-scale')
    if likely:
        assert caught.value.metres_per_unit == likely


@pytest.mark.parametrize('noise', [0.0, 3.0])
def test_the_other_byte_order_is_named(noise):
    raw = desk() * 1000 + np.random.default_rng(0).normal(0, noise, desk().shape)
    depth = np.clip(np.where(desk() > 0, raw, 0), 0, 65535).astype(np.uint16)
    with pytest.raises(DepthUnitError, match='is_bigendian'):
        check_depth(depth.byteswap() * np.float32(0.001))
    assert check_depth(depth * np.float32(0.001)) == ''


@pytest.mark.parametrize('unit', [0.0001, 0.000125, 0.0002])
def test_depth_that_may_be_in_another_unit_is_doubted(unit):
    told = check_depth(integers(desk() / unit))
    assert 'hands are detected up to 1.2 m' in told
    assert 'not in millimetres but look like units of 0.1 to 0.25 mm' in told


def test_a_far_scene_is_doubted_but_not_refused():
    assert 'nothing is nearer than 8 m' in check_depth(np.full((240, 320), 8.0, np.float32), 1.0)
    hall = np.minimum(plane(6.0, 0.1, 0.5), 15.0).astype(np.float32)
    assert 'nothing is nearer than' in check_depth(hall, 1.0)


def test_a_covered_camera_is_doubted_but_not_refused():
    assert 'uncover the camera' in check_depth(np.full((240, 320), 0.09, np.float32), 1.0)


NOTHING_WRONG = {
    'a desk': desk(),
    'a close hand': np.where(desk() > 0.52, 0, desk() - 0.3),
    'a hand before a far wall': np.where((desk() > 0.52) | (desk() == 0), 12.0, desk()),
    'a wall at half a metre': np.full((240, 320), 0.5),
    'a mostly unknown image': np.where(np.random.default_rng(0).random((240, 320)) < 0.02, desk(), 0),
    'a few far pixels': np.where(np.random.default_rng(0).random((240, 320)) < 0.002, 40.0, 0),
    'unknown as NaN': np.where(desk() == 0, np.nan, desk()),
    'a hand before what does not return, as 65535': np.where(
        (np.indices((240, 320)) // 80 == [[[1]], [[2]]]).all(0), 0.5, 65.535
    ),
    'unknown as 65535': np.where(desk(1) > 0.9, 65.535, desk(1)),
    'a floor with the noise of stereo': plane(1.2, 0.3, 0.5)
    * (1 + 0.03 * cv2.GaussianBlur(np.random.default_rng(0).normal(size=(240, 320)), (0, 0), 2)),
    'a floor quantised to 25 mm': (plane(1.2, 0.1, 0.8) / 0.025).round() * 0.025,
    'a tiny image': np.full((3, 4), 0.5),
}


@pytest.mark.parametrize('what', NOTHING_WRONG)
def test_real_scenes_pass(what):
    assert check_depth(NOTHING_WRONG[what].astype(np.float32)) == ''


def real_frames():
    yield from ((path, 0.000125) for path in sorted((DATA / 'depth_sr305').rglob('*.png')))
    yield from ((path, 0.001) for path in sorted((DATA / 'real' / 'backgrounds_depth').glob('*_depth.png')))
    yield from ((path, 0.001) for path in sorted((DATA / 'real' / 'rgbd_hands').glob('*_sgbmdepth.png')))


@pytest.mark.real
@pytest.mark.skipif(not (DATA / 'depth_sr305').is_dir(), reason=f'{DATA}/depth_sr305 is absent (set HOI_DATA)')
def test_real_recordings_pass_and_are_caught_in_every_wrong_unit():
    frames = list(real_frames())[::3]
    assert len(frames) > 30
    of_disparity = 0
    for path, unit in frames:
        raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        depth = raw * np.float32(unit)
        assert check_depth(depth, unit) == '', path
        assert 'units of 0.1 to 0.25 mm' in check_depth(integers(depth * 8000)), path
        with pytest.raises(DepthUnitError, match='look like millimetres'):
            check_depth(depth * 1000, 1.0)
        with pytest.raises(DepthUnitError, match='look like metres'):
            check_depth(integers(depth.round()))
        try:
            check_depth(integers(disparity(depth, 480)))
        except DepthUnitError as error:
            of_disparity += 'disparities' in str(error)
    # Some scenes have no flat surface but those that face the camera.
    assert of_disparity > 0.6 * len(frames)
