# SPDX-License-Identifier: Apache-2.0
"""Objects for two hands: larger boxes, boards, trays, pots, balls, bottles and tools, and those that one hand holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.objects import sample_object
from training.data.synthetic.objects.sections import log_uniform
from training.data.synthetic.objects.sections import oval
from training.data.synthetic.objects.sections import stacked
from training.data.synthetic.objects.sections import uniform
from training.data.synthetic.objects.sewing import SewnMesh

Mesh = tuple[np.ndarray, np.ndarray]


def carton(rng: np.random.Generator) -> Mesh:
    """A box of 15 to 40 cm with rounded edges."""
    shape = sample_object(rng, ['box'])
    longest = log_uniform(rng, 0.15, 0.4)
    sides = rng.permutation([longest, longest * uniform(rng, 0.45, 1), longest * uniform(rng, 0.3, 0.9)])
    return shape.vertices / shape.extents * sides, shape.faces


def board(rng: np.random.Generator) -> Mesh:
    """A flat plate of 22 to 45 cm: cutting board, book, tablet."""
    shape = sample_object(rng, ['box'])
    longest = uniform(rng, 0.22, 0.45)
    thick = uniform(rng, 0.008, 0.035)
    return shape.vertices / shape.extents * [longest, longest * uniform(rng, 0.5, 0.8), thick], shape.faces


def tray(rng: np.random.Generator) -> Mesh:
    """A tray of 25 to 45 cm with a rim, oval to rectangular."""
    half = uniform(rng, 0.125, 0.225) * np.array([1, uniform(rng, 0.6, 1)])
    height, wall, floor = uniform(rng, 0.015, 0.05), uniform(rng, 0.004, 0.008), uniform(rng, 0.004, 0.008)
    lip, slope = uniform(rng, 0.004, 0.03), uniform(rng, 0, 0.02)
    # Outside from the foot to the lip's edge, over it, and inside down to the floor.
    heights = [0, 0.002, height - wall, height - wall, height - wall / 2, height, height, floor + 0.003, floor]
    inset = [lip + slope + 0.004, lip + slope, lip, 0.001, 0, 0.001, lip + wall, lip + slope + wall]
    inset = np.array([*inset, lip + slope + wall + 0.004])
    skin = SewnMesh()
    skin.tube(stacked(np.array(heights), half - inset[:, None], oval(48, log_uniform(rng, 2, 9))))
    return skin.mesh()


def pot(rng: np.random.Generator) -> Mesh:
    """A pot of 16 to 28 cm with a handle at either side."""
    radius, wall = uniform(rng, 0.08, 0.14), uniform(rng, 0.003, 0.006)
    height = radius * uniform(rng, 0.6, 1.4)
    thick = np.array([uniform(rng, 0.005, 0.009), uniform(rng, 0.006, 0.011)])  # half-axes of the handles
    middle = height * uniform(rng, 0.7, 0.85)
    reach, wide = uniform(rng, 0.035, 0.055), uniform(rng, 0.04, 0.055)
    low, high = middle - thick[0], middle + thick[0]
    heights = np.array([0, 0.004, low / 2, low, middle, high, height, height, wall + 0.004, wall])
    radii = radius - np.array([0.006, 0, 0, 0, 0, 0, 0, wall, wall, wall + 0.004])
    around, half = wide / radius, thick[1] / radius
    one = np.concatenate([np.linspace(side * around - half, side * around + half, 3) for side in (-1, 1)])
    turn = np.concatenate([one, np.linspace(one[-1], np.pi + one[0], 9)[1:-1]])
    turn = np.concatenate([turn, turn + np.pi])
    size = len(turn) // 2
    holes = [(3, 5, first + start, first + start + 2) for first in (0, size) for start in (0, 3)]
    skin = SewnMesh()
    loops = skin.tube(stacked(heights, radii, np.stack([np.cos(turn), np.sin(turn)], 1)), holes)
    way = np.linspace(0.06, 0.94, 14) * np.pi
    for side, (start, end) in zip((1, -1), (loops[:2], loops[2:]), strict=True):
        centres = np.stack(
            [radius * np.cos(around) + reach * np.sin(way) ** 0.5, -wide * np.cos(way), 0 * way + middle], 1
        )
        centres[:, :2] *= side
        skin.branch(start, centres, np.array([0.0, 0, 1]), np.tile(thick, (14, 1)), end)
    return skin.mesh()


def large_ball(rng: np.random.Generator) -> Mesh:
    """A ball, melon or lamp of 12 to 30 cm."""
    shape = sample_object(rng, ['ball'])
    return shape.vertices / shape.extents.max() * log_uniform(rng, 0.12, 0.3), shape.faces


def large_bottle(rng: np.random.Generator) -> Mesh:
    """A bottle of 18 to 34 cm."""
    shape = sample_object(rng, ['bottle'])
    return shape.vertices * (uniform(rng, 0.18, 0.34) / shape.extents[2]), shape.faces


def long_tool(rng: np.random.Generator) -> Mesh:
    """A tool of 26 to 55 cm with a handle for both hands."""
    shape = sample_object(rng, ['tool'])
    longest = uniform(rng, 0.26, 0.55)
    across = uniform(rng, 1.0, 1.8)
    return shape.vertices * [across, across, longest / shape.extents[2]], shape.faces


_LARGE: dict[str, Callable[[np.random.Generator], Mesh]] = {
    'carton': carton,
    'board': board,
    'tray': tray,
    'pot': pot,
    'large ball': large_ball,
    'large bottle': large_bottle,
    'long tool': long_tool,
}
LARGE: tuple[str, ...] = tuple(_LARGE)
"""Families that are made for two hands."""


def shared_object(rng: np.random.Generator, family: str) -> ObjectShape:
    """Samples an object of a family of LARGE, or of `training.data.synthetic.objects`.

    Raises:
        KeyError: no such family.
    """
    if family not in _LARGE:
        return sample_object(rng, [family])
    vertices, faces = _LARGE[family](rng)
    middle = (vertices.min(0) + vertices.max(0)) / 2
    return ObjectShape(family, (vertices - middle).astype(np.float32), faces.astype(np.int32))
