# SPDX-License-Identifier: Apache-2.0
"""A file of records that take long to make: it belongs to what made them, and grows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np


def read_records(path: Path, dtype: np.dtype, key: str) -> np.ndarray:
    """The records in a file; none where it is missing or was made of something else.

    Args:
        path: of the file.
        dtype: of a record.
        key: what the records depend on.
    """
    if path.is_file():
        with np.load(path, allow_pickle=False) as file:
            if str(file['key']) == key:
                return np.array(file['records'], dtype)
    return np.zeros(0, dtype)


def write_records(path: Path, records: np.ndarray, key: str) -> None:
    """Writes records and their key: a new file, which is then renamed, so that a stopped run leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix('.new')
    with open(fresh, 'wb') as file:
        np.savez(file, records=records, key=key)
    os.replace(fresh, path)
