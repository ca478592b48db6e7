# SPDX-License-Identifier: Apache-2.0
"""The mesh of an object beside its record."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ObjectMesh(NamedTuple):
    """The object of a record in its own frame: vertices (M, 3) float32 in metres, faces (F, 3) int32."""

    vertices: np.ndarray
    faces: np.ndarray
