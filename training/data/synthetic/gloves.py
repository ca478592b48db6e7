# SPDX-License-Identifier: Apache-2.0
"""Gloves: disposable, household, knitted, leather and coated work gloves."""

from __future__ import annotations

import dataclasses
from typing import ClassVar
from typing import NamedTuple

import numpy as np

from training.data.synthetic.colour import linear
from training.data.synthetic.colour import sample_colour
from training.data.synthetic.material import Look
from training.data.synthetic.material import SurfacePoints
from training.data.synthetic.paint import Paint
from training.data.synthetic.skin import HandMarks
from training.data.synthetic.texture import noise
from training.data.synthetic.texture import step


class _Kind(NamedTuple):
    """The distribution of gloves of one kind: how often; usual sRGB colours; share of any other colour; pattern and its
    unit in metres; roughness; thickness, mm; height of wrinkles, mm; length and looseness of the cuff, metres; share
    with a coated palm."""

    share: float
    colours: tuple[tuple[float, float, float], ...]
    other: float
    pattern: str
    size: float
    roughness: tuple[float, float]
    thickness: tuple[float, float]
    wrinkles: tuple[float, float]
    cuff: tuple[float, float]
    loose: tuple[float, float]
    coated: float


_KINDS = (
    _Kind(  # nitrile, latex, vinyl
        0.35,
        ((0.2, 0.4, 0.75), (0.35, 0.6, 0.85), (0.08, 0.08, 0.09), (0.93, 0.91, 0.85), (0.45, 0.35, 0.7)),
        0.15,
        'plain',
        0.05,
        (0.3, 0.6),
        (0.1, 0.4),
        (0.05, 0.3),
        (0.02, 0.06),
        (0.001, 0.004),
        0.0,
    ),
    _Kind(  # rubber, for washing up
        0.15,
        ((0.95, 0.8, 0.15), (0.9, 0.45, 0.6), (0.2, 0.55, 0.75), (0.25, 0.6, 0.35), (0.9, 0.45, 0.15)),
        0.2,
        'plain',
        0.05,
        (0.25, 0.5),
        (0.6, 1.2),
        (0.15, 0.5),
        (0.05, 0.16),
        (0.004, 0.014),
        0.15,
    ),
    _Kind(  # knitted work gloves, most of them dipped
        0.25,
        ((0.55, 0.55, 0.55), (0.85, 0.85, 0.82), (0.2, 0.2, 0.22), (0.3, 0.4, 0.6), (0.7, 0.8, 0.2)),
        0.3,
        'weave',
        0.002,
        (0.8, 1.0),
        (0.8, 1.8),
        (0.1, 0.5),
        (0.02, 0.06),
        (0.001, 0.004),
        0.75,
    ),
    _Kind(  # leather
        0.12,
        ((0.5, 0.33, 0.2), (0.72, 0.55, 0.36), (0.1, 0.09, 0.09), (0.35, 0.2, 0.13), (0.85, 0.78, 0.65)),
        0.15,
        'clouds',
        0.03,
        (0.45, 0.85),
        (0.8, 2.0),
        (0.2, 0.8),
        (0.02, 0.1),
        (0.003, 0.012),
        0.1,
    ),
    _Kind(  # wool
        0.13,
        ((0.15, 0.15, 0.17), (0.4, 0.4, 0.42), (0.15, 0.2, 0.35), (0.5, 0.12, 0.15), (0.88, 0.85, 0.78)),
        0.5,
        'weave',
        0.004,
        (0.95, 1.0),
        (1.2, 2.2),
        (0.1, 0.5),
        (0.03, 0.08),
        (0.001, 0.003),
        0.15,
    ),
)


@dataclasses.dataclass(frozen=True)
class Glove:
    """A glove on a hand; its cuff covers the arm beside it."""

    scatters: ClassVar[bool] = False

    shell: Paint
    coating: Paint | None
    """Of palm and fingers; None for none."""
    dipped: float
    """How far the coating reaches round the fingers, 0 to 1."""
    thickness: float
    """Metres."""
    wrinkles: float
    """Their height, metres."""
    cuff: float
    """Its length from the wrist on, metres."""
    loose: float
    """Distance between cuff and arm, metres."""
    marks: HandMarks | None = None
    """Where the palm is; None for the cuff."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Glove:
        """Draws a glove of any kind."""
        kind = _KINDS[int(rng.choice(len(_KINDS), p=[kind.share for kind in _KINDS]))]
        coated = rng.random() < kind.coated
        return cls(
            shell=_paint(kind, rng),
            coating=dataclasses.replace(_paint(kind, rng), pattern='plain', roughness=rng.uniform(0.3, 0.8))
            if coated
            else None,
            dipped=rng.uniform(0, 0.7),
            thickness=0.001 * rng.uniform(*kind.thickness),
            wrinkles=0.001 * rng.uniform(*kind.wrinkles),
            cuff=rng.uniform(*kind.cuff),
            loose=rng.uniform(*kind.loose),
        )

    def of_hand(self, marks: HandMarks) -> Glove:
        """The glove on a hand."""
        return dataclasses.replace(self, marks=marks)

    def look(self, points: SurfacePoints) -> Look:
        """The optical properties of points of a hand or of a cuff."""
        look = self.shell.look(points)
        # Folds run across; two sizes, since fingers fold finely.
        folds = noise(points.places, 0.012) + 0.5 * noise(points.places[:, [1, 2, 0]], 0.004)
        relief = look.relief + np.float32(self.wrinkles) * folds
        if self.marks is None:
            return look._replace(relief=relief)
        palm, _, _, _, _, raised = self.marks.at(points.faces, points.weights).T
        # A thin glove shows the knuckles below.
        relief = relief + np.float32(0.001 * np.exp(-self.thickness / 0.0006)) * raised
        if self.coating is None:
            return look._replace(relief=relief)
        edge = 0.5 - 0.45 * self.dipped + 0.08 * noise(points.places, 0.01)
        share = step(palm - edge, -0.04, 0.04)
        other = self.coating.look(points)
        mixed = (
            one + (two - one) * (share[:, None] if one.ndim == 2 else share) for one, two in zip(look[:3], other[:3])
        )
        return Look(*mixed, relief)


def _paint(kind: _Kind, rng: np.random.Generator) -> Paint:
    """A glove's colour and surface."""
    if rng.random() < kind.other:
        colour = sample_colour(rng, 0.9)
    else:
        usual = np.array(kind.colours[int(rng.integers(len(kind.colours)))])
        colour = np.clip(linear(usual) * np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.08, 3)), 0.005, 0.9)
    return Paint(
        np.stack([colour, colour * rng.uniform(0.6, 0.9)]),
        kind.pattern,
        kind.size * np.exp(rng.normal(0, 0.25)),
        wear=rng.uniform(0, 0.25),
        reflectance=0.02 if kind.pattern == 'weave' else 0.04,
        roughness=rng.uniform(*kind.roughness),
    )
