# SPDX-License-Identifier: Apache-2.0
"""Samples hands of the two-hand prior: alone, beside another hand, or both, one after the other.

Follows InterHandGen (Lee et al., CVPR 2024, Algorithm 2): classifier-free guidance (equation 4) and anti-penetration
guidance (equations 7 and 8), each hand from a noise of its own. The network makes right hands; a left hand is the
mirror image of one, sampled from the mirror image of what is given. Classifier-free guidance compares with the hand
that no other hand is given to. Without an object that one has no place, so that fingers and shape are guided only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import orthonormal
from hoi_ros.hand.pair import out_of_frame
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import SIZE
from hoi_ros.stages.parts.diffusion import sample
from hoi_ros.stages.parts.hand_separation import HandSeparation
from hoi_ros.stages.parts.hand_separation import HandSurfaces
from hoi_ros.stages.parts.pair_whitening import PairWhitening

Network = Callable[..., dict[str, np.ndarray]]
"""The denoiser: an engine, or any callable of its inputs by name that returns its output by name, `clean`."""

PAPER_STEPS = 32
_FULL, _DECAY = 4.0, 0.9
"""Weight of the anti-penetration guidance that takes its whole step, and by how much it falls with each of the paper's
steps that follow."""
_LEAST = 0.4
"""Share of the strength of the last step below which the anti-penetration guidance is left out."""
_LAST = 8
"""Most steps of the anti-penetration guidance after the last denoising step. A step takes a hand out of another by no
more than half of the other's thickness, and palms that lie in each other are several steps apart."""
PORTION = 16
"""Samples that are made together: more are no faster, and take memory."""


class ObjectFeature(NamedTuple):
    """Embeddings (E,) of an object and of its mirror image, x → −x."""

    own: np.ndarray
    mirrored: np.ndarray


class HandPairs(NamedTuple):
    """Vectors (N, 64) of right and of left hands, in the frame of each left wrist or of their object."""

    right: np.ndarray
    left: np.ndarray


@dataclasses.dataclass(frozen=True)
class SamplingConfig:
    """How hands are sampled."""

    steps: int = 8
    """Denoising steps, 1 to 256; the paper takes 32."""
    guidance: float = 0.1
    """Strength of the classifier-free guidance."""
    anti_penetration: float = 4.0
    """Strength of the guidance against penetration in the last step, as in the paper; it falls by a tenth with each of
    the paper's 32 steps that follow."""


