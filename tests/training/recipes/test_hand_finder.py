# SPDX-License-Identifier: Apache-2.0
"""Targets, loss and figures of the hand finder, and a training of a few steps."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.stages.parts.hand_finder import decode
from hoi_ros.stages.parts.hand_finder import FoundHand
from training.data.synthetic.depth_frames import DepthFrames
from training.data.synthetic.depth_frames import FRAME_DTYPE
from training.data.synthetic.depth_frames import FRAME_HEIGHT
from training.data.synthetic.depth_frames import FRAME_WIDTH
from training.evaluation.hand_finder import finder_figures
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.networks.hand_finder import FinderConfig
from training.networks.hand_finder import HandFinderNet
from training.recipes.hand_finder import Batches
from training.recipes.hand_finder import finder_loss

CAMERA = Pinhole(FRAME_WIDTH, FRAME_HEIGHT, 130.0, 130.0, 80.5, 58.5)


def frame(*hands: tuple[float, float, float, bool, float]) -> np.ndarray:
    """A record of hands alone, each given as column, row, metres, right, visible share."""
    record = np.zeros((), FRAME_DTYPE)
    record['size'] = CAMERA.width, CAMERA.height
    record['camera'] = CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy
    record['count'] = len(hands)
    for number, (column, row, depth, right, visible) in enumerate(hands):
        record['centre'][number] = CAMERA.unproject(np.array([column, row]), np.array(depth))
        record['right'][number], record['visible'][number] = right, visible
    return record


def targets(record: np.ndarray, batch: int, step: int = 0) -> tuple[Tensor, ...]:
    """Several augmentations of one record."""
    return Batches(SimpleNamespace(records=record[None], ready=1), batch, 3)(step)


def decoded(heat: Tensor, place: Tensor, most: int = 2) -> list[FoundHand]:
    return decode(heat.numpy(), place.numpy(), CAMERA, most, 0.99)


def test_targets_decode_to_the_hands_of_the_frame() -> None:
    record = frame((60.3, 50.9, 0.5, True, 0.9), (101.7, 70.2, 0.8, False, 0.7))
    turns = []
    for _, heat, _, place, _ in zip(*targets(record, 16), strict=True):
        hands = sorted(decoded(heat, place), key=lambda hand: hand.centre[2])
        centres = np.stack([hand.centre for hand in hands])
        assert centres[:, 2] == pytest.approx([0.5, 0.8], abs=1e-4)
        # A roll about the optical axis and a mirror leave the lengths and the angle of the two as they are.
        across, expected = centres[:, :2], record['centre'][:, :2]
        np.testing.assert_allclose(across @ across.T, expected @ expected.T, atol=2e-4)
        turns.append(np.sign(np.linalg.det(across)) == np.sign(np.linalg.det(expected)))
    assert 3 <= sum(turns) <= 13, 'about half of the frames are not mirrored'


def test_hardly_visible_hands_are_neither_positives_nor_negatives() -> None:
    seen = 80.5, 58.5, 0.6, True
    for visible, peaks, weighed in ((0.9, 1, 1.0), (0.3, 0, 0.0), (0.05, 0, 1.0)):
        _, heat, weight, _, near = targets(frame((*seen, visible)), 1)
        assert (heat == 1).sum() == peaks and weight[0, 0, 14, 20] == weighed
        assert bool(near.any()) == bool(peaks)
        assert (weight[0, 0, :, :10] == 1).all()
    outside = targets(frame((80.5, -30, 0.6, True, 0.9)), 1)
    assert not (outside[1] == 1).any() and not outside[4].any()


def test_of_two_hands_in_the_same_cells_the_nearer_is_the_target() -> None:
    _, heat, _, place, _ = (
        tensor[0] for tensor in targets(frame((80.5, 58.5, 0.5, True, 0.9), (81.5, 58.5, 0.9, True, 0.6)), 1)
    )
    (first,) = decoded(heat, place, most=1)
    assert first.centre[2] == pytest.approx(0.5, abs=1e-4)


def test_the_loss_is_lowest_at_the_targets() -> None:
    batch = targets(frame((60.3, 50.9, 0.5, True, 0.9), (101.7, 70.2, 0.8, False, 0.7)), 4)
    _, heat, _, place, near = batch

    def costs(heat: Tensor, place: Tensor) -> dict[str, Tensor]:
        return finder_loss(lambda _: (heat, place), *batch)

    best = costs((heat == 1).float(), place)
    assert all(float(cost) < 2e-4 for cost in best.values())
    assert costs(heat * 0, place)['heat'] > 5
    assert costs(torch.ones_like(heat), place)['heat'] > 5
    moved = costs(heat, place + torch.tensor([0.5, -0.5, 0.1])[:, None, None])
    assert (float(moved['offset']), float(moved['depth'])) == pytest.approx((0.3, 0.2), rel=1e-3)
    elsewhere = costs(heat, place + 7 * (1 - near))
    assert all(float(elsewhere[name]) < 2e-4 for name in ('offset', 'depth'))


def test_the_network_learns_a_batch(tmp_path: Path) -> None:
    stream = DepthFrames(seed=5)
    records = np.stack([stream[index] for index in range(2)])
    batch = Batches(SimpleNamespace(records=records, ready=2), 2, 0)(0)
    sums: list[float] = []

    def recorded(forward: nn.Module, *tensors: Tensor) -> dict[str, Tensor]:
        terms = finder_loss(forward, *tensors)
        sums.append(sum(term.item() for term in terms.values()))
        return terms

    config = LoopConfig(
        tmp_path, steps=12, minutes=1e6, batch=2, learning_rate=4e-3, accelerator='cpu', precision='32-true', every=100
    )
    torch.manual_seed(0)
    network = HandFinderNet(FinderConfig(widths=(8, 16, 24, 32), head=16))
    fit(network, config, lambda step: batch, recorded, lambda module: {})
    assert sums[-1] < 0.5 * sums[0]
    heat, place = network(batch[0])
    assert heat.shape == (2, 1, 30, 40) and place.shape == (2, 3, 30, 40)
    assert ((heat >= 0) & (heat <= 1)).all()


class Scripted(nn.Module):
    """Returns the given maps, one frame after the other."""

    def __init__(self, answers: list[tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.answers = iter(answers)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        return next(self.answers)


def maps(*hands: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """Heat and place of a network that detects hands at these columns, rows and depths."""
    heat, place = torch.zeros(1, 1, 30, 40), torch.zeros(1, 3, 30, 40)
    for column, row, depth in hands:
        across, down = (column + 0.5) / 4 - 0.5, (row + 0.5) / 4 - 0.5
        cell = round(down), round(across)
        heat[0, 0, *cell] = 0.9
        place[0, :, *cell] = torch.tensor([across - cell[1], down - cell[0], (depth - 0.7) * 2])
    return heat, place


def test_figures_count_found_missed_and_false_detections() -> None:
    records = np.stack(
        [
            frame((60, 50, 0.5, True, 0.9), (100, 70, 0.6, False, 0.9)),
            frame((60, 50, 0.5, True, 0.9)),
            frame((60, 50, 0.5, True, 0.9)),
            frame((30, 30, 0.5, False, 0.3)),
            frame(),
        ]
    )
    answers = [
        maps((60, 50, 0.51), (100, 70, 0.61)),
        maps((60, 50, 0.51), (120, 30, 0.9)),  # no hand at the second
        maps(),  # missed
        maps((50, 30, 0.5)),  # near a hardly visible hand
        maps((90, 90, 0.7)),  # no hand
    ]
    figures = finder_figures(Scripted(answers), records)
    assert figures['found'] == pytest.approx(3 / 4)
    assert figures['false_per_frame'] == pytest.approx(2 / 5)
    assert 10 <= figures['centre_error_mm'] < 11


def test_one_detection_finds_one_hand() -> None:
    records = np.stack([frame((60, 50, 0.5, True, 0.9), (76, 50, 0.5, True, 0.9))])
    figures = finder_figures(Scripted([maps((68, 50, 0.5))]), records)
    assert figures['found'] == 0.5 and figures['false_per_frame'] == 0
