# SPDX-License-Identifier: Apache-2.0
"""8-bit convolutions on a CPU: activation ranges of a card → quantisation that OpenVINO compiles.

Weights are rounded to 255 levels symmetrically for each output channel, activations to 256 levels of their range
(Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018). Sums, biases and all other operators keep their precision.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13

ActivationRanges = Mapping[str, Sequence[float]]
"""Lowest and highest value of the input of each convolution that may be rounded, by the tensor's name."""

_CONVOLUTIONS = {'Convolution', 'GroupConvolution'}


def supported() -> bool:
    """Whether OpenVINO has 8-bit kernels for this processor."""
    return platform.machine() in ('x86_64', 'AMD64')


def quantise(network: openvino.Model, ranges: ActivationRanges) -> None:
    """Rounds the weights and inputs of the convolutions whose input has a range, in place."""
    rounded: dict[str, openvino.Output] = {}
    for node in network.get_ordered_ops():
        if node.get_type_name() not in _CONVOLUTIONS:
            continue
        source = node.input(0).get_source_output()
        name = next((name for name in source.get_names() if name in ranges), None)
        if name is None:
            continue
        if name not in rounded:
            low, high = (np.float32(bound) for bound in ranges[name])
            rounded[name] = _rounded(source, low, high, 256)
        node.input(0).replace_source_output(rounded[name])
        weights = _constant(node.input(1).get_source_output().get_node())
        largest = np.abs(weights).max(axis=tuple(range(1, weights.ndim)), keepdims=True)
        largest = np.maximum(largest, np.float32(1e-12))
        node.input(1).replace_source_output(_rounded(opset13.constant(weights).output(0), -largest, largest, 255))
    network.validate_nodes_and_infer_types()


def _rounded(
    value: openvino.Output, low: NDArray | np.float32, high: NDArray | np.float32, levels: int
) -> openvino.Output:
    lowest, highest = opset13.constant(low), opset13.constant(high)
    return opset13.fake_quantize(value, lowest, highest, lowest, highest, levels).output(0)


def _constant(node: openvino.Node) -> np.ndarray:
    """The values of a constant, stored in float16 behind a conversion or in float32."""
    while node.get_type_name() != 'Constant':
        node = node.input(0).get_source_output().get_node()
    return np.array(node.data, np.float32)
