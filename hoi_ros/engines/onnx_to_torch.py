# SPDX-License-Identifier: Apache-2.0
"""Runs an ONNX graph of static shapes on PyTorch, operator by operator."""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor

from hoi_ros.engines.errors import UnsupportedOperatorError

Function = Callable[..., Any]
Numbers = Sequence[int] | None


@dataclass(frozen=True)
class Operator:
    """The function that does an ONNX operator, and which of its inputs are numbers (shapes, axes, scales)."""

    function: Function
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Step:
    """One node made ready: numbers and attributes bound, and the values that nobody reads after it."""

    label: str
    function: Function
    inputs: tuple[str | list[float] | None, ...]
    attributes: dict[str, Any]
    outputs: tuple[str, ...]
    dead: tuple[str, ...]


class OnnxNetwork:
    """An ONNX graph as a function of tensors on one device."""

    def __init__(self, model: onnx.ModelProto, path: Path, device: torch.device) -> None:
        """Binds the graph of `path`.

        Raises:
            UnsupportedOperatorError: an operator, or a way of using it, is outside the table.
        """
        self._path = path
        self._inputs = [value.name for value in model.graph.input]
        self._outputs = [value.name for value in model.graph.output]
        graph = model.graph
        constants = {item.name: torch.tensor(numpy_helper.to_array(item)) for item in graph.initializer}
        constants |= {node.output[0]: _constant(node) for node in graph.node if node.op_type == 'Constant'}
        nodes = [node for node in graph.node if node.op_type != 'Constant']
        last_use = {name: index for index, node in enumerate(nodes) for name in (*node.output, *node.input)}
        kept = {*constants, *self._outputs, ''}
        self._steps: list[Step] = []
        for index, node in enumerate(nodes):
            touched = {*node.input, *node.output} - kept
            dead = tuple(name for name in touched if last_use[name] == index)
            self._steps.append(self._bind(node, constants, dead))
        used = {item for step in self._steps for item in step.inputs if isinstance(item, str)}
        held = (used | {*self._outputs}) & constants.keys()
        self._constants = {name: _laid_out(constants[name].to(device)) for name in held}

    def __call__(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Runs the graph; inputs and outputs in the graph's order."""
        values = self._constants | dict(zip(self._inputs, inputs, strict=True))
        for step in self._steps:
            arguments = [values[item] if isinstance(item, str) else item for item in step.inputs]
            try:
                result = step.function(*arguments, **step.attributes)
            except (TypeError, NotImplementedError) as error:
                raise self._unsupported(step.label, f'{error}; choose another backend') from error
            results = (result,) if isinstance(result, Tensor) else result
            values.update(zip(step.outputs, results, strict=False))
            for name in step.dead:
                values.pop(name, None)
        return [values[name] for name in self._outputs]

    def _bind(self, node: onnx.NodeProto, constants: dict[str, Tensor], dead: tuple[str, ...]) -> Step:
        label = f'the node {node.name or node.output[0]} ({node.op_type})'
        if node.domain not in ('', 'ai.onnx') or node.op_type not in OPERATORS:
            why = f'{node.op_type} is not in the operator table of onnx_to_torch; choose another backend'
            raise self._unsupported(label, why)
        operator = OPERATORS[node.op_type]
        inputs: list[str | list[float] | None] = []
        for index, name in enumerate(node.input):
            if index in operator.numbers and name:
                if name not in constants:
                    why = f'its input {name} is computed, expected a constant; export with static shapes'
                    raise self._unsupported(label, why)
                inputs.append(constants[name].tolist())
            else:
                inputs.append(name or None)
        attributes = {item.name: _attribute(item) for item in node.attribute}
        return Step(label, operator.function, tuple(inputs), attributes, tuple(node.output), dead)

    def _unsupported(self, label: str, why: str) -> UnsupportedOperatorError:
        return UnsupportedOperatorError(f'{self._path}: PyTorch cannot run {label}: {why}')


def _attribute(item: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(item)
    return value.decode() if isinstance(value, bytes) else value


def _constant(node: onnx.NodeProto) -> Tensor:
    value = onnx.helper.get_attribute_value(node.attribute[0])
    return torch.tensor(numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value)


def _laid_out(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _padded(x: Tensor, pads: Numbers, value: float = 0.0) -> tuple[Tensor, list[int]]:
    """PyTorch's one pad an axis; where ONNX's begin and end differ, the padding is done here."""
    rank = x.ndim - 2
    begin, end = list(pads or [0] * rank)[:rank], list(pads or [0] * rank)[-rank:]
    if begin == end:
        return x, begin
    return _pad(x, [0, 0, *begin, 0, 0, *end], value), [0] * rank


def _cropped(pads: Numbers, rank: int) -> list[int]:
    """As `_padded`, where no padding can be done beforehand."""
    begin, end = list(pads or [0] * rank)[:rank], list(pads or [0] * rank)[-rank:]
    if begin != end:
        raise NotImplementedError(f'pads {begin} and {end} differ')
    return begin


def _explicit(auto_pad: str) -> None:
    if auto_pad not in ('NOTSET', 'VALID'):
        raise NotImplementedError(f'auto_pad is {auto_pad}')


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Numbers = None,
    strides: Numbers = None,
    pads: Numbers = None,
    dilations: Numbers = None,
    group: int = 1,
    auto_pad: str = 'NOTSET',
) -> Tensor:
    _explicit(auto_pad)
    rank = x.ndim - 2
    x, padding = _padded(x, pads)
    convolution = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    return convolution(x, weight, bias, strides or [1] * rank, padding, dilations or [1] * rank, group)


def _conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Numbers = None,
    strides: Numbers = None,
    pads: Numbers = None,
    output_padding: Numbers = None,
    dilations: Numbers = None,
    group: int = 1,
    auto_pad: str = 'NOTSET',
) -> Tensor:
    _explicit(auto_pad)
    rank = x.ndim - 2
    padding = _cropped(pads, rank)
    convolution = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    ones, extra = [1] * rank, output_padding or [0] * rank
    return convolution(x, weight, bias, strides or ones, padding, extra, group, dilations or ones)


def _max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Numbers = None,
    pads: Numbers = None,
    dilations: Numbers = None,
    ceil_mode: int = 0,
    storage_order: int = 0,
    auto_pad: str = 'NOTSET',
) -> Tensor:
    _explicit(auto_pad)
    rank = x.ndim - 2
    x, padding = _padded(x, pads, float('-inf'))
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
    return pool(x, kernel_shape, strides or [1] * rank, padding, dilations or [1] * rank, bool(ceil_mode))


