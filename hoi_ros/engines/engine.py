# SPDX-License-Identifier: Apache-2.0
"""The interface of every engine: named arrays in, checked against the card, named arrays out."""

import contextlib
from abc import ABC
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar
from typing import Literal
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hoi_ros.engines.card import Card
from hoi_ros.engines.card import named_shape
from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.errors import EngineError
from hoi_ros.engines.errors import InputError
from hoi_ros.engines.errors import PrecisionError

Precision = Literal['fp32', 'tf32', 'fp16', 'bf16', 'int8']
"""Type of the arithmetic; inputs, outputs and sums stay float32."""


class Engine(ABC):
    """One network, loaded and ready; used by one thread at a time.

    Attributes:
        card: the network's inputs, outputs and parameters.
        backend: "tensorrt", "openvino" or "onnxruntime".
        device: "cpu" or the GPU's name.
        precision: type of the arithmetic.
    """

    backend: ClassVar[str]
    precisions: ClassVar[tuple[Precision, ...]]

    def __init__(self, card: Card, model: Path, device: str, precision: Precision) -> None:
        if precision not in self.precisions:
            raise PrecisionError(
                f'{model}: {self.backend} was asked for precision {precision!r}; it computes in '
                f'{", ".join(self.precisions)}'
            )
        self.card = card
        self.device = device
        self.precision = precision
        self._model = model
        self._closed = False

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs of a call, in the card's order."""
        return self.card.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Outputs of a call, in the card's order."""
        return self.card.outputs

    def __call__(self, **inputs: NDArray) -> dict[str, NDArray]:
        """Runs the network on a batch.

        Args:
            inputs: one array an input, of the card's name, shape and dtype; it need not be contiguous. Where the card
                says `batch`, the first axis takes any number of items, the same for all inputs.

        Returns:
            One new array an output, by name, with as many items as the inputs.

        Raises:
            InputError: a name, a shape or a type is wrong.
            EngineError: the engine is closed.
        """
        if self._closed:
            raise EngineError(f'{self._model}: the engine is closed; load it again')
        names = [spec.name for spec in self.inputs]
        if inputs.keys() != set(names):
            raise InputError(f'{self._model} takes the inputs {names}, got {list(inputs)}')
        arrays = [_checked(self._model, spec, inputs[spec.name]) for spec in self.inputs]
        results = self._run_in_parts(arrays) if self.card.batched else self._run(arrays)
        return dict(zip((spec.name for spec in self.outputs), results, strict=True))

    def prepare(self, *batches: int) -> None:
        """Makes the network ready to run these numbers of items at once.

        OpenVINO compiles it for each number, which takes time and memory (`docs/engines.md`), and for one item only
        where nothing is prepared; other numbers of items run as several calls of prepared ones, the last one padded.
        The other backends run every number as it is.

        Raises:
            EngineError: a number is not in 1..`card.largest_batch`, or the model's batch is fixed.
        """
        for batch in batches:
            if not 1 <= batch <= self.card.largest_batch:
                raise EngineError(
                    f'{self._model}: a batch of {batch} cannot be prepared, expected 1 to {self.card.largest_batch}'
                )
            if batch > 1 and not self.card.batched:
                raise EngineError(
                    f'{self._model}: its batch is fixed, {batch} items cannot run at once: export it again'
                )

    def _run_in_parts(self, arrays: Sequence[NDArray]) -> Sequence[NDArray]:
        items = len(arrays[0])
        if any(len(array) != items for array in arrays):
            counts = {spec.name: len(array) for spec, array in zip(self.inputs, arrays, strict=True)}
            raise InputError(f'{self._model}: the inputs hold different numbers of items: {counts}')
        parts, start = [], 0
        while start < items:
            stop = start + self._part(items - start)
            parts.append(self._run([array[start:stop] for array in arrays]))
            start = stop
        if not parts:
            return [np.empty(spec.sized(0), spec.dtype) for spec in self.outputs]
        return parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    def _part(self, items: int) -> int:
        """Number of the remaining items that the next run takes."""
        return min(items, self.card.largest_batch)

    @abstractmethod
    def _run(self, arrays: Sequence[NDArray]) -> Sequence[NDArray]:
        """Runs one part: contiguous arrays in, new arrays out, both in the card's order."""

    def close(self) -> None:
        """Frees the network's memory; a later call raises EngineError."""
        if not self._closed:
            self._closed = True
            self._release()

    @abstractmethod
    def _release(self) -> None:
        """Frees the network and its buffers."""

    def __del__(self) -> None:
        # Nobody else frees the memory of a GPU; what fails while Python ends is of no use to anyone.
        with contextlib.suppress(Exception):
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _checked(model: Path, spec: TensorSpec, array: NDArray) -> NDArray:
    if not isinstance(array, np.ndarray):
        raise InputError(f'{model}: input {spec.name} is a {type(array).__name__}, expected a NumPy array')
    if array.shape != spec.sized(array.shape[0] if array.ndim else 0):
        expected = ', '.join(map(str, named_shape(spec.shape)))
        raise InputError(f'{model}: input {spec.name} has shape {list(array.shape)}, expected [{expected}]')
    if array.dtype != spec.dtype:
        raise InputError(
            f'{model}: input {spec.name} is {array.dtype}, expected {spec.dtype}: use .astype(np.{spec.dtype})'
        )
    return np.ascontiguousarray(array)
