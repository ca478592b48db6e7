# SPDX-License-Identifier: Apache-2.0
"""Calibrates `depth_pose`: score, side and activation ranges; writes the figures of its evaluation into its card."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hoi_ros.stages.parts.hand_finder import finder_input
from hoi_ros.stages.parts.scores import ProposalCalibration
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.parts.scores import SideCalibration
from training.calibration.activations import print_errors
from training.calibration.activations import RoundingError
from training.calibration.activations import write_activation_ranges
from training.calibration.figures import write_figures_to_card
from training.calibration.scores import CalibrationError
from training.calibration.scores import fit_proposal_calibration
from training.calibration.scores import fit_score_calibration
from training.calibration.scores import fit_side_calibration
from training.calibration.scores import write_calibrations
from training.data.synthetic.depth_crops import augment
from training.data.synthetic.depth_crops import CropAugmentation
from training.data.synthetic.depth_crops import DepthPatches
from training.data.synthetic.depth_frames import DepthFrames
from training.evaluation.depth_pose_score import Candidates
from training.evaluation.depth_pose_score import collect_candidates
from training.evaluation.depth_pose_score import DepthPoseScoreEvaluation
from training.evaluation.depth_pose_score import print_candidates
from training.installation import InstallOptions

_SPLITS = 'validation', 'handling_validation'


@dataclasses.dataclass(frozen=True)
class DepthPoseScoreCalibration(InstallOptions):
    """Fits the calibrations of score and side on validation frames and writes them into the card of depth_pose."""

    frames: int = 600
    """Frames of hands that are free, and as many of hands that hold things."""
    models: Path = Path('models')
    cache: Path = Path('runs/test_frames')
    """Folder that caches rendered frames, one folder a split."""
    workers: int = 2
    """Rendering processes."""


def calibrate_score(
    config: DepthPoseScoreCalibration,
) -> tuple[ScoreCalibration, ProposalCalibration, SideCalibration]:
    """Fits, prints the score curve, writes the card and returns the calibrations."""
    config.require_consent(config.models)
    parts = [
        DepthPoseScoreEvaluation(config.frames, config.models, split, cache=config.cache, workers=config.workers)
        for split in _SPLITS
    ]
    candidates = Candidates.joined([collect_candidates(part) for part in parts])
    score = fit_score_calibration(candidates.scores, candidates.hands)
    judged = np.array([score(value) for value in candidates.scores])
    proposal = fit_proposal_calibration(judged, candidates.proposed, candidates.hands)
    side = fit_side_calibration(candidates.side_evidence)
    print_candidates(candidates, score, proposal, side, len(_SPLITS) * config.frames)
    calibrations = {'score_calibration': score, 'proposal_calibration': proposal, 'side_calibration': side}
    write_calibrations(config.models / 'depth_pose', config, **calibrations)
    return score, proposal, side


@dataclasses.dataclass(frozen=True)
class DepthPoseFigures(InstallOptions):
    """Writes the figures that `evaluate depth_pose --out FILE` measured into the card of that variant."""

    figures: Path
    """The JSON file."""
    models: Path = Path('models')


def record_figures(config: DepthPoseFigures) -> None:
    """Adds the figures as `whole_stage_<split>`."""
    config.require_consent(config.models)
    try:
        measured = json.loads(config.figures.read_text())
        variant, joints, split = measured.pop('variant'), measured.pop('joints'), measured['split']
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CalibrationError(
            f'{config.figures} is not the file of python -m training evaluate depth_pose --out FILE: {error!r}'
        ) from error
    folder = config.models / variant
    card = write_figures_to_card(folder, f'whole_stage_{split}', {**measured, **joints}, config)
    print(f'{folder}: {", ".join(card.figures)}')


@dataclasses.dataclass(frozen=True)
class DepthPoseActivations(InstallOptions):
    """Measures the activation ranges of depth_pose and hand_finder on training samples, for 8-bit CPU arithmetic."""

    samples: int = 256
    models: Path = Path('models')


def calibrate_activations(config: DepthPoseActivations) -> dict[str, dict[str, RoundingError]]:
    """Writes the ranges into both cards, prints and returns the rounding errors on validation samples."""
    config.require_consent(config.models)
    errors = {}
    for name, stream in (('depth_pose', _crops), ('hand_finder', _frames)):
        folder = config.models / name
        errors[name] = write_activation_ranges(
            folder, stream('train', config.samples), stream('validation', config.samples // 4), config
        )
        print_errors(folder, errors[name])
    return errors


def _crops(split: str, count: int) -> Iterator[dict[str, NDArray]]:
    patches, augmentation = DepthPatches(split=split), CropAugmentation(upright=0.5)
    for index in range(count):
        crop, _ = augment(patches[index], augmentation, np.random.default_rng(index))
        yield {'crop': crop[None, None]}


def _frames(split: str, count: int) -> Iterator[dict[str, NDArray]]:
    frames = DepthFrames(split=split)
    for index in range(count):
        yield {'frame': finder_input(frames[index]['depth'] * np.float32(1e-4))[None]}
