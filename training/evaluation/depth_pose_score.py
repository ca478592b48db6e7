# SPDX-License-Identifier: Apache-2.0
"""How well the score of `depth_pose` separates hands from non-hands, and its side evidence right from left."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.stages.parts.inferred_hand import side_evidence
from hoi_ros.stages.parts.scores import ProposalCalibration
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.parts.scores import SideCalibration
from training.data.synthetic.depth_test_frames import DepthTestFrames
from training.evaluation.depth_pose import prepare
from training.evaluation.figures import print_score_curve
from training.evaluation.figures import write_figures

REACH = 0.1
"""A candidate is a hand if its centre lies nearer than this to that of a hand of the scene, metres."""


@dataclasses.dataclass(frozen=True)
class DepthPoseScoreEvaluation:
    """Prints the hands kept and the non-hands passed at each threshold of the calibrated score, on whole frames."""

    frames: int = 1000
    models: Path = Path('models')
    split: str = 'validation'
    cache: Path = Path('runs/test_frames')
    """Folder that caches rendered frames, one folder a split."""
    workers: int = 2
    """Rendering processes."""
    out: Path | None = None
    """JSON file for the figures."""


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The candidates of the stage on a set of frames."""

    scores: np.ndarray
    """(N,) scores of the network, not calibrated."""
    proposed: np.ndarray
    """(N,) scores of the finder."""
    hands: np.ndarray
    """(N,) bool, candidates that are hands."""
    missing: int
    """Hands without a candidate."""
    side_evidence: np.ndarray
    """(M, 2) evidence for the true side of each hand with a candidate, as `side_evidence` returns it."""
    score_calibration: ScoreCalibration
    """Calibration in the model's card."""
    proposal_calibration: ProposalCalibration
    side_calibration: SideCalibration

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Those of several sets of frames; the calibrations are those of the first."""
        names = 'scores', 'proposed', 'hands', 'side_evidence'
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return dataclasses.replace(parts[0], missing=sum(part.missing for part in parts), **joined)


def collect_candidates(config: DepthPoseScoreEvaluation) -> Candidates:
    """Runs the stage on the frames of the split, each as if it were the first, and labels its candidates."""
    folder = prepare(config.split, config.frames, config.cache, config.workers)
    stage = DepthPoseStage(config.models)
    calibration, stage.network.calibration = stage.network.calibration, ScoreCalibration()
    frames, scores, proposed, hands, missing, evidence = DepthTestFrames(config.split), [], [], [], 0, []
    for index in tqdm(range(config.frames), unit='frame', mininterval=5):
        frame = frames.cached(index, folder)
        centres = frame.keypoints.mean(1)
        proposals = stage.proposals(frame.depth, frame.camera)
        proposed += [found.score for found, _ in proposals]
        candidates = [hand for _, hand in proposals]
        gaps = np.array([[np.linalg.norm(found.centre - centre) for centre in centres] for found in candidates])
        gaps = gaps.reshape(len(candidates), len(centres))
        scores += [found.score for found in candidates]
        hands += list((gaps < REACH).any(1))
        for number in np.flatnonzero(frame.counted):
            at_hand = [found for found, gap in zip(candidates, gaps[:, number]) if gap < REACH]
            missing += not at_hand
            if at_hand:
                best = max(at_hand, key=lambda found: found.score)
                right, left = sorted(stage.both_sides(frame.depth, frame.camera, best), key=lambda side: not side.right)
                sign = 1 if frame.sides[number] == 'right' else -1
                evidence.append([sign * value for value in side_evidence(right, left)])
    return Candidates(
        np.array(scores),
        np.array(proposed),
        np.array(hands, bool),
        missing,
        np.array(evidence).reshape(-1, 2),
        calibration,
        stage.network.proposal_calibration,
        stage.network.side_calibration,
    )


def print_candidates(
    candidates: Candidates, score: ScoreCalibration, proposal: ProposalCalibration, side: SideCalibration, frames: int
) -> dict[str, float]:
    """Prints the threshold curve and the share of correct sides under these calibrations; returns the figures."""
    hands = candidates.hands
    scores = [proposal(score(own), found) for own, found in zip(candidates.scores, candidates.proposed)]
    print(f'{hands.sum()} hands and {(~hands).sum()} non-hands are candidates; {candidates.missing} hands have none')
    print_score_curve(np.array(scores), hands, int(hands.sum()), frames)
    print(f'scale {score.scale:.4f}, offset {score.offset:.4f}')
    print(f'judged {proposal.judged:.4f}, proposed {proposal.proposed:.4f}, offset {proposal.offset:.4f}')
    correct = float(np.mean([side(*values) > 0 for values in candidates.side_evidence]))
    print(
        f'side of {len(candidates.side_evidence)} hands: read {side.read:.4f}, fitted {side.fitted:.4f}, '
        f'correct {correct:.4f}'
    )
    return {
        'hands': int(hands.sum()),
        'other': int((~hands).sum()),
        'missing': candidates.missing,
        'scale': score.scale,
        'offset': score.offset,
        'side_correct': correct,
    }


def evaluate(config: DepthPoseScoreEvaluation) -> dict[str, float]:
    """Prints and returns the figures under the calibrations in the model's card."""
    candidates = collect_candidates(config)
    calibrations = candidates.score_calibration, candidates.proposal_calibration, candidates.side_calibration
    figures = print_candidates(candidates, *calibrations, config.frames)
    write_figures(figures, config.out)
    return figures
