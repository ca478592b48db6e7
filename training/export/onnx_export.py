# SPDX-License-Identifier: Apache-2.0
"""Writes a model folder: an ONNX file with float16 weights, checked against PyTorch, and its card."""

import copy
import dataclasses
import hashlib
import math
import tempfile
import warnings
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx import TensorProto
from torch import nn
from torch import Tensor

from hoi_ros.engines import BATCH
from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from hoi_ros.engines.card import CARD_FILE
from hoi_ros.engines.onnx_graph import HALF_OPERATORS
from training.errors import TrainingError
from training.export.onnx_batch import make_batch_symbolic

OPSET = 17
MODEL_FILE = 'model.onnx'
GRAPH_TOLERANCE = 1e-4
"""Largest error of the float32 graph, as a share of the output's largest magnitude."""
WEIGHT_TOLERANCE = 1e-2
"""The same after the weights were rounded to float16."""
_BAKED_BATCH = (
    'the graph does not keep its items along the first axis of every tensor (training/export/onnx_batch.py): reshape '
    'and transpose without moving the batch'
)


class ExportError(TrainingError):
    """The exported network differs from the PyTorch module."""


def export_onnx(
    module: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[TensorSpec],
    directory: str | Path,
    card_fields: Mapping[str, Any],
    tolerance: float = WEIGHT_TOLERANCE,
    graph_tolerance: float = GRAPH_TOLERANCE,
    further: Sequence[Mapping[str, Tensor]] = (),
    single: int = 0,
    measured: Collection[str] = (),
) -> Card:
    """Exports `module` to `directory`/model.onnx and card.yaml.

    The first axis of every input and output takes any number of items, the others are static. The weights of
    convolutions and matrix products are stored in float16 behind a Cast, so that the arithmetic, the inputs and the
    outputs stay float32. The card's figures `graph_error` and `export_error`, before and after the weights were
    rounded, are the largest over all inputs that were compared.

    Args:
        module: called with the example's tensors in their order; gives a tensor, a sequence or a mapping.
        example: realistic inputs by name, batch 1; their other axes become the network's.
        outputs: of the module, in its order (or by name, for a mapping), batch 1 or `BATCH`.
        directory: the model folder; it is created if it does not exist.
        card_fields: `name`, `licence`, `data` and optionally `training`, `parameters` and `figures` of the Card;
            `inputs` may hold TensorSpecs with units and meanings of the inputs.
        tolerance: largest error that rounding the weights may cause, as a share of the output's magnitude.
        graph_tolerance: the same for the float32 graph and for items in a batch; a network with thresholds needs more.
        further: more inputs like the example, on which the file is also compared with PyTorch.
        single: weights of layers with at most this many stay float32. They cost little, and the rounding of the first
            layers goes through all others.
        measured: parameters that an earlier export of the same weights has a measured value of, which is kept.

    Raises:
        ExportError: ONNX Runtime and PyTorch disagree.
        CardError: the specs do not describe the network.
    """
    folder = Path(directory)
    named = _Named(copy.deepcopy(module).cpu().float().eval(), [spec.name for spec in outputs])
    tensors = {name: tensor.detach().cpu() for name, tensor in example.items()}
    cases = []
    for inputs in (tensors, *further):
        with torch.inference_mode():
            given = [result.numpy() for result in named(*(inputs[name].cpu() for name in tensors))]
        cases.append(({name: inputs[name].numpy(force=True) for name in tensors}, given))
    feeds, expected = cases[0]

    model = _simplified(_traced(named, tensors, outputs))
    make_batch_symbolic(model)
    graph_error = _check(model, cases, outputs, graph_tolerance, 'the float32 graph')
    store_weights_in_half(model, single)
    error = _check(model, cases, outputs, tolerance, 'the graph with float16 weights')
    _check_batch(model, cases, outputs, graph_tolerance)
    onnx.helper.set_model_props(model, {'name': str(card_fields['name']), 'licence': str(card_fields['licence'])})
    model.producer_name = 'hoi_ros'
    content = model.SerializeToString(deterministic=True)
    above = f' where there are more than {single} in a layer' if single else ''
    found = [TensorSpec(name, (BATCH, *array.shape[1:]), array.dtype.name) for name, array in feeds.items()]
    described = {spec.name: _batched(spec) for spec in card_fields.get('inputs', ())}
    card = Card(
        **{
            **card_fields,
            'inputs': tuple(described.get(spec.name, spec) for spec in found),
            'outputs': tuple(map(_batched, outputs)),
            'model': MODEL_FILE,
            'sha256': hashlib.sha256(content).hexdigest(),
            'precision': f'float16 weights{above}, float32 arithmetic',
            'figures': {**card_fields.get('figures', {}), 'graph_error': graph_error, 'export_error': error},
        }
    )
    card.check_network(
        folder / MODEL_FILE,
        found,
        [
            TensorSpec(spec.name, (BATCH, *array.shape[1:]), array.dtype.name)
            for spec, array in zip(outputs, expected, strict=True)
        ],
    )
    folder.mkdir(parents=True, exist_ok=True)
    card = with_measured_entries(card, folder, measured)
    (folder / MODEL_FILE).write_bytes(content)
    card.save(folder)
    return card


