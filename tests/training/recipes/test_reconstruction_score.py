# SPDX-License-Identifier: Apache-2.0
"""The hand score of `reconstruction`: labels, features, training and export."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.resources import models_dir
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from training.data.synthetic.rgb_frames import RgbFrames
from training.evaluation.reconstruction_score import labelled
from training.export import reconstruction as reconstruction_export
from training.loop.fitting import LoopConfig
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import COMPACT
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_weights import load_network
from training.networks.weights import load_weights
from training.recipes import reconstruction_score
from training.recipes.reconstruction_score import ReconstructionScoreRecipe
from training.recipes.reconstruction_score import roc_auc
from training.recipes.reconstruction_score import train
from training.recipes.reconstruction_score_crops import collect_crops
from training.recipes.reconstruction_score_crops import frame_images
from training.recipes.reconstruction_score_crops import LabelledImage
from training.recipes.reconstruction_score_crops import NO_HAND
from training.recipes.reconstruction_score_crops import scored_crops
from training.recipes.reconstruction_score_crops import shown_hand

SMALL = ReconstructionConfig(widths=(8, 8, 16, 32), blocks=(1, 1, 1, 1), size=64, features=8, slots=4, readout='votes')
HAND = np.array([[100.0, 80, 40]])
SEEN = np.array([0.9])


class SameFrames(RgbFrames):
    """Validates with the training frames."""

    def __init__(self, seed: int, split: str = 'train', **_: object) -> None:
        super().__init__(5, 'train')


def test_labels_of_squares() -> None:
    other = [300.0, 80, 40]
    assert shown_hand(np.array([110.0, 80]), 50.0, np.array([other, *HAND]), np.array([0.9, *SEEN])) == 1
    assert shown_hand(np.array([200.0, 80]), 50.0, HAND, SEEN) == NO_HAND
    assert shown_hand(np.array([110.0, 80]), 50.0, HAND[:0], SEEN[:0]) == NO_HAND
    for centre, side, visible in (
        ((130.0, 80), 40.0, SEEN),
        ((110.0, 80), 90.0, SEEN),
        ((100.0, 80), 40.0, SEEN / 5),
        ((160.0, 80), 150.0, SEEN),
    ):
        assert shown_hand(np.array(centre), side, HAND, visible) is None


def test_features_cover_both_sides_and_every_pass() -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(SMALL).eval()
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    detected = [
        DetectedHand(np.array([102.0, 82.0]), 44.0, 0.6, 0.5, 0.1, None),
        DetectedHand(np.array([250.0, 160.0]), 30.0, 0.1, 0.5, 0.1, None),
    ]

    class Detector:
        """Detects the same hands in the whole image, none in a window."""

        def __init__(self, hands: list[DetectedHand]) -> None:
            self._hands = hands

        def __call__(self, part: np.ndarray, most: int, threshold: float) -> list[DetectedHand]:
            return self._hands if part.shape == image.shape else []

        def batch(self, parts: list[np.ndarray], most: int, threshold: float) -> list[list[DetectedHand]]:
            return [self(part, most, threshold) for part in parts]

    labelled = LabelledImage(image, HAND, SEEN, np.array([True]))
    crops = scored_crops(network, Detector(detected), labelled)
    features = crops.hand
    assert features.shape[1] == network.hand[0].in_features and 4 < len(features) == len(crops.shows) <= 12
    # The first pass, as right and as left hands.
    assert crops.shows[:4].tolist() == [True, True, False, False] and not np.allclose(features[0], features[1])
    assert len(crops.holds) == len(crops.holding) == crops.shows.sum() and crops.holding.all()
    assert crops.holds.shape[1] == network.holds[0].in_features
    none = scored_crops(network, Detector([]), labelled)
    assert none.hand.shape == (0, features.shape[1]) and len(none.shows) == len(none.holds) == len(none.holding) == 0
    near = scored_crops(network, Detector([]), labelled, labelled.regions(np.random.default_rng(0)))
    assert near.shows[:2].tolist() == [True, True]


@pytest.mark.slow
def test_the_trained_score_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_pool: Callable) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(COMPACT)
    stream = RgbFrames(5, 'train')
    frames = [stream[index] for index in range(4)]
    pictures = np.stack([cv2.resize(frame['image'], (128, 128)) for frame in frames])
    load_weights(
        FinalReconstruction(network),
        models_dir() / 'reconstruction',
        torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1,
        partly=True,
    )
    weights = tmp_path / 'weights.pt'
    torch.save(
        {
            'weights': network.state_dict(),
            'network': dataclasses.asdict(COMPACT),
            'data': 'synthetic',
            'seed': 0,
            'branch': 'both',
            'progress': {'step': 1, 'samples': 1, 'seconds': 1.0},
            'figures': {'side_right': 0.5, 'holds_told': 0.5, 'joints_within_2_cm': 0.1},
        },
        weights,
    )
    monkeypatch.setattr(reconstruction_score, '_VALIDATION_FRAMES', 4)
    monkeypatch.setattr(reconstruction_score, 'RgbFrames', SameFrames)
    monkeypatch.setattr(reconstruction_score, 'SamplePool', full_pool(np.stack(frames)))
    figures = train(
        ReconstructionScoreRecipe(
            weights,
            models_dir(),
            frames=4,
            workers=1,
            loop=LoopConfig(
                tmp_path / 'run', steps=150, batch=64, precision='32-true', averaging=0.9, every=1000, threads=1
            ),
        )
    )
    figure = figures['hand_told']
    assert figure > 0.95 and 'holds_told' not in figures
    again = load_network(tmp_path / 'run' / 'weights.pt')
    assert {
        name.split('.')[0]
        for name, value in again.state_dict().items()
        if not torch.equal(value, network.state_dict()[name])
    } == {'hand'}
    crops = collect_crops(again, models_dir(), frame_images(frames))
    alone, shared = (collect_crops(again, models_dir(), frame_images(frames[:2]), [3], count) for count in (1, 2))
    for one, other in zip(dataclasses.astuple(alone), dataclasses.astuple(shared), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    hands = crops.shows
    with torch.inference_mode():
        scores = again.hand(torch.from_numpy(crops.hand))[:, 0].numpy()
    assert roc_auc(scores, hands) == pytest.approx(figure, abs=1e-3)
    assert (roc_auc(-scores, hands), roc_auc(0 * scores, hands)) == pytest.approx((1 - figure, 0.5), abs=1e-3)
    monkeypatch.setattr(reconstruction_export, '_COMPARED', 2)
    reconstruction_export.export(reconstruction_export.ReconstructionExport(tmp_path / 'run' / 'weights.pt'))
    image = torch.from_numpy(pictures[:1]).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        expected = torch.sigmoid(again(image).hand).item()
    outputs = load_engine(tmp_path / 'run' / 'models' / 'reconstruction', 'openvino')(image=image.numpy())
    assert outputs['hand'].item() == pytest.approx(expected, abs=2e-3)


@pytest.mark.slow
def test_the_heads_of_a_model_folder_learn_from_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_pool: Callable, photo_root: Path
) -> None:
    """Everything but the heads stays as it is in the exported file, and the card names the photos."""
    stream = RgbFrames(5, 'train')
    frames = [stream[index] for index in range(4)]
    monkeypatch.setattr(reconstruction_score, '_VALIDATION_FRAMES', 2)
    monkeypatch.setattr(reconstruction_score, 'SamplePool', full_pool(np.stack(frames)))
    shipped = models_dir() / 'reconstruction'
    loop = LoopConfig(tmp_path / 'run', steps=100, batch=64, precision='32-true', averaging=0.9, every=1000, threads=1)
    figures = train(ReconstructionScoreRecipe(shipped, models_dir(), frames=4, workers=1, photos=photo_root, loop=loop))
    assert 'hand_told' in figures
    reconstruction_export.export(reconstruction_export.ReconstructionExport(tmp_path / 'run' / 'weights.pt'))
    folder = tmp_path / 'run' / 'models' / 'reconstruction'
    before, after = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(at / 'model.onnx').graph.initializer}
        for at in (shipped, folder)
    )
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert before.keys() == after.keys() and changed
    assert {name.split('.')[2] for name in changed} == {'hand', 'holds'}
    card = Card.load(folder)
    assert 'grocery (3 images, MIT)' in card.data and 'No real image' not in card.data
    assert 'score_calibration' not in card.parameters
    measured = {'score_calibration': {'scale': 0.5, 'offset': -1.0}, 'claims': {'contact': 0.25}}
    dataclasses.replace(card, parameters={**card.parameters, **measured}).save(folder)
    again = reconstruction_export.export(
        reconstruction_export.ReconstructionExport(tmp_path / 'run' / 'weights.pt', tmp_path / 'installed')
    )
    assert again.parameters.items() >= measured.items() and again.training == card.training
    outputs = load_engine(folder, 'onnxruntime')(image=np.zeros((1, 3, 128, 128), np.float32))
    assert 0 <= outputs['hand'].item() <= 1 and 0 <= outputs['holds'].item() <= 1


def test_reports_of_hardly_visible_hands_are_left_out() -> None:
    def hand(x: float) -> SimpleNamespace:
        points = np.random.default_rng(0).uniform(-0.08, 0.08, (21, 3)) + [x, 0, 0.6]
        return SimpleNamespace(
            keypoints=points,
            joints=points,
            camera=SimpleNamespace(project=lambda points: 600 * points[..., :2] / points[..., 2:] + [320, 240]),
        )

    visible, hidden, other = hand(-0.15), hand(0.0), hand(0.25)
    frame = SimpleNamespace(hands=(visible, hidden), visible=(0.9, 0.3))
    assert labelled([visible, hidden, other], frame) == [(visible, True), (other, False)]
