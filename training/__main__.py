# SPDX-License-Identifier: Apache-2.0
"""`python -m training train|export|evaluate SYSTEM`."""

from __future__ import annotations

import sys

import tyro

from hoi_ros.engines import EngineError
from hoi_ros.hand.model import HandModelError
from hoi_ros.resources import ResourceError
from training.data.public.dataset_files import DatasetError
from training.evaluation import calibration
from training.evaluation import depth_pose as depth_pose_evaluation
from training.evaluation import reconstruction as reconstruction_evaluation
from training.evaluation import reconstruction_score as reconstruction_score_evaluation
from training.evaluation import reconstruction_stage
from training.evaluation import rgb_detector as rgb_detector_evaluation
from training.evaluation import rgb_video
from training.evaluation import surface
from training.export import depth_pose as depth_pose_export
from training.export import reconstruction as reconstruction_export
from training.export import rgb_detector as rgb_detector_export
from training.recipes import depth_pose
from training.recipes import hand_finder
from training.recipes import reconstruction
from training.recipes import reconstruction_score
from training.recipes import rgb_detector

_TRAIN = {
    'depth_pose': (depth_pose.DepthPoseRecipe, depth_pose.train),
    'hand_finder': (hand_finder.HandFinderRecipe, hand_finder.train),
    'reconstruction': (reconstruction.ReconstructionRecipe, reconstruction.train),
    'reconstruction_score': (reconstruction_score.ReconstructionScoreRecipe, reconstruction_score.train),
    'rgb_detector': (rgb_detector.RgbDetectorRecipe, rgb_detector.train),
}

_EXPORT = {
    'depth_pose': (depth_pose_export.DepthPoseExport, depth_pose_export.export),
    'hand_finder': (depth_pose_export.DepthPoseExport, depth_pose_export.export_finder),
    'reconstruction': (reconstruction_export.ReconstructionExport, reconstruction_export.export),
    'rgb_detector': (rgb_detector_export.RgbDetectorExport, rgb_detector_export.export),
}
_EVALUATE = {
    'depth_pose': (depth_pose_evaluation.DepthPoseEvaluation, depth_pose_evaluation.evaluate),
    'score': (calibration.ScoreEvaluation, calibration.evaluate),
    'reconstruction': (reconstruction_evaluation.ReconstructionEvaluation, reconstruction_evaluation.evaluate),
    'reconstruction_score': (
        reconstruction_score_evaluation.ReconstructionScoreEvaluation,
        reconstruction_score_evaluation.evaluate,
    ),
    'reconstruction_stage': (reconstruction_stage.ReconstructionStageEvaluation, reconstruction_stage.evaluate),
    'rgb_detector': (rgb_detector_evaluation.RgbDetectorEvaluation, rgb_detector_evaluation.evaluate),
    'rgb_video': (rgb_video.RgbVideoEvaluation, rgb_video.evaluate),
    'surface': (surface.SurfaceEvaluation, surface.evaluate),
}


def main() -> None:
    commands = {'train': _TRAIN, 'export': _EXPORT, 'evaluate': _EVALUATE}
    if len(sys.argv) < 3 or sys.argv[1] not in commands or sys.argv[2] not in commands[sys.argv[1]]:
        choices = '\n'.join(
            f'  python -m training {command} {system}' for command, systems in commands.items() for system in systems
        )
        raise SystemExit(f'One of these, each with --help:\n{choices}')
    config, run = commands[sys.argv[1]][sys.argv[2]]
    chosen = tyro.cli(config, args=sys.argv[3:], prog=f'python -m training {sys.argv[1]} {sys.argv[2]}')
    try:
        run(chosen)
    except (DatasetError, EngineError, FileNotFoundError, HandModelError, ResourceError) as error:
        raise SystemExit(f'error: {error}') from error


if __name__ == '__main__':
    main()
