# SPDX-License-Identifier: Apache-2.0
"""Reads the arrays, numbers and strings of a pickle (Python 2 or 3) without running code of the pickle."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any
from typing import Self

import numpy as np
import scipy.sparse

_MOST_NUMBERS = 10_000_000
"""Limit of a sparse matrix, far above any label or hand model: a damaged size must not exhaust the memory."""


class PickleError(ValueError):
    """A pickle is damaged, asks for code, or an entry is not numeric."""


class _Record:
    """Stands for an object of the pickle: holds its arguments and state, runs nothing."""

    kind = ''
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Self:
        record = super().__new__(cls)
        record.arguments = arguments
        record.state = None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _kind(name: str) -> type[_Record]:
    return type(f'_{name.title()}Record', (_Record,), {'kind': name})


_ARRAY, _SCALAR, _SPARSE_COLUMNS, _SPARSE_ROWS = _kind('array'), _kind('scalar'), _kind('csc'), _kind('csr')
_DTYPE, _BYTES, _REBUILT, _OTHER = _kind('dtype'), _kind('bytes'), _kind('rebuilt'), _kind('other')
_CHUMPY, _SELECT, _INSTANCE = _kind('chumpy'), _kind('select'), _kind('instance')

_ADMITTED: dict[tuple[str, str], type[_Record]] = {
    **{
        (f'numpy.{core}.multiarray', name): kind
        for core in ('core', '_core')
        for name, kind in (('_reconstruct', _ARRAY), ('scalar', _SCALAR))
    },
    ('numpy', 'ndarray'): _OTHER,
    ('numpy', 'dtype'): _DTYPE,
    ('scipy.sparse.csc', 'csc_matrix'): _SPARSE_COLUMNS,
    ('scipy.sparse._csc', 'csc_matrix'): _SPARSE_COLUMNS,
    ('scipy.sparse.csr', 'csr_matrix'): _SPARSE_ROWS,
    ('scipy.sparse._csr', 'csr_matrix'): _SPARSE_ROWS,
    ('chumpy.ch', 'Ch'): _CHUMPY,
    ('chumpy.reordering', 'Select'): _SELECT,
    ('contactopt.hand_object', 'HandObject'): _INSTANCE,
    ('_codecs', 'encode'): _BYTES,
    **{(module, '_reconstructor'): _REBUILT for module in ('copy_reg', 'copyreg')},
    **{(module, name): _OTHER for module in ('__builtin__', 'builtins') for name in ('object', 'set', 'frozenset')},
}
"""Everything that a pickle may name, in the spellings of Python 2 and 3 and of old and new NumPy and SciPy."""


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Record]:
        admitted = _ADMITTED.get((module, name))
        if admitted is None:
            raise PickleError(
                f'refused, and nothing run: it asks for {module}.{name}, which no array needs; '
                'use the file of the original download'
            )
        return admitted


def read_dictionary(path: str | Path) -> dict[str, Any]:
    """Reads a pickled dictionary.

    Returns:
        Strings, numbers, lists and dictionaries as they are; `array` and `attributes` convert the other entries.

    Raises:
        PickleError: the file is damaged, holds no dictionary, or names anything but NumPy's and SciPy's array classes,
            chumpy's Ch and Select, and ContactOpt's HandObject.
    """
    content = _read(path)
    if not isinstance(content, dict):
        raise PickleError(f'holds a {type(content).__name__}, expected a dictionary')
    return content


def read_array_dictionary(path: str | Path) -> dict[str, Any]:
    """Reads a dictionary that `numpy.save` has written, as `read_dictionary` reads a pickled one."""
    try:
        with Path(path).open('rb') as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            _, _, dtype = header(file)
            if not dtype.hasobject:
                raise PickleError(f'holds an array of {dtype}, expected a dictionary')
            content = _InertUnpickler(file, encoding='latin1').load()
        (entry,) = content.state[-1]
    except PickleError:
        raise
    except Exception as error:  # a damaged file raises almost any exception
        raise PickleError(f'not a readable .npy file of a dictionary ({error}); download it again') from error
    if not isinstance(entry, dict):
        raise PickleError(f'holds a {type(entry).__name__}, expected a dictionary')
    return entry


def read_list(path: str | Path) -> list[Any]:
    """Reads a pickled list, as `read_dictionary` reads a dictionary."""
    content = _read(path)
    if not isinstance(content, list):
        raise PickleError(f'holds a {type(content).__name__}, expected a list')
    return content


def attributes(value: Any) -> dict[str, Any]:
    """The attributes of an instance of a class, of which nothing runs; `array` converts them.

    Raises:
        PickleError: the entry is no such instance.
    """
    if not isinstance(value, _INSTANCE) or not isinstance(value.state, dict):
        raise PickleError(f'a {type(value).__name__} where an instance with attributes was expected')
    return value.state


def array(value: Any) -> np.ndarray:
    """The array of an entry.

    Raises:
        PickleError: the entry is not numeric or is damaged.
    """
    try:
        return _array(value)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise PickleError(f'cannot be rebuilt ({error})') from error


def _read(path: str | Path) -> Any:
    try:
        with Path(path).open('rb') as file:
            return _InertUnpickler(file, encoding='latin1').load()
    except PickleError:
        raise
    except Exception as error:  # a damaged pickle raises almost any exception
        raise PickleError(f'not a readable pickle ({error}); download it again') from error


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, _Record):
        return np.asarray(value, float)
    record = value
    if record.kind == 'rebuilt':  # copy_reg._reconstructor(class, object, None)
        record = record.arguments[0]()
        record.state = value.state
    state = record.state
    if record.kind == 'array':
        _version, shape, dtype, by_column, data = state
        return _numbers(dtype, data).reshape(shape, order='F' if by_column else 'C')
    if record.kind == 'scalar':
        return _numbers(*record.arguments).reshape(())
    if record.kind == 'chumpy':
        return _array(state['x'])
    if record.kind == 'select':
        picked = _array(state['a']).ravel()[_array(state['idxs'])]
        shape = state.get('preferred_shape')
        return picked if shape is None else picked.reshape(shape)
    if record.kind in ('csc', 'csr'):
        rows, columns = (int(size) for size in state['_shape'])
        if rows * columns > _MOST_NUMBERS:
            raise ValueError(f'a matrix of {rows} × {columns} is too large for a hand')
        matrix = scipy.sparse.csc_matrix if record.kind == 'csc' else scipy.sparse.csr_matrix
        parts = tuple(_array(state[name]) for name in ('data', 'indices', 'indptr'))
        return matrix(parts, (rows, columns)).toarray()
    raise ValueError('not an array')


def _numbers(dtype: _Record, data: Any) -> np.ndarray:
    code, order = str(dtype.arguments[0]), str(dtype.state[1])
    if not re.fullmatch('[biuf][1248]', code) or order not in ('<', '>', '|', '='):
        raise ValueError(f'an array of dtype {order}{code}, expected plain numbers')
    if isinstance(data, _Record):  # _codecs.encode(text, 'latin1')
        data = data.arguments[0]
    if isinstance(data, str):
        data = data.encode('latin1')
    flat = np.frombuffer(data, np.dtype(order + code))
    return flat.astype(flat.dtype.newbyteorder('='))
