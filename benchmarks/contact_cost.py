# SPDX-License-Identifier: Apache-2.0
"""Cost of GCN-Contact and its baselines: parameters, memory and time, each network in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

BATCH, TRAINED = 64, 4
"""Clouds of a batch at inference, and of a training step, which needs many times the memory."""
_ASKED = 128
"""Points of each cloud that a training step asks for, as the recipe does by default."""
_OBJECT_POINTS = 2048


@dataclasses.dataclass(frozen=True)
class NetworkCost:
    """Cost of one network on clouds of all hand vertices and 2,048 object points, on one thread.

    Attributes:
        parameters: trained numbers.
        memory_mb: peak of the process's memory beyond that before the first batch of `BATCH` clouds at inference.
        seconds: processor time of such a batch.
        training_memory_mb: the same for a training step of `TRAINED` clouds.
        training_seconds: processor time of such a step.
    """

    parameters: int
    memory_mb: float
    seconds: float
    training_memory_mb: float
    training_seconds: float


class CostError(RuntimeError):
    """The process of a network fails."""


def measure() -> dict[str, NetworkCost]:
    """Measures every network, one after the other.

    Raises:
        CostError: a process fails; the text ends with its output.
    """
    from training.networks.contact.choice import NETWORKS

    costs = {}
    for name in NETWORKS:
        parts = [_measured(name, what) for what in ('inference', 'training')]
        costs[name] = NetworkCost(**{key: value for part in parts for key, value in part.items()})
    return costs


def _measured(name: str, what: str) -> dict[str, float]:
    command = [sys.executable, '-m', 'benchmarks.contact_cost', name, what]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CostError(f'{name}, {what}: ended with {done.returncode}: {done.stderr.strip()[-500:]}')
    return json.loads(done.stdout)


def run_in_this_process(name: str, what: str) -> dict[str, float]:
    """Runs one network on a batch, twice, in a process that did nothing before.

    Args:
        name: of the network.
        what: 'inference' or 'training'.
    """
    import torch

    from training.networks.contact.choice import contact_network

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = contact_network(name)  # type: ignore[arg-type]
    parameters = sum(each.numel() for each in network.parameters())
    training = what == 'training'
    points, features = _clouds(TRAINED if training else BATCH)
    asked = torch.stack([torch.randperm(points.shape[1])[:_ASKED] for _ in points]) if training else None
    network.train(training)

    def step() -> None:
        with torch.set_grad_enabled(training):
            logits = network(points, features, asked)
            if training:
                logits.logsumexp(-1).mean().backward()

    # Forgets the peak that the imports left.
    Path('/proc/self/clear_refs').write_text('5')
    before = _peak_kb()
    step()
    peak = _peak_kb()
    began = time.process_time()
    step()
    prefix = 'training_' if training else ''
    found = {f'{prefix}memory_mb': (peak - before) * 1024 / 1e6, f'{prefix}seconds': time.process_time() - began}
    return found if training else {'parameters': parameters, **found}


def _peak_kb() -> int:
    """Most memory that this process has held, KiB."""
    status = Path('/proc/self/status').read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith('VmHWM:'))


def _clouds(count: int):
    """Clouds of hands at rest about ellipsoids."""
    import torch

    from hoi_ros.hand.model import HandModel
    from training.networks.contact.cloud import grasp_clouds

    hand = HandModel.load().to_torch()
    normals = torch.nn.functional.normalize(torch.randn(count, _OBJECT_POINTS, 3), dim=-1)
    ball = normals * torch.tensor([0.03, 0.04, 0.06]) + torch.tensor([0.0, 0.09, 0.05])
    pose = 0.1 * torch.randn(count, 48)
    return grasp_clouds(hand, pose, torch.zeros(count, 10), torch.zeros(count, 3), ball, normals)


if __name__ == '__main__':
    if len(sys.argv) > 2:
        print(json.dumps(run_in_this_process(sys.argv[1], sys.argv[2])))
    else:
        for network, cost in measure().items():
            print(network, dataclasses.asdict(cost))
