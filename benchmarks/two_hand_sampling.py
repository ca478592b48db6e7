# SPDX-License-Identifier: Apache-2.0
"""Speed of sampling two hands, with InterHandGen's sampling timed in turns beside it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence

import torch

from benchmarks.peers.two_hand_interhandgen import InterHandGen
from benchmarks.timing import Spread
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.stages.parts.two_hand_sampler import PORTION
from hoi_ros.stages.two_hand_prior import TwoHandPriorStage
from training.cores import available_cores

_A_TURN, _TURNS = 10, 3
"""Calls of the stage for one of InterHandGen, and the least number of these."""


@dataclasses.dataclass(frozen=True)
class SamplingSpeed:
    """Times of a call for some pairs.

    Attributes:
        pairs: of a call.
        threads: of both.
        stage: guided pairs with vertices, scores and shared volumes, as the service answers.
        interhandgen: network passes only.
        stage_steps, interhandgen_steps: denoising steps of each hand.
        ratio: of the medians.
    """

    pairs: int
    threads: int
    stage: Spread
    interhandgen: Spread
    ratio: float
    stage_steps: int
    interhandgen_steps: int


def measure(
    seconds: float, counts: Sequence[int] = (1, PORTION), peer: InterHandGen | None = None
) -> dict[str, SamplingSpeed]:
    """Times both in turns for about `seconds`, each number of pairs at least three times; the figures by number.

    Args:
        seconds: of all numbers of pairs together.
        counts: numbers of pairs of a call.
        peer: InterHandGen with its own network and steps if None.
    """
    peer, cores, before = peer or InterHandGen(), available_cores(), torch.get_num_threads()
    stage = TwoHandPriorStage(threads=cores)
    stage.warm_up()
    try:
        torch.set_num_threads(cores)
        return {f'{count} at a time': _speed(stage, peer, count, cores, seconds / len(counts)) for count in counts}
    finally:
        torch.set_num_threads(before)


def _speed(stage: TwoHandPriorStage, peer: InterHandGen, count: int, cores: int, seconds: float) -> SamplingSpeed:
    own: list[float] = []
    others: list[float] = []
    stage.sample(SampleRequest(count, 0))
    peer(count, 0)
    begun = time.perf_counter()
    while len(others) < _TURNS or time.perf_counter() - begun < seconds:
        for _ in range(_A_TURN):
            request = SampleRequest(count, len(own))
            own.append(_timed(lambda request=request: stage.sample(request)))
        others.append(_timed(lambda: peer(count, len(others))))
    ours, theirs = Spread.of(own), Spread.of(others)
    return SamplingSpeed(count, cores, ours, theirs, theirs.p50_ms / ours.p50_ms, stage.steps, peer.steps)


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
