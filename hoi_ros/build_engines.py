# SPDX-License-Identifier: Apache-2.0
"""Builds TensorRT engines ahead of time: `ros2 run hoi_ros build_engines`, or `python -m hoi_ros.build_engines`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from typing import Literal
from typing import TYPE_CHECKING

import tyro

from hoi_ros.engines import Card
from hoi_ros.engines import CardError
from hoi_ros.engines import EngineError
from hoi_ros.engines import MissingBackendError
from hoi_ros.engines.card import CARD_FILE
from hoi_ros.engines.cuda_driver import first_gpu
from hoi_ros.engines.engine_cache import default_cache_dir
from hoi_ros.engines.loading import missing_packages
from hoi_ros.resources import model_dirs
from hoi_ros.resources import ResourceError

if TYPE_CHECKING:
    from hoi_ros.engines.tensorrt_builder import Target


@dataclass(frozen=True)
class BuildEngines:
    """Builds the TensorRT engines of the models, so that no node has to on its first start."""

    models: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Models of the package, such as hand_finder, or model folders; none means every model of the package."""
    precision: Literal['fp16', 'tf32', 'fp32'] = 'fp16'
    """What convolutions and matrix products compute in; the nodes take fp16."""
    target: str | None = None
    """Compute capability to build for, such as 8.6, with TensorRT for RTX: the GPU need not be here. By default the GPU
    that is here."""
    cache: Path | None = None
    """Folder of the engines; by default where the nodes look for them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, or 1 if an engine could not be built."""
    return build(tyro.cli(BuildEngines, prog='build_engines', args=arguments))


def build(command: BuildEngines) -> int:
    """Builds every engine that the cache lacks; returns 0, or 1 if one could not be built."""
    failed = False
    try:
        folders = _folders(command.models)
        target = _target(command.target)
    except (EngineError, ResourceError) as error:
        print(f'build_engines: {error}', file=sys.stderr)
        return 1
    from hoi_ros.engines.tensorrt_builder import build_engine

    cache = command.cache or default_cache_dir()
    for folder in folders:
        try:
            card = Card.load(folder)
            model = card.verified_model(folder)
            built = build_engine(card, model, target, command.precision, cache, _say)
        except EngineError as error:
            print(f'build_engines: {error}', file=sys.stderr)
            failed = True
            continue
        path = cache / target.key(card, command.precision).file_name
        if not path.is_file():
            failed = True
            continue
        _say(f'{card.name}: {"built" if built.now else "nothing to do,"} {path}')
    return int(failed)


def _folders(models: Sequence[str]) -> list[Path]:
    if not models:
        return _shipped()
    folders = []
    for model in models:
        choices = (Path(model), *(folder for folder in _shipped() if folder.name == model))
        found = [folder for folder in choices if (folder / CARD_FILE).is_file()]
        if not found:
            known = ', '.join(folder.name for folder in _shipped())
            raise CardError(f'{model} is neither a folder with a {CARD_FILE} nor one of {known}')
        folders.append(found[0])
    return folders


def _shipped() -> list[Path]:
    return [folder for folder in model_dirs() if (folder / CARD_FILE).is_file()]


def _target(capability: str | None) -> 'Target':
    if missing := missing_packages('tensorrt'):
        raise MissingBackendError(f'building needs {" and ".join(missing)}: install what is missing with pip')
    from hoi_ros.engines.tensorrt_builder import Target

    if capability is not None:
        return Target.of_capability(capability)
    gpu = first_gpu()
    if gpu is None:
        raise MissingBackendError(
            'there is no NVIDIA GPU to build for: name its compute capability, such as --target 8.6 (TensorRT for '
            'RTX), or look at nvidia-smi and CUDA_VISIBLE_DEVICES'
        )
    return Target.of_gpu(gpu)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == '__main__':
    sys.exit(main())
