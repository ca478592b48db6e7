# SPDX-License-Identifier: Apache-2.0
"""Measures the activation ranges of a model's convolutions, for 8-bit arithmetic on CPUs."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.engines.engine import Precision
from training.installation import InstallOptions
from training.installation import write_card

_PRECISIONS: tuple[Precision, Precision] = ('fp32', 'int8')
_EXACT_FIRST, _EXACT_LAST = 3, 4
"""Convolutions at the start and the end of a network that stay in float32: they cost little and rounding them
changes the outputs most."""


@dataclasses.dataclass(frozen=True)
class RoundingError:
    """Difference of the 8-bit network from the float32 one, as a share of an output's standard deviation."""

    mean: float
    largest: float


def write_activation_ranges(
    folder: Path,
    measured: Iterable[Mapping[str, NDArray]],
    compared: Iterable[Mapping[str, NDArray]],
    options: InstallOptions,
) -> dict[str, RoundingError]:
    """Measures the ranges and writes them into the card of a model folder.

    Args:
        folder: model folder.
        measured: inputs of the network, one item each, from its training data.
        compared: further inputs, on which the network is compared in 8 bits and in float32.
        options: of the command.

    Returns:
        The rounding error of each output.
    """
    card = Card.load(folder)
    ranges = activation_ranges(card.verified_model(folder), measured)
    card = dataclasses.replace(card, activations=ranges)
    errors = _rounding_errors(folder, card, list(compared))
    rounding = {name: round(error.mean, 4) for name, error in errors.items()}
    write_card(folder, dataclasses.replace(card, figures={**card.figures, 'rounding_to_8_bits': rounding}), options)
    return errors


def _rounding_errors(folder: Path, card: Card, inputs: Sequence[Mapping[str, NDArray]]) -> dict[str, RoundingError]:
    """Differences of the outputs in 8 bits, as the card says, from those in float32."""
    outputs = {}
    with tempfile.TemporaryDirectory() as copies:
        copy = Path(shutil.copytree(folder, Path(copies) / folder.name))
        card.save(copy)
        for precision in _PRECISIONS:
            with load_engine(copy, 'openvino', precision=precision) as engine:
                outputs[precision] = [engine(**item) for item in inputs]
    errors = {}
    for spec in card.outputs:
        exact, rounded = (np.concatenate([item[spec.name] for item in outputs[key]]) for key in _PRECISIONS)
        off = np.abs(rounded - exact) / max(float(exact.std()), 1e-9)
        errors[spec.name] = RoundingError(float(off.mean()), float(off.max()))
    return errors


def activation_ranges(model: Path, inputs: Iterable[Mapping[str, NDArray]]) -> dict[str, list[float]]:
    """Lowest and highest value of the inputs of a model's convolutions, by the tensor's name; 0 lies in each range."""
    graph = onnx.load(model)
    convolutions = [node.input[0] for node in graph.graph.node if node.op_type == 'Conv']
    names = list(dict.fromkeys(convolutions[_EXACT_FIRST : len(convolutions) - _EXACT_LAST]))
    given = {value.name for value in graph.graph.input}
    names = [name for name in names if name not in given]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=['CPUExecutionProvider'])
    low, high = np.zeros(len(names)), np.zeros(len(names))
    for item in inputs:
        found = session.run(names, dict(item))
        low = np.minimum(low, [array.min() for array in found])
        high = np.maximum(high, [array.max() for array in found])
    return {name: [_short(a), _short(b)] for name, a, b in zip(names, low, high, strict=True)}


def _short(value: float) -> float:
    return float(f'{value:.5g}')


def print_errors(folder: Path, errors: Mapping[str, RoundingError]) -> None:
    """Prints one line an output."""
    for name, error in errors.items():
        print(
            f'{folder.name}.{name}: 8 bits move it by {error.mean:.2%} of its deviation on average, '
            f'{error.largest:.1%} at most'
        )
