# SPDX-License-Identifier: Apache-2.0
"""Painted materials: two colours and a pattern."""

from __future__ import annotations

import dataclasses
from typing import ClassVar
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from training.data.synthetic.colour import sample_colour
from training.data.synthetic.material import Look
from training.data.synthetic.material import SurfacePoints
from training.data.synthetic.texture import noise
from training.data.synthetic.texture import PATTERNS


@dataclasses.dataclass(frozen=True)
class Paint:
    """A material of two colours mixed by a pattern."""

    scatters: ClassVar[bool] = False
    colours: np.ndarray
    """(2, 3)."""
    pattern: str = 'plain'
    size: float = 0.05
    """Unit of the pattern, metres."""
    frame: np.ndarray = dataclasses.field(default_factory=lambda: np.eye(3))
    """(3, 3) rows: the pattern's axes."""
    wear: float = 0.05
    """Strength of stains, a logarithm."""
    reflectance: float = 0.04
    """Specular reflectance at normal incidence."""
    roughness: float = 0.6
    metal: bool = False

    def look(self, points: SurfacePoints) -> Look:
        """The optical properties of points."""
        places = points.places @ self.frame.T.astype(np.float32)
        share = PATTERNS[self.pattern](places / np.float32(self.size)).astype(np.float32)[:, None]
        colours = self.colours.astype(np.float32)
        colour = colours[0] + (colours[1] - colours[0]) * share
        if self.wear:
            colour = colour * np.exp(self.wear * noise(places, 0.15))[:, None]
        colour = np.clip(colour, 0, 0.95)
        roughness = np.full(len(places), self.roughness, np.float32)
        if self.metal:
            return Look(np.zeros_like(colour), colour, roughness, 0 * roughness)
        return Look(colour, np.full_like(colour, self.reflectance), roughness, 0 * roughness)


class _Kind(NamedTuple):
    """The distribution of paints of one kind: highest saturation; probability of each pattern; scale of the patterns;
    probability that the two colours are similar; strength of stains; range of roughness."""

    vivid: float
    patterns: dict[str, float]
    scale: float
    alike: float
    wear: float
    roughness: tuple[float, float]


_KINDS = {
    'wall': _Kind(
        0.25,
        {'plain': 0.5, 'clouds': 0.1, 'stripes': 0.06, 'bricks': 0.08, 'patches': 0.08, 'checks': 0.03, 'wood': 0.15},
        5.0,
        0.85,
        0.06,
        (0.5, 1.0),
    ),
    'table': _Kind(
        0.35,
        {'wood': 0.4, 'plain': 0.2, 'clouds': 0.12, 'speckles': 0.13, 'checks': 0.08, 'tartan': 0.07},
        1.5,
        0.3,
        0.06,
        (0.2, 0.9),
    ),
    'cloth': _Kind(
        0.7,
        {'weave': 0.4, 'plain': 0.2, 'stripes': 0.12, 'checks': 0.08, 'tartan': 0.1, 'clouds': 0.1},
        1.0,
        0.6,
        0.2,
        (0.95, 1.0),
    ),
    'thing': _Kind(
        0.9,
        {
            'plain': 0.34,
            'label': 0.24,
            'stripes': 0.1,
            'speckles': 0.08,
            'checks': 0.06,
            'clouds': 0.07,
            'wood': 0.06,
            'patches': 0.05,
        },
        1.0,
        0.1,
        0.1,
        (0.15, 0.9),
    ),
    'device': _Kind(0.15, {'plain': 0.8, 'label': 0.2}, 1.0, 0.8, 0.05, (0.2, 0.8)),
}
_SIZES = {'weave': 0.003, 'speckles': 0.01, 'tartan': 0.05, 'wood': 0.03}


def sample_paint(kind: str, rng: np.random.Generator, frame: np.ndarray | None = None, height: float = 0.1) -> Paint:
    """Draws the paint of an object.

    Args:
        kind: wall, table, cloth, thing or device.
        rng: the source of the draw.
        frame: (3, 3) rows: the axes of the pattern, the last one up or out of the surface; random if None.
        height: of the object along the last axis, metres.
    """
    made = _KINDS[kind]
    if frame is None:
        frame = Rotation.random(random_state=rng).as_matrix()
    pattern = str(rng.choice(list(made.patterns), p=list(made.patterns.values())))
    first, second = sample_colour(rng, made.vivid), sample_colour(rng, made.vivid)
    if kind == 'wall' and rng.random() < 0.7:
        first = np.clip(first * 1.6, 0, 0.85)
    if pattern == 'wood' and kind != 'wall':
        first = np.array([0.5, 0.3, 0.15]) * np.exp(rng.normal(0, 0.4) + rng.normal(0, 0.12, 3))
    if rng.random() < made.alike or pattern in ('wood', 'weave'):
        second = first * rng.uniform(0.5, 0.9) * np.exp(rng.normal(0, 0.1, 3))
    size = height * rng.uniform(0.3, 0.8) if pattern == 'label' else _SIZES.get(pattern, 0.03) * made.scale
    roughness, reflectance = rng.uniform(*made.roughness), 0.02 if kind == 'cloth' else 0.04
    metal = kind == 'thing' and pattern in ('plain', 'label') and rng.random() < 0.2
    if metal:
        first = np.clip(rng.uniform(0.45, 0.8) * np.exp(rng.normal(0, 0.06, 3)), 0, 0.9)
        roughness = rng.uniform(0.15, 0.5)
    return Paint(
        np.stack([first, second]),
        pattern,
        size * np.exp(rng.normal(0, 0.35)),
        frame,
        max(0.0, rng.uniform(-made.wear, made.wear)),
        reflectance,
        roughness,
        metal,
    )
