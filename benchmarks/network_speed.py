# SPDX-License-Identifier: Apache-2.0
"""The networks alone, in the engine that the robot takes and in its peers on the same machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnxruntime

from benchmarks.timing import Spread
from benchmarks.timing import time_in_turns
from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.resources import models_dir

NETWORKS = ('depth_pose', 'hand_finder')


@dataclasses.dataclass(frozen=True)
class NetworkSpeed:
    """One network: the engine's times and how many times as long its peers take (ratio of the medians)."""

    backend: str
    engine: Spread
    peers: dict[str, float]


def measure(seconds: float) -> dict[str, NetworkSpeed]:
    """Times every network, `seconds` in all."""
    return {name: network_speed(name, seconds / len(NETWORKS)) for name in NETWORKS}


def network_speed(name: str, seconds: float) -> NetworkSpeed:
    """Times one network of the models folder in all its engines, `seconds` in all."""
    folder = models_dir() / name
    card = Card.load(folder)
    rng = np.random.default_rng(0)
    inputs = {spec.name: rng.uniform(-1, 1, spec.shape).astype(spec.dtype) for spec in card.inputs}
    with load_engine(folder) as chosen, load_engine(folder, 'pytorch') as pytorch:
        session = onnxruntime.InferenceSession(str(card.verified_model(folder)),
                                               providers=['CPUExecutionProvider'])
        calls: dict[str, Callable[[int], object]] = {
            chosen.backend: lambda number: chosen(**inputs),
            'pytorch': lambda number: pytorch(**inputs),
            'onnxruntime': lambda number: session.run(None, inputs)}
        times = time_in_turns(calls, seconds / len(calls))
        spreads = {backend: Spread.of(taken) for backend, taken in times.items()}
        engine = spreads[chosen.backend]
        return NetworkSpeed(chosen.backend, engine, {
            backend: spread.p50_ms / engine.p50_ms for backend, spread in spreads.items() if backend != chosen.backend})
