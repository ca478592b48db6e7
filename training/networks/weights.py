# SPDX-License-Identifier: Apache-2.0
"""Loads the weights of an exported model folder into a trainable network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch import Tensor

from hoi_ros.engines import Card
from training.errors import TrainingError


def require_start(start: Path | None, name: str, file: bool = False) -> None:
    """Checks `--start` before any sample is rendered.

    Args:
        start: of the command.
        name: of the network that the model folder has to hold.
        file: whether a weights.pt will do too.

    Raises:
        FileNotFoundError: there is nothing.
        ImportedWeightsError: it is no model folder, or that of another network.
        CardError: the folder holds no model.
    """
    if start is None or (file and start.is_file()):
        return
    if not start.exists():
        raise FileNotFoundError(f'--start {start}: no such file or folder')
    if not start.is_dir():
        raise ImportedWeightsError(f'--start {start} is a file; expected a model folder that holds {name}')
    held = Card.load(start).name
    if held != name:
        raise ImportedWeightsError(f'--start {start} holds {held}; expected a model folder that holds {name}')


class ImportedWeightsError(TrainingError):
    """The file does not hold this network's weights."""


def load_weights(network: nn.Module, folder: Path, *example: Tensor, partly: bool = False) -> list[str]:
    """Loads the weights of a model folder that `export_onnx` wrote.

    In an exported network the batch normalisation is folded into the convolutions. This function unfolds it with the
    statistics of the example, so that the network computes what the file computes and can be trained further.

    Args:
        network: in place.
        folder: the model folder.
        example: a batch of realistic inputs, for the statistics.
        partly: whether parameters that the file does not hold by themselves (the export multiplies constant products
            out) may keep their values.

    Returns:
        The names of the parameters that kept their values.

    Raises:
        CardError: the folder holds no model.
        ImportedWeightsError: the file holds another network.
    """
    graph, constants = _graph_of(folder)
    modules = dict(network.named_modules())
    following: dict[str, nn.BatchNorm2d] = {}
    for parent in modules.values():
        if isinstance(parent, nn.Sequential):
            for first, second in zip(parent, list(parent)[1:]):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    following[id(first)] = second
    hooks, named = [], set()
    try:
        for node in graph.node:
            if node.op_type not in ('Conv', 'Gemm'):
                continue
            name = _module_name(node.output[0])
            layer = modules.get(name) if name else None
            if layer is None and partly:
                continue
            weight, bias = (torch.tensor(constants[key], dtype=torch.float32) for key in node.input[1:3])
            if not isinstance(layer, nn.Conv2d | nn.Linear) or layer.weight.shape != weight.shape:
                raise ImportedWeightsError(
                    f'{folder}: {name} {tuple(weight.shape)} is not a layer of '
                    f'{type(network).__name__}; expected a folder exported from this network'
                )
            named.add(name)
            with torch.no_grad():
                layer.weight.copy_(weight)
                if layer.bias is not None:
                    layer.bias.copy_(bias)
            if id(layer) in following:
                hooks.append(layer.register_forward_hook(_Unfold(following[id(layer)], bias)))
        kept = _by_name(network, constants) | _multiplied(network, _products(graph, constants), named)
        missing = {name for name, module in modules.items() if isinstance(module, nn.Conv2d | nn.Linear)} - named
        if missing and not partly:
            raise ImportedWeightsError(f'{folder}: no weights for {", ".join(sorted(missing))}')
        with torch.no_grad():
            network.eval()(*example)
    finally:
        for hook in hooks:
            hook.remove()
    norms = {name for name, module in modules.items() if id(module) in map(id, following.values())}
    return [
        name
        for name, _ in network.named_parameters()
        if name not in kept and name.rpartition('.')[0] not in named | norms
    ]


def multiplied(folder: Path) -> dict[str, list[np.ndarray]]:
    """The constants (N, M) of a model folder that matrices are multiplied with or that are added to them, by the module
    that does so."""
    return _products(*_graph_of(folder))


def _products(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    found: dict[str, list[np.ndarray]] = {}
    for node in graph.node:
        if node.op_type in ('MatMul', 'Add', 'Gemm'):
            values = [constants[key] for key in node.input if key in constants and constants[key].ndim == 2]
            # A product fused with its bias has the bias's name alone.
            named = node.input[2].removeprefix('module.') if node.op_type == 'Gemm' else ''
            found.setdefault(named.removesuffix('.bias') or _module_name(node.output[0]), []).extend(values)
    return found


def _graph_of(folder: Path) -> tuple[onnx.GraphProto, dict[str, np.ndarray]]:
    """The graph of a model folder and its constants by name, those behind a cast too."""
    graph = onnx.load(folder / Card.load(folder).model).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == 'Cast'}
    return graph, {**constants, **{name: constants[given] for name, given in casts.items() if given in constants}}


def _multiplied(network: nn.Module, products: Mapping[str, list[np.ndarray]], named: set[str]) -> set[str]:
    """Copies the weights of linear layers that the export transposed, other than the named; returns their names."""
    filled = set()
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear) and name not in named:
            for value in products.get(name, ()):
                if value.T.shape == tuple(layer.weight.shape):
                    with torch.no_grad():
                        layer.weight.copy_(torch.tensor(value.T, dtype=torch.float32))
                    filled.add(f'{name}.weight')
    return filled


def _by_name(network: nn.Module, constants: dict[str, np.ndarray]) -> set[str]:
    """Copies the parameters and buffers that the file holds under their own names; returns these names."""
    filled = set()
    for name, value in (*network.named_parameters(), *network.named_buffers()):
        found = constants.get(f'module.{name}', constants.get(f'module.{name}_float16'))
        if found is not None and found.shape == tuple(value.shape):
            with torch.no_grad():
                value.copy_(torch.tensor(found, dtype=value.dtype))
            filled.add(name)
    return filled


class _Unfold:
    """Sets a batch normalisation so that it outputs the convolution's output plus the folded bias."""

    def __init__(self, norm: nn.BatchNorm2d, bias: Tensor) -> None:
        self._norm, self._bias = norm, bias

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        mean, variance = output.mean((0, 2, 3)), output.var((0, 2, 3))
        self._norm.running_mean.copy_(mean)
        self._norm.running_var.copy_(variance)
        self._norm.weight.copy_((variance + self._norm.eps).sqrt())
        self._norm.bias.copy_(self._bias + mean)


def _module_name(output: str) -> str:
    """'/module/stem/stem.2/first/first.0/Conv_output_0' → 'stem.2.first.0'."""
    parts: list[str] = []
    for token in output.split('/')[2:-1]:
        if parts and token.startswith(parts[-1] + '.'):
            parts[-1] = token
        else:
            parts.append(token)
    return '.'.join(parts)
