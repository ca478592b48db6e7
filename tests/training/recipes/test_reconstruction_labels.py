# SPDX-License-Identifier: Apache-2.0
"""Keypoints of hands in photos by the shipped network."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from training.data.real import photo_keypoints
from training.data.synthetic.rgb_crops import RgbCrops
from training.recipes.reconstruction_labels import write_labels

MODEL = Path('models/reconstruction')


@pytest.mark.slow
def test_labels_lie_on_the_hands_that_the_network_sees_clearly(
    photo_root: Path, located: Callable[..., Path], tmp_path: Path
) -> None:
    labelled = 'rgb_hands_with_objects/core50_C_04_01_000'
    located(labelled)
    table = tmp_path / 'training.csv'
    stream, truth = RgbCrops(5, 'validation', 300), {}
    with table.open('a') as file:
        for index in range(6):
            record, name = stream[index], f'rgb_hands/asl_{index:04}.jpg'
            places = Pinhole(300, 300, *record['camera']).project(record['keypoints'].astype(float)) / 300
            cv2.imwrite(str(photo_root / name), cv2.cvtColor(record['image'], cv2.COLOR_RGB2BGR))
            file.write(','.join([name, *map(str, np.clip([*places.min(0), *places.max(0)], 0, 1))]) + '\n')
            truth[name] = places, bool(record['right'])
    with (photo_root / 'SOURCES.csv').open('a') as file:
        file.writelines(f'{name},asl,MIT\n' for name in truth)
    written = write_labels(photo_root, MODEL, tmp_path / 'labels.csv')
    rows = list(csv.DictReader((tmp_path / 'labels.csv').open()))
    assert written == len(rows) and f'{labelled}.jpg' not in {row['file'] for row in rows}
    found = photo_keypoints.keypoints_in(tmp_path / 'labels.csv')
    apart = {
        name: np.linalg.norm(found[name, 0][0] - places, axis=1).mean() / np.ptp(places, axis=0).max()
        for name, (places, _) in truth.items()
        if (name, 0) in found
    }
    assert len(apart) >= 3
    assert np.median(list(apart.values())) < 0.1
    assert np.mean([found[name, 0][1] == truth[name][1] for name in apart]) > 0.6
