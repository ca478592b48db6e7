# SPDX-License-Identifier: Apache-2.0
"""The RGB detector: views, targets, a training of a few steps, export, figures and calibration."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hoi_ros.stages.parts.rgb_detector import decode
from hoi_ros.stages.parts.rgb_detector import network_input
from hoi_ros.stages.parts.rgb_detector import RgbDetector
from training.data.synthetic.recolouring import OWN_COLOURS
from training.data.synthetic.rgb_frame_views import frame_view
from training.data.synthetic.rgb_frame_views import FrameView
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation
from training.data.synthetic.rgb_frames import RgbFrames
from training.evaluation import rgb_detector as evaluation
from training.evaluation.rgb_detector import detector_figures
from training.export.rgb_detector import export
from training.export.rgb_detector import RgbDetectorExport
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.networks.rgb_detector import RGB_FINDER
from training.networks.rgb_detector import RgbDetectorNet
from training.networks.weights import load_weights
from training.recipes.rgb_detector import Batches
from training.recipes.rgb_detector import detector_loss
from training.recipes.rgb_detector import targets

STILL = RgbFrameAugmentation(zoom=(1.0, 1.0), turn=0, mounted=0, cropped=0, colours=OWN_COLOURS)


@pytest.fixture(scope='module')
def records() -> np.ndarray:
    stream = RgbFrames(5, 'train')
    return np.stack([stream[index] for index in range(8)])


@pytest.fixture(scope='module')
def some_hand(records: np.ndarray) -> np.ndarray:
    return next(record for record in records if record['count'] and record['holds'][0] and record['visible'][0] > 0.9)


def test_a_frame_depends_on_seed_split_and_index(records: np.ndarray) -> None:
    assert RgbFrames(5, 'train')[3].tobytes() == records[3].tobytes()
    assert RgbFrames(5, 'validation')[3].tobytes() != records[3].tobytes()


def test_labels_move_with_the_image(some_hand: np.ndarray) -> None:
    """A mark painted at a label appears at the label of the view."""
    record = some_hand.copy()
    record['image'] = 0
    column, row = (round(float(place)) for place in record['square'][0, :2])
    record['image'][row - 2 : row + 3, column - 2 : column + 3] = 255
    config = dataclasses.replace(RgbFrameAugmentation(), cropped=0, colours=OWN_COLOURS)
    compared = 0
    for seed in range(8):
        view = frame_view(record, config, np.random.default_rng(seed))
        where = view.square[0, :2]
        if not (6 < where[0] < 186 and 6 < where[1] < 138):
            continue  # the mark lies outside
        bright = view.image.astype(float).sum(-1)
        bright -= np.median(bright)
        assert bright.max() >= 100
        bright[bright < 0.5 * bright.max()] = 0
        rows, columns = np.mgrid[: bright.shape[0], : bright.shape[1]]
        centroid = np.array([(bright * columns).sum(), (bright * rows).sum()]) / bright.sum()
        np.testing.assert_allclose(centroid, where, atol=1.2)
        compared += 1
    assert compared >= 4


def test_targets_decode_to_the_hands_of_the_view(records: np.ndarray) -> None:
    compared = 0
    for index, record in enumerate([*records, *records]):
        view = frame_view(record, RgbFrameAugmentation(), np.random.default_rng(index))
        heat, _, _, square, kind, _, held, _ = targets(view)
        found = decode(heat, square, kind, held, 4, 0.9)
        for number, (x, y, side) in enumerate(view.square):
            inside = 0 < x < view.image.shape[1] - 1 and 0 < y < view.image.shape[0] - 1
            if view.visible[number] < 0.35 or not inside or side < 12:
                continue
            hand = min(found, key=lambda hand: np.linalg.norm(hand.centre - [x, y]))
            if len(view.square) > 1 and np.linalg.norm(view.square[0, :2] - view.square[1, :2]) < side:
                continue  # overlapping hands share their cells
            np.testing.assert_allclose(hand.centre, [x, y], atol=1e-6)
            assert hand.side == pytest.approx(side)
            assert (hand.right > 0.5) == view.right[number] and (hand.holds > 0.5) == view.holds[number]
            if view.holds[number]:
                left, top, right, bottom = view.held[number]
                np.testing.assert_allclose(hand.held, [left, top, right - left, bottom - top], atol=1e-6)
            compared += 1
    assert compared >= 4


def test_mirroring_changes_the_side(some_hand: np.ndarray) -> None:
    views = [frame_view(some_hand, RgbFrameAugmentation(), np.random.default_rng(seed)) for seed in range(12)]
    sides = {bool(view.right[0]) for view in views}
    assert sides == {True, False}


@pytest.mark.slow
def test_a_trained_detector_is_exported(records: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = RgbDetectorNet()
    few = records[:4]
    views = [frame_view(record, STILL, None) for record in few]
    batch = tuple(
        torch.from_numpy(np.stack(column).astype(np.float32))
        for column in zip(*((network_input(view.image), *targets(view)) for view in views))
    )
    loop = LoopConfig(
        tmp_path,
        steps=60,
        batch=4,
        learning_rate=3e-3,
        precision='32-true',
        warm_up=0,
        every=100,
        averaging=0.5,
        threads=1,
    )
    before = detector_figures(network.eval(), views)
    fit(network, loop, lambda step: batch, detector_loss, lambda module: {})
    after = detector_figures(network, views)
    assert after['found'] >= 0.8 > before['found']
    assert after['side_right'] >= 0.8 and after['size_error'] < 0.4 and after['false_per_frame'] < 1
    torch.save(
        {
            'weights': network.state_dict(),
            'seed': 0,
            'figures': after,
            'progress': {'step': 60, 'samples': 240, 'seconds': 1.0},
        },
        tmp_path / 'weights.pt',
    )
    export(RgbDetectorExport(tmp_path / 'weights.pt'))
    again = RgbDetectorNet()
    load_weights(
        again.finder, tmp_path / 'models' / 'rgb_detector', torch.rand(4, 3, RGB_FINDER.height, RGB_FINDER.width)
    )
    detector = RgbDetector(tmp_path / 'models')
    for view in views:
        hands = detector(view.image, 2, 0.3)
        for number, (x, y, side) in enumerate(view.square):
            if view.visible[number] > 0.9:
                assert min((np.linalg.norm(hand.centre - [x, y]) for hand in hands), default=999) < side


def test_batches_are_the_targets_of_augmented_views(records: np.ndarray) -> None:
    pool = SimpleNamespace(ready=len(records), records=records)
    first, again, other = (Batches(pool, 3, seed)(2) for seed in (0, 0, 1))
    shapes = [tuple(tensor.shape) for tensor in first]
    assert shapes == [(3, 3, 144, 192)] + [(3, channels, 36, 48) for channels in (1, 1, 1, 3, 2, 2, 4, 1)]
    assert all(torch.equal(one, two) for one, two in zip(first, again)) and not torch.equal(first[0], other[0])


def test_figures_count_found_and_false_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((144, 192, 3), np.uint8)
    frame = FrameView(
        image,
        np.array([[50.0, 60, 30], [150.0, 60, 30]]),
        np.array([True, False]),
        np.array([0.9, 0.2]),
        np.array([False, False]),
        np.zeros((2, 4)),
        np.ones((2, 3), bool),
    )
    found = [
        SimpleNamespace(centre=np.array(place), side=30.0, score=0.9, right=0.9, holds=0.1, held=None)
        for place in ((52.0, 60.0), (100.0, 120.0), (155.0, 60.0))
    ]
    monkeypatch.setattr(evaluation, 'detect', lambda network, image: found)
    figures = detector_figures(torch.nn.Identity(), [frame])
    assert figures['found'] == 1 and figures['false_per_frame'] == 1 and figures['side_right'] == 1
    assert figures['centre_error'] == pytest.approx(2 / 30)
