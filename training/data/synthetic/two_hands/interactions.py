# SPDX-License-Identifier: Apache-2.0
"""The kinds of interaction of two hands: postures, and the surface regions that meet."""

from __future__ import annotations

import dataclasses

_FLAT = 'prayer+fan'
_EASY = 'open+closed_flat+relaxed+prayer+fan+cup'
_CLAP = 'prayer+fan+cup'


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
        lead: how much the pairs after the first count where the hands are placed, before the fingers bend.
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
    lead: float = 1.0
    held: float = 0.0

    @property
    def touches(self) -> bool:
        """Whether the hands touch."""
        return self.gap[1] == 0


def _pads(*fingers: str) -> tuple[tuple[str, str], ...]:
    return tuple((f'{finger}_palmar_3', f'{finger}_palmar_3') for finger in fingers)


def _tips(*fingers: str) -> tuple[tuple[str, str], ...]:
    return tuple((f'{finger}_tip', f'{finger}_tip') for finger in fingers)


_LONG = ('index', 'middle', 'ring', 'little')
_ALL = ('thumb', *_LONG)

_INTERLACED = tuple(
    pair
    for near, far in zip(_LONG, (*_LONG[1:], None), strict=True)
    for pair in ((f'{near}_ulnar_2', f'{near}_radial_2'), (f'{far}_radial_2', f'{near}_ulnar_2'))
    if far or pair[0].startswith(near)
)
"""From the thumbs' side: index finger, the other index finger, middle finger, and so on."""

INTERACTIONS = (
    Interaction('praying', 5, _FLAT, _FLAT, (('palm', 'palm'), *_pads(*_LONG))),
    Interaction('fingertips together', 5, 'cup+spread+relaxed', 'cup+spread+relaxed', _tips(*_ALL)),
    Interaction('clapping', 4, _CLAP, _CLAP, (('palm', 'palm'),)),
    Interaction('applauding', 3, _CLAP, _CLAP, (('index_palmar_2', 'palm'), ('ring_palmar_2', 'palm|heel'))),
    Interaction('before a clap', 4, _CLAP, _CLAP, (('palm', 'palm'),), gap=(0.01, 0.12)),
    Interaction(
        'rubbing',
        4,
        _CLAP,
        _CLAP,
        (('palm|heel|middle_palmar_1', 'palm|back'), ('{f}_palmar_2', '{f}_palmar_1|{f}_dorsal_1|{f}_palmar_2')),
    ),
    Interaction('interlaced', 4, 'interlaced', 'interlaced', _INTERLACED, wraps=True),
    Interaction(
        'clasped',
        4,
        'cup',
        'cup',
        (('palm', 'palm'), ('middle_palmar_3', 'edge|back'), ('edge|back', 'middle_palmar_3')),
        wraps=True,
        lead=0.1,
    ),
    Interaction('fist in palm', 5, 'fist', _EASY, (('index_dorsal_1|middle_dorsal_1|ring_dorsal_1', 'palm'),)),
    Interaction(
        'around a fist',
        4,
        'cup+clasp',
        'fist',
        (('palm', '{f}_dorsal_1'), ('ring_palmar_3', 'back|edge')),
        lead=0.1,
        wraps=True,
    ),
    Interaction('fists together', 3, 'fist', 'fist', (('{f}_dorsal_1|{f}_dorsal_2', '{f}_dorsal_1|{f}_dorsal_2'),)),
    Interaction('fingertip on fingertip', 4, 'any', 'any', (('{f}_tip', '{f}_tip'),), fingers=_ALL),
    Interaction('counting', 5, 'point', 'any', (('index_tip', '{f}_tip|{f}_palmar'),), fingers=_ALL),
    Interaction('pointing into the palm', 4, 'point', _EASY, (('index_tip', 'palm'),)),
    Interaction('fingertips in the palm', 3, _FLAT, _FLAT, (('middle_tip', 'palm'),)),
    Interaction('hand on back', 4, _EASY, _EASY + '+fist', (('palm', 'back'),)),
    Interaction(
        'stacked',
        4,
        _EASY,
        _EASY,
        (('palm', 'back'), ('middle_palmar_2', 'middle_dorsal_1|ring_dorsal_1|index_dorsal_1')),
    ),
    Interaction('scratching the back', 3, 'hook+cup', _EASY + '+fist', (('{f}_tip', 'back'),)),
    Interaction('back to back', 2, _EASY, _EASY, (('back', 'back'),)),
    Interaction(
        'holding a wrist',
        4,
        'cup+relaxed+clasp',
        'any',
        (('palm', 'wrist'), ('middle_palmar_2', 'wrist')),
        lead=0.1,
        wraps=True,
        held=0.1,
    ),
    Interaction(
        'holding a hand',
        4,
        'cup+relaxed+clasp',
        _EASY,
        (('palm', 'back|edge'), ('thumb_palmar_3', 'back|palm'), ('middle_palmar_3', 'edge|palm|back')),
        lead=0.1,
        wraps=True,
    ),
    Interaction(
        'holding a finger',
        3,
        'cup+relaxed+clasp',
        'any',
        (('palm|index_palmar_1', '{f}_palmar_2'), ('middle_palmar_2', '{f}_dorsal_2|{f}_ulnar_2')),
        fingers=_ALL,
        lead=0.1,
        wraps=True,
    ),
    Interaction(
        'pinching',
        4,
        'pinch+tripod',
        'any',
        (('thumb_palmar_3', '{f}_palmar_2|{f}_ulnar_2'), ('index_palmar_3', '{f}_dorsal_2|{f}_radial_2')),
        fingers=_ALL,
        wraps=True,
    ),
    Interaction('hooked fingers', 3, 'hook+clasp', 'hook+clasp', (('{f}_palmar_2', '{g}_palmar_2'),), wraps=True),
    Interaction(
        'crossed fingers', 3, 'point+two+any', 'point+two', (('index_palmar_2', 'index_dorsal_2|index_palmar_2'),)
    ),
    Interaction('crossed wrists', 4, 'any', 'any', (('wrist', 'wrist'),), held=0.1),
    Interaction('anywhere', 10, 'any', 'any', (('any', 'any'),)),
    Interaction('near', 10, 'any', 'any', (('any', 'any'),), gap=(0.006, 0.06)),
    Interaction('apart', 5, 'any', 'any', (('palm|back|edge', 'any'),), gap=(0.05, 0.16)),
)
"""All kinds; the number in a record's `kind` counts these from 0."""
