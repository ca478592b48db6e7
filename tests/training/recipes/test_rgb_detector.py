# SPDX-License-Identifier: Apache-2.0
"""The RGB detector learns where hands are from frames, and what it learned comes out of its model folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hoi_ros.engines import Card
from hoi_ros.stages.parts.rgb_detector import decode
from hoi_ros.stages.parts.rgb_detector import RgbDetector
from training.data.synthetic.rgb_frames import RgbFrames
from training.evaluation.rgb_detector import evaluate
from training.evaluation.rgb_detector import RgbDetectorEvaluation
from training.export.onnx_import import load_weights
from training.export.rgb_detector import export
from training.export.rgb_detector import RgbDetectorExport
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.networks.rgb_detector import RGB_FINDER
from training.networks.rgb_detector import RgbDetectorNet
from training.recipes import rgb_detector
from training.recipes.rgb_detector import Batches
from training.recipes.rgb_detector import detector_figures
from training.recipes.rgb_detector import detector_loss
from training.recipes.rgb_detector import RgbFrameAugmentation
from training.recipes.rgb_detector import show
from training.recipes.rgb_detector import Shown
from training.recipes.rgb_detector import targets

STILL = RgbFrameAugmentation(zoom=(1.0, 1.0), turn=0, cropped=0, brightness=0, contrast=0, colour=0)


@pytest.fixture(scope='module')
def records() -> np.ndarray:
    stream = RgbFrames(5, 'train')
    return np.stack([stream[index] for index in range(10)])


@pytest.fixture(scope='module')
def some_hand(records: np.ndarray) -> np.ndarray:
    return next(record for record in records if record['count'] and record['holds'][0] and record['visible'][0] > 0.9)


def test_a_frame_follows_from_its_index(records: np.ndarray) -> None:
    assert RgbFrames(5, 'train')[3].tobytes() == records[3].tobytes()
    assert RgbFrames(5, 'validation')[3].tobytes() != records[3].tobytes()


def test_labels_move_with_the_image(some_hand: np.ndarray) -> None:
    """A mark painted at a label's place is found at the place of the shown label."""
    record = some_hand.copy()
    record['image'] = 0
    column, row = (round(float(place)) for place in record['square'][0, :2])
    record['image'][row - 2 : row + 3, column - 2 : column + 3] = 255
    config = dataclasses.replace(RgbFrameAugmentation(), cropped=0, brightness=0, contrast=0, colour=0)
    compared = 0
    for seed in range(8):
        shown = show(record, config, np.random.default_rng(seed))
        where = shown.square[0, :2]
        if not (6 < where[0] < 186 and 6 < where[1] < 138):
            continue  # the mark lies outside
        bright = shown.image.astype(float).sum(-1)
        bright -= np.median(bright)
        assert bright.max() >= 100
        bright[bright < 0.5 * bright.max()] = 0
        rows, columns = np.mgrid[: bright.shape[0], : bright.shape[1]]
        centroid = np.array([(bright * columns).sum(), (bright * rows).sum()]) / bright.sum()
        np.testing.assert_allclose(centroid, where, atol=1.2)
        compared += 1
    assert compared >= 4


def test_what_is_wanted_is_what_the_decoder_reads(records: np.ndarray) -> None:
    compared = 0
    for index, record in enumerate(records):
        shown = show(record, RgbFrameAugmentation(), np.random.default_rng(index))
        heat, _, _, square, kind, held, _ = targets(shown)
        found = decode(heat, square, kind, held, 4, 0.9)
        for number, (x, y, side) in enumerate(shown.square):
            inside = 0 < x < shown.image.shape[1] - 1 and 0 < y < shown.image.shape[0] - 1
            if shown.visible[number] < 0.45 or not inside or side < 12:
                continue
            hand = min(found, key=lambda hand: np.linalg.norm(hand.centre - [x, y]))
            if len(shown.square) > 1 and np.linalg.norm(shown.square[0, :2] - shown.square[1, :2]) < side:
                continue  # two hands in one place share their cells
            np.testing.assert_allclose(hand.centre, [x, y], atol=1e-6)
            assert hand.side == pytest.approx(side)
            assert (hand.right > 0.5) == shown.right[number] and (hand.holds > 0.5) == shown.holds[number]
            if shown.holds[number]:
                left, top, right, bottom = shown.held[number]
                np.testing.assert_allclose(hand.held, [left, top, right - left, bottom - top], atol=1e-6)
            compared += 1
    assert compared >= 4


