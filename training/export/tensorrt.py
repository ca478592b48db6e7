# SPDX-License-Identifier: Apache-2.0
"""Builds TensorRT engines ahead of time, on the machine that will run them."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from typing import Literal

import tyro

from hoi_ros.engines import EngineError
from hoi_ros.engines import load_engine
from hoi_ros.engines.card import CARD_FILE


@dataclass(frozen=True)
class Build:
    """Builds the TensorRT engine of each model folder, on this machine's GPU and for it."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Model folders; none means every folder of models/ that holds a card."""
    precision: Literal['fp16', 'tf32', 'fp32'] = 'fp16'
    """What convolutions and matrix products compute in."""
    cache_dir: Path | None = None
    """Where the engines are kept; by default where the nodes look for them."""


def main(build: Build) -> int:
    """Builds the engines; returns the number that failed."""
    models = Path(__file__).parents[2] / 'models'
    failed = 0
    for folder in build.folders or sorted(card.parent for card in models.glob(f'*/{CARD_FILE}')):
        try:
            load_engine(folder, 'tensorrt', precision=build.precision, cache_dir=build.cache_dir, build_only=True)
        except EngineError as error:
            print(f'{folder}: {error}', file=sys.stderr)
            failed += 1
    return failed


if __name__ == '__main__':
    sys.exit(main(tyro.cli(Build)))
