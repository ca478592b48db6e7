# SPDX-License-Identifier: Apache-2.0
"""The networks alone, in the engine that the robot takes and in its peers on the same machine."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import Spread
from benchmarks.timing import time_in_turns
from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.resources import models_dir
from training.export.onnx_export import export_onnx
from training.networks.reconstruction import COMPACT
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import PAPER
from training.networks.reconstruction import ReconstructionNet

NETWORKS = ('depth_pose', 'hand_finder', 'reconstruction')
AT_256 = {'reconstruction at 256': dataclasses.replace(COMPACT, size=256), 'reconstruction of the paper': PAPER}
"""Networks of `reconstruction` for crops of 256×256 pixels, the first of which is of the widths that ship. They are
timed untrained: how long they take does not depend on what they learned."""


@dataclasses.dataclass(frozen=True)
class NetworkSpeed:
    """One network: the engine's times and how many times as long its peers take (ratio of the medians)."""

    backend: str
    engine: Spread
    peers: dict[str, float]


def measure(seconds: float) -> dict[str, NetworkSpeed]:
    """Times every network, `seconds` in all."""
    share = seconds / (len(NETWORKS) + len(AT_256))
    speeds = {name: network_speed(models_dir() / name, share) for name in NETWORKS}
    with tempfile.TemporaryDirectory() as made:
        for name, config in AT_256.items():
            network = FinalReconstruction(ReconstructionNet(config).eval())
            image = torch.zeros(1, 3, config.size, config.size)
            export_onnx(
                network,
                {'image': image},
                network.outputs,
                Path(made) / name,
                {'name': name, 'licence': 'Apache-2.0', 'data': 'none: untrained'},
            )
            speeds[name] = network_speed(Path(made) / name, share)
    return speeds


def network_speed(folder: Path, seconds: float) -> NetworkSpeed:
    """Times the network of a model folder in all its engines, `seconds` in all."""
    card = Card.load(folder)
    rng = np.random.default_rng(0)
    inputs = {spec.name: rng.uniform(-1, 1, spec.sized()).astype(spec.dtype) for spec in card.inputs}
    with load_engine(folder) as chosen, load_engine(folder, 'onnxruntime') as onnxruntime:
        calls: dict[str, Callable[[int], object]] = {
            chosen.backend: lambda number: chosen(**inputs),
            'onnxruntime': lambda number: onnxruntime(**inputs),
        }
        times = time_in_turns(calls, seconds / len(calls))
        spreads = {backend: Spread.of(taken) for backend, taken in times.items()}
        engine = spreads[chosen.backend]
        return NetworkSpeed(
            chosen.backend,
            engine,
            {
                backend: spread.p50_ms / engine.p50_ms
                for backend, spread in spreads.items()
                if backend != chosen.backend
            },
        )