class TwoHandSampler:
    """Samples hands.

    Args:
        network: of inputs `noisy`, `time`, `anchor` and `has_anchor`, and of `object` and `has_object` where
            `object_width` is not 0.
        whitening: of its numbers.
        hand: the right hand model.
        object_width: E, of the embedding of an object.
        check: called before each denoising step; what it raises ends the sampling.
    """

    def __init__(
        self,
        network: Network,
        whitening: PairWhitening,
        hand: HandModel,
        object_width: int = 512,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.network, self.whitening, self.object_width = network, whitening, object_width
        self.separation = HandSeparation(hand)
        self.check = check or (lambda: None)

    def alone(
        self,
        count: int,
        seed: int,
        side: str = 'right',
        held: ObjectFeature | None = None,
        config: SamplingConfig | None = None,
        first: int = 0,
    ) -> np.ndarray:
        """(count, 64) hands that no other hand is given to.

        Args:
            count: number of hands.
            seed: sample i of a seed is the same in every call.
            side: of the hands.
            held: an object; then they are in its frame, else in that of their own wrist.
            config: of the sampling.
            first: number of the first sample.
        """
        parts = [
            self._alone(noise[:, 0], side, held, config or SamplingConfig()) for noise in _noises(seed, first, count)
        ]
        return np.concatenate(parts)

    def beside(
        self,
        anchors: np.ndarray,
        count: int,
        seed: int,
        side: str = 'right',
        held: ObjectFeature | None = None,
        config: SamplingConfig | None = None,
        first: int = 0,
    ) -> np.ndarray:
        """(count, 64) hands beside other ones, in the frame of these.

        Args:
            anchors: (64,) or (count, 64) hands of the other side; in the object's frame where there is one.
            count, seed, first: as of `alone`.
            side: of the hands that are sampled.
            held: an object that both hold.
            config: of the sampling.
        """
        anchors, parts = np.broadcast_to(anchors, (count, SIZE)), []
        for noise in _noises(seed, first, count):
            given, anchors = anchors[: len(noise)], anchors[len(noise) :]
            parts.append(self._beside(noise[:, 1], given, side, held, config or SamplingConfig()))
        return np.concatenate(parts)

    def pairs(
        self,
        count: int,
        seed: int,
        held: ObjectFeature | None = None,
        config: SamplingConfig | None = None,
        first: int = 0,
    ) -> HandPairs:
        """Pairs of hands: left ones alone, and right ones beside them. Arguments as of `alone`."""
        config, parts = config or SamplingConfig(), []
        for noise in _noises(seed, first, count):
            left = self._alone(noise[:, 0], 'left', held, config)
            parts.append((self._beside(noise[:, 1], left, 'right', held, config), left))
        return HandPairs(*(np.concatenate(hands) for hands in zip(*parts)))

    def denoised(
        self,
        state: np.ndarray,
        time: int,
        anchor: np.ndarray | None = None,
        feature: np.ndarray | None = None,
        guidance: float = 0.0,
    ) -> np.ndarray:
        """(B, 64) clean right hands, whitened.

        Args:
            state: (B, 64) noisy ones at a time, whitened.
            time: 0 to 256.
            anchor: (B, 64) left hands, whitened.
            feature: (E,) of an object.
            guidance: strength of the classifier-free guidance.
        """
        if anchor is None:
            return self._run(state, time, np.zeros_like(state), 0, feature)
        if guidance == 0:
            return self._run(state, time, anchor, 1, feature)
        present = np.repeat([1, 0], len(state))
        clean, free = np.split(self._run(np.tile(state, (2, 1)), time, np.tile(anchor, (2, 1)), present, feature), 2)
        guided = slice(0, SIZE if feature is not None else ROOT.start)
        clean[:, guided] += guidance * (clean - free)[:, guided]
        return clean

    def _run(
        self, state: np.ndarray, time: int, anchor: np.ndarray, present: np.ndarray | int, feature: np.ndarray | None
    ) -> np.ndarray:
        """(B, 64) of states (B, 64) and anchors (B, 64) that are present (B,), 1 or 0."""
        count = len(state)
        has_anchor = np.broadcast_to(present, count).astype(np.float32)[:, None]
        if feature is None:
            state = state.copy()
            state[has_anchor[:, 0] == 0, ROOT] = 0
        inputs = {
            'noisy': state,
            'time': np.full((count, 1), time, np.float32),
            'anchor': anchor * has_anchor,
            'has_anchor': has_anchor,
        }
        if self.object_width:
            held = np.zeros(self.object_width, np.float32) if feature is None else feature.astype(np.float32)
            inputs['object'] = np.tile(held, (count, 1))
            inputs['has_object'] = np.full((count, 1), feature is not None, np.float32)
        return self.network(**inputs)['clean'].copy()

    def _alone(self, noise: np.ndarray, side: str, held: ObjectFeature | None, config: SamplingConfig) -> np.ndarray:
        """(B, 64) hands of noises (B, 64)."""
        feature = _seen(held, side)

        def denoise(state: np.ndarray, time: int) -> np.ndarray:
            self.check()
            return self.denoised(state, time, None, feature)

        clean = sample(denoise, noise, config.steps)
        hands = self.whitening.unwhiten(clean, held is not None)
        hands = anchored(hands) if held is None else orthonormal(hands)
        return hands if side == 'right' else mirrored(hands)

    def _beside(
        self, noise: np.ndarray, anchors: np.ndarray, side: str, held: ObjectFeature | None, config: SamplingConfig
    ) -> np.ndarray:
        """(B, 64) hands of noises (B, 64) and anchors (B, 64)."""
        left = anchors if side == 'right' else mirrored(anchors)
        about_object = held is not None
        own = left if about_object else anchored(left)
        given, feature = self.whitening.whiten(own, about_object), _seen(held, side)

        def denoise(state: np.ndarray, time: int) -> np.ndarray:
            self.check()
            return self.denoised(state, time, given, feature, config.guidance)

        strength = config.anti_penetration / _FULL
        deviation = self.whitening.object_deviation if about_object else self.whitening.deviation
        surfaces = self.separation.left(own) if strength > 0 else None

        def guide(clean: np.ndarray, following: int) -> np.ndarray:
            moved = np.zeros_like(clean)
            # More than the whole way out would be beyond it.
            decay = _DECAY ** (following * PAPER_STEPS / config.steps)
            share = min(strength * decay, 1.0)
            if surfaces is None or decay < _LEAST:
                return moved
            inside: np.ndarray = np.arange(len(clean))
            ways: np.ndarray = np.zeros((len(clean), 3), np.float32)
            for _ in range(1 if following else _LAST):
                self.check()
                hands = self.whitening.unwhiten(clean[inside] + moved[inside], about_object)
                others = HandSurfaces(*(part[inside] for part in surfaces))
                step, ways = self.separation.step(hands, others, deviation, share, ways)
                moved[inside] += step
                still = step.any(1)
                inside, ways = inside[still], ways[still]
                if not len(inside):
                    break
            return moved

        clean = sample(denoise, noise, config.steps, guide)
        hands = orthonormal(self.whitening.unwhiten(clean, about_object))
        if not about_object:
            hands = out_of_frame(hands, rotation_of(left), left[:, PLACE])
        return hands if side == 'right' else mirrored(hands)


def _seen(held: ObjectFeature | None, side: str) -> np.ndarray | None:
    """(E,) of the object as the network sees it, which makes right hands."""
    return None if held is None else held.own if side == 'right' else held.mirrored


def _noises(seed: int, first: int, count: int) -> Iterator[np.ndarray]:
    """(B, 2, 64) noises of some samples after the others; each sample has its own generator."""
    for start in range(first, first + count, PORTION):
        numbers = range(start, min(start + PORTION, first + count))
        yield np.stack(
            [np.random.default_rng([seed, number]).standard_normal((2, SIZE), np.float32) for number in numbers]
        )
