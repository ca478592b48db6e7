# SPDX-License-Identifier: Apache-2.0
"""The families of objects, and sampling from them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from training.data.synthetic.objects.shape import ObjectShape
from training.data.synthetic.objects.solids import ball
from training.data.synthetic.objects.solids import banana
from training.data.synthetic.objects.solids import blob
from training.data.synthetic.objects.solids import box
from training.data.synthetic.objects.tools import tool
from training.data.synthetic.objects.vessels import bottle
from training.data.synthetic.objects.vessels import bowl
from training.data.synthetic.objects.vessels import can
from training.data.synthetic.objects.vessels import mug
from training.data.synthetic.objects.vessels import spray

_MAKERS: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]] = {
    'box': box,
    'can': can,
    'bottle': bottle,
    'mug': mug,
    'bowl': bowl,
    'tool': tool,
    'ball': ball,
    'blob': blob,
    'spray': spray,
    'banana': banana,
}
"""Makers of random vertices (M, 3) and faces (F, 3), by family."""

HELD_OUT: tuple[str, str] = ('spray', 'banana')
"""Families that are never shown in training."""
FAMILIES: tuple[str, ...] = tuple(name for name in _MAKERS if name not in HELD_OUT)
"""Families of the training objects."""


def sample_object(rng: np.random.Generator, families: Sequence[str] | None = None) -> ObjectShape:
    """Samples an object of one of the families, each equally probable; None stands for FAMILIES.

    Raises:
        KeyError: no such family.
    """
    names = FAMILIES if families is None else tuple(families)
    family = names[rng.integers(len(names))]
    vertices, faces = _MAKERS[family](rng)
    middle = (vertices.min(0) + vertices.max(0)) / 2
    return ObjectShape(family, (vertices - middle).astype(np.float32), faces.astype(np.int32))
