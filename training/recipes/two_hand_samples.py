# SPDX-License-Identifier: Apache-2.0
"""Batches of pairs of hands for the trainings of `two_hand_prior`: whole pools as tensors, drawn by row."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import SIZE
from hoi_ros.stages.parts.diffusion import TIMES
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.pair_whitening import WHITENING_FILE
from hoi_ros.stages.parts.two_hand_sampler import HandPairs
from training.loop.fitting import is_first_process
from training.networks.two_hand_prior.with_objects import HeldObjects
from training.recipes.two_hand_objects import hands_about_objects
from training.recipes.two_hand_objects import ObjectPairDraws
from training.recipes.two_hand_objects import SAMPLES

_READ_AGAIN = 5_000
"""Steps after which the pools are read again."""


class Batch(NamedTuple):
    """What one step trains on, with `HeldObjects` behind it where there are any; the rest of the network's inputs
    follows from it.

    Attributes:
        right, left: (B, 64) whitened hands, about the left wrist or the object.
        time: (B,) times of the diffusion, 1 to 256.
        noise: (B, 128) standard normal, of the right and of the left hand.
        has_anchor: (B, 1) whether the left hand is shown, 1 or 0.
    """

    right: Tensor
    left: Tensor
    time: Tensor
    noise: Tensor
    has_anchor: Tensor


def with_mirror_images(records: np.ndarray) -> HandPairs:
    """The pairs of records (N,) of PAIR_DTYPE, and their mirror images: 2 N pairs."""
    right, left = records['right'], records['left']
    swapped = mirrored(right)
    return HandPairs(
        np.concatenate([right, about_anchor(mirrored(left), swapped)]), np.concatenate([left, anchored(swapped)])
    )


class PairBatches:
    """Draws pairs of several sources, seeded by the step.

    Args:
        sources: functions that return the records that may be drawn, and the share of the batch that each has.
        whitening: of the numbers.
        batch: pairs of a batch.
        seed: of the order.
        dropout: share of the anchors that are not shown.
        held: draws the last pairs of a batch, which are on objects.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Callable[[], np.ndarray], float]],
        whitening: PairWhitening,
        batch: int,
        seed: int,
        dropout: float = 0.5,
        held: ObjectPairDraws | None = None,
    ) -> None:
        self._sources, self._whitening = [make for make, _ in sources], whitening
        bare = batch - (SAMPLES * held.objects if held else 0)
        ends = np.cumsum([share for _, share in sources])
        self._rows = np.diff(np.round(bare * ends / ends[-1:]).astype(int), prepend=0).tolist()
        self._seed, self._dropout, self._held, self._pairs = seed, dropout, held, []
        self._turn = -1

    def __call__(self, step: int) -> Batch | tuple[Tensor, ...]:
        # Of several devices, each sees some of the steps.
        turn = step // _READ_AGAIN
        if turn != self._turn:
            self._turn = turn
            self._pairs = [self._read(make()) for make in self._sources]
            if self._held:
                self._held.read()
        rng = torch.Generator().manual_seed(self._seed * 2**40 + step)
        drawn = [
            pairs[torch.randint(len(pairs), (rows,), generator=rng)] for pairs, rows in zip(self._pairs, self._rows)
        ]
        right, left = torch.cat([torch.zeros(0, 2 * SIZE), *drawn]).split(SIZE, 1)
        held: tuple[Tensor, ...] = ()
        if self._held:
            *about, objects = self._held(step)
            number = torch.cat([torch.full((len(right),), -1), objects.number])
            right, left = (torch.cat(hands) for hands in zip((right, left), about))
            held = objects._replace(number=number)
        batch = Batch(
            right,
            left,
            torch.randint(1, TIMES + 1, (len(right),), generator=rng),
            torch.randn(len(right), 2 * SIZE, generator=rng),
            (torch.rand(len(right), 1, generator=rng) >= self._dropout).float(),
        )
        return (*batch, *held) if held else batch

    def _read(self, records: np.ndarray) -> Tensor:
        """(2 N, 128) whitened pairs."""
        hands = [self._whitening.whiten(hands) for hands in with_mirror_images(records)]
        return torch.from_numpy(np.concatenate(hands, 1))


def parts_of(parts: Sequence[Tensor]) -> tuple[Batch, dict[str, HeldObjects], Tensor]:
    """What `PairBatches` returned, apart: the batch; its objects as an argument of the network, if there are any; and
    (B, 1) whether each pair is on one, 1 or 0."""
    batch, rest = Batch(*parts[: len(Batch._fields)]), parts[len(Batch._fields) :]
    if not rest:
        return batch, {}, torch.zeros_like(batch.has_anchor)
    held = HeldObjects(*rest)
    return batch, {'held': held}, (held.number >= 0)[:, None].to(batch.has_anchor)


def whitening_of(records: np.ndarray, out: Path, on_objects: np.ndarray | None = None) -> PairWhitening:
    """The statistics of records, on objects too, and their mirror images, kept in the folder of a training, whose
    continuation takes them again: its pool may have other records by then."""
    begun = (out / 'checkpoint.pt').is_file() or not is_first_process()
    if begun and (out / WHITENING_FILE).is_file():
        return PairWhitening.load(out)
    about = None if on_objects is None else hands_about_objects(on_objects)
    whitening = PairWhitening.of(with_mirror_images(records).right, about)
    out.mkdir(parents=True, exist_ok=True)
    whitening.save(out)
    return whitening