def _average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Numbers = None,
    pads: Numbers = None,
    count_include_pad: int = 0,
    ceil_mode: int = 0,
    auto_pad: str = 'NOTSET',
) -> Tensor:
    _explicit(auto_pad)
    rank = x.ndim - 2
    padding = _cropped(pads, rank)
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
    return pool(x, kernel_shape, strides or [1] * rank, padding, bool(ceil_mode), bool(count_include_pad))


def _resize(
    x: Tensor,
    roi: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
    sizes: Numbers = None,
    *,
    mode: str = 'nearest',
    coordinate_transformation_mode: str = 'half_pixel',
    nearest_mode: str = 'round_prefer_floor',
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    antialias: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = 'stretch',
) -> Tensor:
    if scales:
        sizes = [int(size * scale) for size, scale in zip(x.shape, scales, strict=True)]
    place = coordinate_transformation_mode
    if mode == 'nearest' and (place, nearest_mode) == ('asymmetric', 'floor') and sizes:
        return F.interpolate(x, size=list(sizes[2:]), mode='nearest')
    smooth = mode != 'nearest' and place in ('half_pixel', 'pytorch_half_pixel', 'align_corners')
    if not smooth or not sizes or x.ndim != 4 or exclude_outside or antialias:
        raise NotImplementedError(f'mode {mode}, {place}, {nearest_mode}, sizes {sizes}')
    way = {'linear': 'bilinear', 'cubic': 'bicubic'}[mode]
    return F.interpolate(x, size=list(sizes[2:]), mode=way, align_corners=place == 'align_corners')


