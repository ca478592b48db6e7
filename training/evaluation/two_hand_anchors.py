# SPDX-License-Identifier: Apache-2.0
"""Whether hands that are sampled beside a real left hand are nearer to its real right hand than by chance.

The distance of two right hands is the mean of their 21 joints', in the frame of the left wrist. Three kinds of chance:
the samples beside the left hands of the other frames; those beside left hands of held-out pairs; and the right hands
of held-out pairs themselves. Frames of one recording have left hands that are much alike, so that the first is hard.
"""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import parameters_of
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler


def anchored_figures(
    sampler: TwoHandSampler,
    hand: HandModel,
    tracked: np.ndarray,
    held_out: np.ndarray,
    config: SamplingConfig,
    samples: int,
    frames: int,
    seed: int = 0,
) -> dict[str, float]:
    """Mean distance of samples from the true right hand, and that of the best sample of each frame, mm.

    Args:
        sampler: of right hands beside left ones.
        hand: the right hand.
        tracked: (T,) records of real pairs; frames are taken evenly.
        held_out: records of other pairs.
        config: of the sampling.
        samples: beside each left hand.
        frames: most left hands.
        seed: of the samples.
    """
    chosen = np.unique(np.linspace(0, len(tracked) - 1, min(frames, len(tracked))).astype(int))
    truth = _joints(hand, tracked['right'][chosen])
    others = np.random.default_rng([seed, 67]).choice(len(held_out), (len(chosen), samples))
    beside = {
        'own': np.repeat(tracked['left'][chosen], samples, 0),
        'held-out': held_out['left'][others[:, 0]].repeat(samples, 0),
    }
    drawn = {
        name: _joints(hand, sampler.beside(each, len(each), seed, config=config)).reshape(len(chosen), samples, 21, 3)
        for name, each in beside.items()
    }
    own = _distances(truth, drawn['own'])
    turned = [_distances(truth, np.roll(drawn['own'], shift, 0)) for shift in range(1, len(chosen))]
    rows = {
        'own left hand': own,
        "other frames' left hands": np.concatenate(turned) if turned else own,
        'left hands of held-out pairs': _distances(truth, drawn['held-out']),
        'right hands of held-out pairs': _distances(truth, _joints(hand, held_out['right'][others])),
    }
    figures = {}
    for name, distances in rows.items():
        figures[f'{name}, mean_mm'] = float(distances.mean())
        figures[f'{name}, best_mm'] = float(distances.min(1).mean())
    return figures


def _distances(truth: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(F, S) mm between hands (F, 21, 3) and samples (F, S, 21, 3)."""
    distances: np.ndarray = 1e3 * np.linalg.norm(drawn - truth[:, None], axis=-1).mean(-1)
    return distances


def _joints(hand: HandModel, right: np.ndarray) -> np.ndarray:
    """(..., 21, 3) joints of right hands (..., 64), metres."""
    return hand.forward(*parameters_of(hand, right), vertices=False).keypoints
