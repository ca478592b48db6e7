# SPDX-License-Identifier: Apache-2.0
"""The choice of a data set of pairs of hands: made, tracked or public ones."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Literal

from hoi_ros.hand.model import HandModel
from training.data.pool import generator_key
from training.data.public.arctic import Arctic
from training.data.public.interhand import InterHand
from training.data.public.recorded import SomeRecords
from training.data.public.recorded import Source
from training.data.public.recorded import spread
from training.data.real.two_hand_tracks import TwoHandTracks
from training.data.synthetic.two_hands.generator import PairInteractions
from training.data.two_hand_pools import HeldOutPools
from training.data.two_hand_pools import TwoHandPools


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairDataChoice:
    """Made pairs of hands, real ones that a tracker has seen, or a public data set in its original layout."""

    data: Literal['made', 'tracks', 'interhand', 'arctic'] = 'made'
    """tracks: real hands, tracked by a Leap Motion; interhand: InterHand2.6M; arctic: ARCTIC, with objects."""
    root: Path | None = None
    """Folder of a public data set; of tracks, the file leap_tracks.npz."""
    setup: Literal['p1', 'p2'] = 'p1'
    """Protocol of ARCTIC."""
    hand: Path | None = None
    """Hand model (.npz) of the records; the installed one by default. The public data sets need a converted MANO
    (python -m training.hand.mano)."""

    def stream(self, split: str, seed: int = 0) -> PairInteractions | TwoHandTracks | InterHand | Arctic:
        """A split.

        Args:
            split: train, validation or test.
            seed: of made pairs.

        Raises:
            SystemExit: no folder is given.
            DatasetError: the folder does not hold the data set, or it has no such split.
        """
        if self.data == 'made':
            return PairInteractions(seed, split, HandModel.load(self.hand))
        if self.root is None:
            raise SystemExit(f'--data {self.data} needs --root, the folder of the data set, or the file of tracks')
        match self.data:
            case 'tracks':
                return TwoHandTracks(self.root, split, HandModel.load(self.hand))
            case 'interhand':
                return InterHand(self.root, split, self.hand)
            case _:
                return Arctic(self.root, split, self.setup, self.hand)

    def recorded(self, split: str, most: int | None = None) -> Source:
        """The pairs of a split of recorded hands, or some that are evenly spread over it, for a pool.

        Args:
            split: of the data set.
            most: pairs, if there are so many.

        Raises:
            SystemExit, DatasetError: as `stream`.
        """
        if self.data == 'made':
            raise SystemExit('--data made has no end: draw from its stream')
        stream = self.stream(split)
        numbers = spread(len(stream), most)
        # A plain copy, so that processes that read pairs need not import the recipe.
        plain = PairDataChoice(
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(PairDataChoice)}
        )
        code = generator_key(0, split, HandModel.load(self.hand), [type(stream).__module__])
        key = f'{self.data} {self.root} {self.setup}, {len(stream)}, {code}'
        return Source(functools.partial(SomeRecords, plain, split, numbers), key, len(numbers))


@dataclasses.dataclass(frozen=True)
class HeldOutPairs(HeldOutPools, PairDataChoice):
    """Held-out pairs: those of a data set take the place of the made ones, with objects or without. They have files of
    their own, <pool>_<data>_<split>.pool."""

    def require_recorded(self, with_object: bool) -> None:
        """Refuses hands with an object of a data set without, and the reverse.

        Raises:
            SystemExit: the data set has no such pairs.
        """
        if self.data != 'made' and not self._recorded(with_object):
            has, asked = ('with', 'without') if self.data == 'arctic' else ('without', 'with')
            raise SystemExit(f'--data {self.data} has pairs of hands {has} objects, and those {asked} are asked for')

    def _source(self, seed: int, split: str, with_object: bool, count: int) -> Source:
        if not self._recorded(with_object):
            return super()._source(seed, split, with_object, count)
        return self.recorded(split, count)

    def _file(self, with_object: bool) -> Path:
        file = super()._file(with_object)
        return file.with_stem(f'{file.stem}_{self.data}') if self._recorded(with_object) else file

    def _hand(self) -> HandModel:
        return HandModel.load(self.hand)

    def _recorded(self, with_object: bool) -> bool:
        return self.data != 'made' and with_object == (self.data == 'arctic')


@dataclasses.dataclass(frozen=True)
class PairPools(HeldOutPairs, TwoHandPools):
    """The same with the pairs of a training."""
