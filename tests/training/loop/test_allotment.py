# SPDX-License-Identifier: Apache-2.0
"""Training and rendering share the cores of the machine; the precision follows its hardware."""

import pytest
import torch

from training.errors import TrainingError
from training.loop import allotment
from training.loop.allotment import allot
from training.loop.allotment import Allotment
from training.loop.allotment import precision_of


@pytest.mark.parametrize(
    ('cores', 'filling', 'beside', 'threads'), [(1, 1, 1, 1), (2, 2, 1, 1), (4, 4, 1, 3), (16, 16, 4, 12)]
)
def test_training_on_the_cpu_uses_each_core_once(
    cores: int, filling: int, beside: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allotment, 'available_cores', lambda: cores)
    assert allot('cpu') == Allotment(filling, beside, threads)


def test_beside_gpus_two_cores_a_device_feed_it_and_the_others_render(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allotment, 'available_cores', lambda: 16)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert allot('cuda') == Allotment(16, 14, 2)
    assert allot('cuda', devices=2) == Allotment(16, 12, 2)
    with pytest.raises(TrainingError, match='PyTorch sees 2 GPU'):
        allot('cuda', devices=3)


def test_options_override_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allotment, 'available_cores', lambda: 8)
    assert allot('cpu', workers=3) == Allotment(3, 3, 5)
    assert allot('cpu', workers=3, threads=2) == Allotment(3, 3, 2)


def test_the_precision_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    for amx, gpu, expected in (
        (False, False, '32-true'),
        (True, False, 'bf16-mixed'),
        (False, True, 'bf16-mixed'),
    ):
        monkeypatch.setattr(allotment, 'has_amx', lambda amx=amx: amx)
        monkeypatch.setattr(torch.cuda, 'is_available', lambda gpu=gpu: gpu)
        assert precision_of('auto') == expected