def with_measured_entries(card: Card, folder: Path, measured: Collection[str] = ()) -> Card:
    """The card with the calibrations and figures that were measured on an earlier export of the same weights.

    Args:
        card: of the new export.
        folder: of the earlier one.
        measured: parameters that the export gives a first value and a calibration a better one.
    """
    if not (folder / CARD_FILE).is_file():
        return card
    earlier = Card.load(folder)
    if earlier.sha256 != card.sha256:
        return card
    return dataclasses.replace(
        card,
        parameters={
            **earlier.parameters,
            **{
                name: earlier.parameters.get(name, value) if name in measured else value
                for name, value in card.parameters.items()
            },
        },
        figures={**earlier.figures, **card.figures},
        activations=earlier.activations,
    )


def store_weights_in_half(model: onnx.ModelProto, single: int = 0) -> None:
    """Rounds the weights of convolutions and matrix products to float16, in place, and adds a Cast behind each.

    Layers of at most `single` weights stay float32.
    """
    graph = model.graph
    weights = {name for node in graph.node if node.op_type in HALF_OPERATORS for name in node.input[:2]}
    for item in [
        item
        for item in graph.initializer
        if item.name in weights and item.data_type == TensorProto.FLOAT and math.prod(item.dims) > single
    ]:
        array = numpy_helper.to_array(item)
        with np.errstate(over='ignore'):
            half = array.astype(np.float16)
        if not np.isfinite(half).all():
            raise ExportError(
                f'the weight {item.name} reaches {np.abs(array).max():.3g}, float16 ends at 65504: scale it'
            )
        name = item.name
        item.CopyFrom(numpy_helper.from_array(half, f'{name}_float16'))
        graph.node.insert(
            0, onnx.helper.make_node('Cast', [item.name], [name], to=TensorProto.FLOAT, name=f'{name}_cast')
        )


class _Named(nn.Module):
    """A module that returns a tuple in the order of the output names."""

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.names = names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        result = self.module(*inputs)
        if isinstance(result, Mapping):
            return tuple(result[name] for name in self.names)
        return (result,) if isinstance(result, Tensor) else tuple(result)


def _traced(named: _Named, tensors: Mapping[str, Tensor], outputs: Sequence[TensorSpec]) -> bytes:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        path = Path(folder) / MODEL_FILE
        # The tracing exporter needs no further package; `make_batch_symbolic` frees the batch.
        torch.onnx.export(
            named,
            tuple(tensors.values()),
            str(path),
            input_names=list(tensors),
            output_names=[spec.name for spec in outputs],
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()


def _simplified(model: bytes) -> onnx.ModelProto:
    """Folds constants and shapes by ONNX Runtime's basic optimisations, which use standard operators only."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / MODEL_FILE)
        onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
        simplified = onnx.load(options.optimized_model_filepath)
    standard = [item for item in simplified.opset_import if item.domain in ('', 'ai.onnx')]
    del simplified.opset_import[:]
    simplified.opset_import.extend(standard)
    onnx.checker.check_model(simplified)
    return simplified


def _batched(spec: TensorSpec) -> TensorSpec:
    return dataclasses.replace(spec, shape=(BATCH, *spec.shape[1:]))


def _check_batch(
    model: onnx.ModelProto,
    cases: Sequence[tuple[Mapping[str, NDArray], Sequence[NDArray]]],
    outputs: Sequence[TensorSpec],
    tolerance: float,
) -> None:
    """Compares items in a batch with the same items alone.

    Raises:
        ExportError: they differ.
    """
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    items = [cases[index % len(cases)][0] for index in range(3)]
    items[1] = {name: -array if array.dtype.kind == 'f' else array for name, array in items[1].items()}
    try:
        together = session.run(None, {name: np.concatenate([item[name] for item in items]) for name in items[0]})
    except Exception as error:  # ONNX Runtime's errors share no other base.
        raise ExportError(f'{_BAKED_BATCH}: ONNX Runtime cannot run three items at once: {error}') from error
    alone = [session.run(None, dict(item)) for item in items]
    for spec, found, *wanted in zip(outputs, together, *alone, strict=True):
        wanted = np.concatenate(wanted)
        error = np.abs(found - wanted).max() / _magnitude(spec, wanted) if found.shape == wanted.shape else np.inf
        if not error <= tolerance:
            raise ExportError(
                f'{_BAKED_BATCH}: in a batch the output {spec.name} differs by {error:.2g} of its magnitude'
            )


def _magnitude(spec: TensorSpec, values: NDArray) -> float:
    """What an error of an output is relative to: its largest value; 1 for a probability, which may be next to 0."""
    return 1.0 if spec.unit == 'probability' else max(float(np.abs(values).max()), 1e-6)


def _check(
    model: onnx.ModelProto,
    cases: Sequence[tuple[Mapping[str, NDArray], Sequence[NDArray]]],
    outputs: Sequence[TensorSpec],
    tolerance: float,
    what: str,
) -> dict[str, float]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    errors = dict.fromkeys((spec.name for spec in outputs), 0.0)
    for feeds, expected in cases:
        for spec, found, wanted in zip(outputs, session.run(None, dict(feeds)), expected, strict=True):
            error = float(np.abs(found - wanted).max() / _magnitude(spec, wanted))
            if not error <= tolerance:
                raise ExportError(
                    f'{what}: the output {spec.name} differs from PyTorch by {error:.2g} of its largest '
                    f'magnitude, at most {tolerance:.2g} is allowed'
                )
            errors[spec.name] = max(errors[spec.name], float(f'{error:.2g}'))
    return errors