def _pad(
    x: Tensor,
    pads: Sequence[int],
    value: float | None = None,
    axes: Numbers = None,
    *,
    mode: str = 'constant',
) -> Tensor:
    begin, end = [0] * x.ndim, [0] * x.ndim
    for index, axis in enumerate(axes if axes is not None else range(x.ndim)):
        begin[axis], end[axis] = pads[index], pads[index + len(pads) // 2]
    pairs = [size for axis in reversed(range(x.ndim)) for size in (begin[axis], end[axis])]
    if mode == 'constant':
        return F.pad(x, pairs, 'constant', value or 0.0)
    while pairs[-2:] == [0, 0]:
        pairs = pairs[:-2]
    return F.pad(x, pairs, {'reflect': 'reflect', 'edge': 'replicate'}[mode])


def _gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    a, b = a.mT if transA else a, b.mT if transB else b
    return torch.addmm(c, a, b, beta=beta, alpha=alpha) if c is not None else alpha * (a @ b)


def _reshape(x: Tensor, shape: Sequence[int], *, allowzero: int = 0) -> Tensor:
    return x.reshape([size or (0 if allowzero else x.shape[axis]) for axis, size in enumerate(shape)])


def _slice(
    x: Tensor, starts: Sequence[int], ends: Sequence[int], axes: Numbers = None, steps: Numbers = None
) -> Tensor:
    for index, axis in enumerate(axes if axes is not None else range(len(starts))):
        step, size = (steps[index] if steps else 1), x.shape[axis]
        end = None if ends[index] < -size else ends[index]
        if step > 0:
            window = [slice(None)] * x.ndim
            window[axis] = slice(starts[index], end, step)
            x = x[tuple(window)]
        elif range(size)[starts[index] : end : step] == range(size - 1, -1, -1):
            x = x.flip(axis)
        else:
            raise NotImplementedError(f'step {step} over a part of an axis')
    return x


def _split(x: Tensor, sizes: Numbers = None, *, axis: int = 0, num_outputs: int = 1) -> Sequence[Tensor]:
    return x.split(list(sizes) if sizes else -(-x.shape[axis] // num_outputs), axis)


def _squeeze(x: Tensor, axes: Numbers = None) -> Tensor:
    return x.squeeze(tuple(axes)) if axes else x.squeeze()


def _cumsum(x: Tensor, axis: Sequence[int] | int, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    if exclusive or reverse:
        raise NotImplementedError('a running sum that is exclusive or runs backwards')
    return x.cumsum(axis if isinstance(axis, int) else int(axis[0]))


def _top(x: Tensor, count: Sequence[int], *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Sequence[Tensor]:
    return x.topk(int(count[0]), axis, bool(largest), bool(sorted))


def _unsqueeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _expand(x: Tensor, shape: Sequence[int]) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape)))


def _flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    return x.reshape(x.shape[:axis].numel(), -1)


def _gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    picked = x.index_select(axis, indices.reshape(-1) % x.shape[axis])
    axis %= x.ndim
    return picked.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:
    return x.to(getattr(torch, onnx.helper.tensor_dtype_to_np_dtype(to).name))


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return x if low is None and high is None else torch.clamp(x, low, high)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else 'trunc')


def _batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Tensor:
    return F.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def _instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def _layer_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    return F.layer_norm(x, x.shape[axis:], scale, bias, epsilon)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x >= 0, x, x * slope)


