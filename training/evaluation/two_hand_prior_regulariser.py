# SPDX-License-Identifier: Apache-2.0
"""The two-hand prior as a regulariser of estimated pairs: Table 2 of InterHandGen on simulated interacting hands."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.two_hand_prior import TwoHandPriorStage
from training.data.two_hand_pools import HeldOutPools
from training.evaluation.figures import EvaluationError
from training.evaluation.figures import markdown_table
from training.evaluation.figures import require_count
from training.evaluation.figures import require_split
from training.evaluation.figures import write_figures
from training.evaluation.pair_geometry import PairMeshes
from training.evaluation.two_hand_estimates import estimated_hands
from training.evaluation.two_hand_estimates import estimates_of
from training.evaluation.two_hand_estimates import Hands
from training.evaluation.two_hand_estimates import shifted
from training.evaluation.two_hand_estimates import true_hands

COLUMNS = {
    'mpjpe_mm': 'MPJPE mm',
    'mpvpe_mm': 'MPVPE mm',
    'mrrpe_mm': 'MRRPE mm',
    'joints_mm': 'joints mm',
    'penetration_mm3': 'pen. mm³',
    'penetration_mm': 'pen. mm',
}
"""MPJPE and MPVPE are about each hand's true wrist, as in Table 2; MRRPE is the error of the right wrist's place about
the left wrist; joints, the error in the camera's frame."""
APART = 0.6
"""Distance by which one hand is moved away for the test of hands that do not interact, metres."""

Regularise = Callable[[Sequence[HandEstimate]], Sequence[HandEstimate]]


@dataclasses.dataclass(frozen=True)
class TwoHandRegulariserEvaluation(HeldOutPools):
    """Prints the errors of pairs of hands that `depth_pose` estimates, with and without the two-hand prior."""

    frames: int = 300
    """Simulated frames, of the first pairs of the split."""
    split: str = 'test'
    """test, or validation for choices that depend on figures."""
    tests: int = 3072
    """Pairs of that split in its file."""
    models: Path = Path('models')
    """Folder of `depth_pose` and of `two_hand_prior`."""
    cache: Path = Path('runs/two_hand_evaluated.npz')
    """Names the files that keep the estimates of `depth_pose`, <name>_<split>.npz."""
    out: Path | None = None
    """JSON file for the figures."""


def evaluate(config: TwoHandRegulariserEvaluation) -> dict[str, Any]:
    """Prints and returns the figures `without` and `with` the prior, their ratios, and those of hands far apart."""
    require_count(config.frames)
    require_split(config.split, ('validation', 'test'))
    records = config.held_out(config.split, config.tests)[: config.frames]
    cache = config.cache.with_stem(f'{config.cache.stem}_{config.split}')
    rows = estimates_of(records, cache, config.models)[: config.frames]
    stage = TwoHandPriorStage(config.models, threads=1)
    stage.warm_up()
    figures = regularised_figures(rows, lambda hands: stage(hands, stage.object_faces, 0.0))
    figures['frames'], figures['found'] = len(rows), float(rows['found'].all(1).mean())
    print(
        f'both hands were found in {figures["pairs"]} of {len(rows)} frames; {figures["moved"]} pairs were moved, in '
        f'{figures["milliseconds"]:.1f} ms each'
    )
    print(_table(figures))
    print(f'of {figures["pairs"]} pairs {1e2 * APART:g} cm further apart, {figures["apart_changed"]} were changed')
    write_figures(figures, config.out)
    return figures


def regularised_figures(rows: np.ndarray, regularise: Regularise, hand: HandModel | None = None) -> dict[str, Any]:
    """The figures of estimates before and after they are regularised.

    Args:
        rows: of ESTIMATE_DTYPE; those of which both hands were found count.
        regularise: right and left hand → the same hands.
        hand: the right hand; the default model if None.

    Raises:
        EvaluationError: there is no pair, or a hand was lost.
    """
    rows = rows[rows['found'].all(1)]
    if not len(rows):
        raise EvaluationError('both hands were found in no frame: there is nothing to regularise')
    meshes = PairMeshes(hand)
    models = meshes.right, meshes.left
    states: dict[str, list[dict[str, float]]] = {'without': [], 'with': []}
    moved, changed, seconds = 0, 0, 0.0
    for row in rows:
        truth, before = true_hands(row, models), estimated_hands(row, models)
        began = time.perf_counter()
        after = _sided(regularise(before))
        seconds += time.perf_counter() - began
        moved += any(not np.array_equal(one.joints, other.joints) for one, other in zip(before, after))
        for state, hands in (('without', before), ('with', after)):
            states[state].append(_errors(hands, truth, meshes))
        far = [shifted(before[0], np.array([APART, 0, 0])), before[1]]
        changed += any(
            not np.array_equal(getattr(one, name), getattr(other, name))
            for one, other in zip(far, _sided(regularise(far)))
            for name in ('joints', 'vertices', 'pose', 'shape', 'translation')
        )
    figures: dict[str, Any] = {
        state: {name: float(np.mean([one[name] for one in found])) for name in COLUMNS}
        for state, found in states.items()
    }
    figures['ratio'] = {
        name: figures['with'][name] / value if value else 1.0 for name, value in figures['without'].items()
    }
    return figures | {
        'pairs': len(rows),
        'moved': moved,
        'apart_changed': changed,
        'milliseconds': 1e3 * seconds / len(rows),
    }


def _sided(hands: Sequence[HandEstimate]) -> list[HandEstimate]:
    by_side = {hand.side: hand for hand in hands}
    if len(hands) != 2 or len(by_side) != 2:
        raise EvaluationError(f'the regulariser made {[hand.side for hand in hands]} of a right and a left hand')
    return [by_side['right'], by_side['left']]


def _errors(hands: Sequence[HandEstimate], truth: Hands, meshes: PairMeshes) -> dict[str, float]:
    joints, vertices = np.stack([hand.joints for hand in hands]), np.stack([hand.vertices for hand in hands])
    wrists, true_wrists = joints[:, :1], truth.joints[:, :1]
    apart = (wrists[0] - wrists[1]) - (true_wrists[0] - true_wrists[1])
    volume, depth, _ = meshes.measured(*vertices)
    return {
        'mpjpe_mm': _mean_mm((joints - wrists) - (truth.joints - true_wrists)),
        'mpvpe_mm': _mean_mm((vertices - wrists) - (truth.vertices - true_wrists)),
        'mrrpe_mm': _mean_mm(apart),
        'joints_mm': _mean_mm(joints - truth.joints),
        'penetration_mm3': volume,
        'penetration_mm': depth,
    }


def _mean_mm(differences: np.ndarray) -> float:
    return 1e3 * float(np.linalg.norm(differences, axis=-1).mean())


def _table(figures: dict[str, Any]) -> str:
    rows = {row: [f'{figures[row][name]:.3g}' for name in COLUMNS] for row in ('without', 'with', 'ratio')}
    return markdown_table(COLUMNS.values(), rows)
