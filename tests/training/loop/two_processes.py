# SPDX-License-Identifier: Apache-2.0
"""A training in two processes, started by test_fitting.py: python two_processes.py FOLDER."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

from training.data.pool import SamplePool
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights


class Numbers:
    """A stream whose sample is its index plus one."""

    def __getitem__(self, index: int) -> np.ndarray:
        return np.array(index + 1.0, np.float32)


def main(folder: Path) -> None:
    pool = SamplePool(Numbers, np.dtype(np.float32), folder / 'numbers.pool', 'seed 0', 64, 2, False)
    pool.wait(64)
    drawn: list[int] = []

    def batch(number: int) -> tuple[torch.Tensor]:
        drawn.append(number)
        time.sleep(0.01 * (1 + int(os.environ['LOCAL_RANK'])))  # the second process is slower
        values = pool.records[np.random.default_rng(number).integers(64, size=8)]
        return (torch.from_numpy(values[:, None] / 64),)

    def loss(forward: torch.nn.Module, values: torch.Tensor) -> dict[str, torch.Tensor]:
        return {'distance': (forward(values) - 2 * values).square().mean()}

    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    network.register_parameter('unused', torch.nn.Parameter(torch.zeros(2)))
    config = LoopConfig(
        folder / 'run',
        minutes=0.04,
        batch=8,
        accelerator='cpu',
        devices=2,
        precision='32-true',
        threads=1,
        every=10,
        optimizer='muon',
    )
    progress = fit(network, config, batch, loss, lambda module: {})
    pool.close()
    rank = int(os.environ['LOCAL_RANK'])
    save_weights(network, config, progress, {}, rank=rank)
    weights = torch.cat([value.detach().flatten() for value in network.parameters()])
    (folder / f'{rank}.json').write_text(
        json.dumps(
            {
                'drawn': drawn,
                'steps': progress.step,
                'samples': progress.samples,
                'made': pool.made,
                'weights': weights.tolist(),
            }
        )
    )


if __name__ == '__main__':
    main(Path(sys.argv[1]))
