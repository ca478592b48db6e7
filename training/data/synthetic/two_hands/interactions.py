# SPDX-License-Identifier: Apache-2.0
"""The kinds of interaction of two hands: postures, and the surface regions that meet."""

from __future__ import annotations

import dataclasses

_FLAT = 'prayer+fan'
_EASY = 'open+closed_flat+relaxed+prayer+fan+cup'
_CLAP = 'prayer+fan+cup'
_HOLD = 'power_cylinder+relaxed'


@dataclasses.dataclass(frozen=True)
class Interaction:
    """A kind of interaction, of a first hand with a second.

    Attributes:
        name: for tables and pictures.
        share: how often it is drawn, beside the other kinds.
        first, second: postures, see `PostureLibrary.draw`.
        contacts: pairs of regions, see `surface_regions`, that meet. `{f}` and `{g}` stand for a random finger each,
            the same in all pairs; of regions with '|' between them one is drawn.
        gap: least and largest distance of the points that meet, metres.
        fingers: among which `{f}` is drawn.
        wraps: whether one hand reaches around the other.
        held: length of the second forearm, from the wrist, that the first hand may be at, metres.
    """

    name: str
    share: float
    first: str
    second: str
    contacts: tuple[tuple[str, str], ...]
    gap: tuple[float, float] = (0.0, 0.0)
    fingers: tuple[str, ...] = ('index', 'middle', 'ring', 'little')
    wraps: bool = False
    held: float = 0.0

    @property
    def touches(self) -> bool:
        """Whether the hands touch."""
        return self.gap[1] == 0


def _pads(*fingers: str) -> tuple[tuple[str, str], ...]:
    return tuple((f'{finger}_palmar_3', f'{finger}_palmar_3') for finger in fingers)


_LONG = ('index', 'middle', 'ring', 'little')
_ALL = ('thumb', *_LONG)

INTERACTIONS = (
    Interaction('praying', 6, _FLAT, _FLAT, (('palm', 'palm'), *_pads(*_LONG))),
    Interaction('clapping', 4, _CLAP, _CLAP, (('palm', 'palm'),)),
    Interaction('before a clap', 4, _CLAP, _CLAP, (('palm', 'palm'),), gap=(0.01, 0.12)),
    Interaction('fist in palm', 6, 'fist', _EASY, (('index_dorsal_1|middle_dorsal_1|ring_dorsal_1', 'palm'),)),
    Interaction('fingertip on fingertip', 6, 'any', 'any', (('{f}_tip', '{f}_tip'),), fingers=_ALL),
    Interaction('pointing into the palm', 6, 'point', _EASY, (('index_tip', 'palm'),)),
    Interaction('hand on back', 6, _EASY, _EASY + '+fist', (('palm', 'back'),)),
    Interaction(
        'holding a wrist',
        5,
        _HOLD,
        'any',
        (('palm', 'wrist'), ('middle_palmar_2', 'wrist')),
        wraps=True,
        held=0.1,
    ),
    Interaction('anywhere', 8, 'any', 'any', (('any', 'any'),)),
    Interaction('near', 10, 'any', 'any', (('any', 'any'),), gap=(0.006, 0.06)),
)
"""All kinds; the number in a record's `kind` counts these from 0."""
