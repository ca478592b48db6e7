# SPDX-License-Identifier: Apache-2.0
"""Time of the networks alone, in the engine that the robot uses and in ONNX Runtime, on one machine."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.own_files import own_module
from benchmarks.timing import Spread
from benchmarks.timing import time_in_turns
from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.engines.loading import Backend
from hoi_ros.resources import models_dir
from hoi_ros.systems import SYSTEMS

_CARD = 'card.yaml'
_PEER: Backend = 'onnxruntime'
"""Backend that is timed beside the one that the robot uses."""


@dataclasses.dataclass(frozen=True)
class NetworkSpeed:
    """One network: the engine's times and the ratio of each peer's median to the engine's."""

    backend: str
    engine: Spread
    peers: dict[str, float]


def shipped_networks(models: Path) -> dict[str, Path]:
    """The model folders that hold a card, by name."""
    return {card.parent.name: card.parent for card in sorted(models.glob(f'*/{_CARD}'))}


def measure(seconds: float) -> dict[str, NetworkSpeed]:
    """Times every network of models/ and those that `benchmarks/<system>_networks.py` exports, `seconds` in all."""
    with tempfile.TemporaryDirectory() as folder:
        folders = shipped_networks(models_dir())
        for name in SYSTEMS:
            if (module := own_module(name, 'networks')) is not None:
                folders |= module.export(Path(folder) / name)
        return {name: network_speed(path, seconds / len(folders)) for name, path in folders.items()}


def network_speed(folder: Path, seconds: float) -> NetworkSpeed:
    """Times the network of a model folder on one item in all its engines, `seconds` in all."""
    card = Card.load(folder)
    rng = np.random.default_rng(0)
    inputs = {spec.name: rng.uniform(-1, 1, spec.sized()).astype(spec.dtype) for spec in card.inputs}
    with load_engine(folder) as chosen, load_engine(folder, _PEER) as peer:
        calls: dict[str, Callable[[int], object]] = {
            chosen.backend: lambda number: chosen(**inputs),
            _PEER: lambda number: peer(**inputs),
        }
        times = time_in_turns(calls, seconds / len(calls))
    spreads = {backend: Spread.of(taken) for backend, taken in times.items()}
    engine = spreads.pop(chosen.backend)
    ratios = {backend: spread.p50_ms / engine.p50_ms for backend, spread in spreads.items()}
    return NetworkSpeed(chosen.backend, engine, ratios)
