# SPDX-License-Identifier: Apache-2.0
"""Vectors in the last axis of arrays."""

from __future__ import annotations

import numpy as np


def dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(...) products of vectors (..., C)."""
    return np.einsum('...c,...c->...', one, other)


def units(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., C) of length 1."""
    return vectors / np.sqrt(np.maximum(dot(vectors, vectors), 1e-20))[..., None]


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