def test_a_mirrored_hand_is_a_hand_of_the_other_side(some_hand: np.ndarray) -> None:
    sides = {bool(show(some_hand, RgbFrameAugmentation(), np.random.default_rng(seed)).right[0]) for seed in range(12)}
    assert sides == {True, False}


def test_it_learns_and_what_it_learned_ships(
    records: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = RgbDetectorNet()
    few = records[:6]
    shown = [show(record, STILL, None) for record in few]
    monkeypatch.setattr(rgb_detector, 'RgbFrameAugmentation', lambda: STILL)
    monkeypatch.setattr(rgb_detector, 'show', lambda record, config, rng: show(record, config, None))
    loop = LoopConfig(
        tmp_path,
        steps=60,
        batch=6,
        learning_rate=3e-3,
        precision='32-true',
        warm_up=0,
        every=100,
        averaging=0.5,
        threads=1,
    )
    before = detector_figures(network.eval(), shown)
    fit(network, loop, Batches(SimpleNamespace(ready=len(few), records=few), 6, 0), detector_loss, lambda module: {})
    after = detector_figures(network, shown)
    assert after['found'] >= 0.8 > before['found']
    assert after['side_right'] >= 0.8 and after['size_error'] < 0.3 and after['false_per_frame'] < 1
    torch.save(
        {
            'weights': network.state_dict(),
            'seed': 0,
            'figures': after,
            'progress': {'step': 60, 'samples': 360, 'seconds': 1.0},
        },
        tmp_path / 'weights.pt',
    )
    monkeypatch.undo()
    export(RgbDetectorExport(tmp_path / 'weights.pt', tmp_path / 'models'))
    again = RgbDetectorNet()
    load_weights(
        again.finder, tmp_path / 'models' / 'rgb_detector', torch.rand(4, 3, RGB_FINDER.height, RGB_FINDER.width)
    )
    detector = RgbDetector(tmp_path / 'models')
    for frame in shown:
        hands = detector(frame.image, 2, 0.3)
        for number, (x, y, side) in enumerate(frame.square):
            if frame.visible[number] > 0.9:
                assert min((np.linalg.norm(hand.centre - [x, y]) for hand in hands), default=999) < side
    figures = evaluate(RgbDetectorEvaluation(6, 'validation', tmp_path / 'models', card=True))
    assert set(figures) == set(after)
    assert Card.load(tmp_path / 'models' / 'rgb_detector').parameters['score_calibration'].keys() == {'scale', 'offset'}


def test_found_and_false_are_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((144, 192, 3), np.uint8)
    frame = Shown(
        image,
        np.array([[50.0, 60, 30], [150.0, 60, 30]]),
        np.array([True, False]),
        np.array([0.9, 0.2]),
        np.array([False, False]),
        np.zeros((2, 4)),
    )
    found = [
        SimpleNamespace(centre=np.array(place), side=30.0, score=0.9, right=0.9, holds=0.1, held=None)
        for place in ((52.0, 60.0), (100.0, 120.0), (155.0, 60.0))
    ]
    monkeypatch.setattr(rgb_detector, 'detect', lambda network, image: found)
    figures = detector_figures(torch.nn.Identity(), [frame])
    assert figures['found'] == 1 and figures['false_per_frame'] == 1 and figures['side_right'] == 1
    assert figures['centre_error'] == pytest.approx(2 / 30)