def _reduction(reduce: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> Operator:
    """A reduction whose axes come as an attribute (older operator sets) or as a constant input."""

    def run(
        x: Tensor,
        given: Numbers = None,
        *,
        axes: Numbers = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        chosen = tuple(given or axes or ())
        if not chosen and noop_with_empty_axes:
            return x
        return reduce(x, chosen or tuple(range(x.ndim)), bool(keepdims))

    return Operator(run, (1,))


def _arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    return x.argmax(axis, bool(keepdims))


OPERATORS: dict[str, Operator] = {
    name: Operator(function)
    for name, function in {
        'Abs': torch.abs,
        'Add': torch.add,
        'And': torch.logical_and,
        'ArgMax': _arg_max,
        'AveragePool': _average_pool,
        'BatchNormalization': _batch_norm,
        'Cast': _cast,
        'Ceil': torch.ceil,
        'Clip': _clip,
        'Concat': lambda *tensors, axis: torch.cat(tensors, axis),
        'Conv': _conv,
        'ConvTranspose': _conv_transpose,
        'Cos': torch.cos,
        'Div': _divide,
        'Einsum': lambda *tensors, equation: torch.einsum(equation, *tensors),
        'Elu': lambda x, alpha=1.0: F.elu(x, alpha),
        'Equal': torch.eq,
        'Erf': torch.erf,
        'Exp': torch.exp,
        'Flatten': _flatten,
        'Floor': torch.floor,
        'Gather': _gather,
        'Gelu': lambda x, approximate='none': F.gelu(x, approximate=approximate),
        'Gemm': _gemm,
        'GlobalAveragePool': lambda x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
        'Greater': torch.gt,
        'GreaterOrEqual': torch.ge,
        'HardSigmoid': lambda x, alpha=0.2, beta=0.5: torch.clamp(alpha * x + beta, 0, 1),
        'HardSwish': F.hardswish,
        'Identity': lambda x: x,
        'InstanceNormalization': _instance_norm,
        'LayerNormalization': _layer_norm,
        'LeakyRelu': lambda x, alpha=0.01: F.leaky_relu(x, alpha),
        'Less': torch.lt,
        'LessOrEqual': torch.le,
        'Log': torch.log,
        'LogSoftmax': lambda x, axis=-1: torch.log_softmax(x, axis),
        'MatMul': torch.matmul,
        'Max': lambda *tensors: torch.stack(torch.broadcast_tensors(*tensors)).amax(0),
        'MaxPool': _max_pool,
        'Min': lambda *tensors: torch.stack(torch.broadcast_tensors(*tensors)).amin(0),
        'Mul': torch.mul,
        'Neg': torch.neg,
        'Not': torch.logical_not,
        'Or': torch.logical_or,
        'PRelu': _prelu,
        'Pow': torch.pow,
        'Reciprocal': torch.reciprocal,
        'Relu': torch.relu,
        'Sigmoid': torch.sigmoid,
        'Sin': torch.sin,
        'Softmax': lambda x, axis=-1: torch.softmax(x, axis),
        'Softplus': F.softplus,
        'Sqrt': torch.sqrt,
        'Sub': torch.sub,
        'Tanh': torch.tanh,
        'Transpose': lambda x, perm: x.permute(perm),
        'Where': torch.where,
    }.items()
} | {
    'CumSum': Operator(_cumsum, (1,)),
    'Expand': Operator(_expand, (1,)),
    'GatherElements': Operator(lambda x, index, *, axis=0: x.gather(axis, index)),
    'Pad': Operator(_pad, (1, 2, 3)),
    'ReduceL2': _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, dim=axes, keepdim=keep)),
    'ReduceMax': _reduction(lambda x, axes, keep: x.amax(axes, keep)),
    'ReduceMean': _reduction(lambda x, axes, keep: x.mean(axes, keep)),
    'ReduceMin': _reduction(lambda x, axes, keep: x.amin(axes, keep)),
    'ReduceSum': _reduction(lambda x, axes, keep: x.sum(axes, keep)),
    'Reshape': Operator(_reshape, (1,)),
    'Resize': Operator(_resize, (1, 2, 3)),
    'Slice': Operator(_slice, (1, 2, 3, 4)),
    'Split': Operator(_split, (1,)),
    'Squeeze': Operator(_squeeze, (1,)),
    'Tile': Operator(lambda x, repeats: x.repeat(tuple(repeats)), (1,)),
    'TopK': Operator(_top, (1,)),
    'Unsqueeze': Operator(_unsqueeze, (1,)),
}
