# SPDX-License-Identifier: Apache-2.0
"""The systems and their commands: one entry a system.

`python -m training` reads these entries only. Modules are named by text and imported when a command runs, so that
listing the commands does not import PyTorch.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import get_args
from typing import Literal

Verb = Literal['train', 'export', 'evaluate', 'ablate', 'calibrate']
"""train: leaves weights; export: writes a model folder; evaluate: measures, writes no model; ablate: trains and
compares variants; calibrate: writes into the card of a model."""
VERBS: tuple[Verb, ...] = get_args(Verb)


@dataclasses.dataclass(frozen=True)
class Command:
    """Where a command is implemented."""

    module: str
    """Full name of the module."""
    config: str
    """Dataclass in it, whose fields are the options and whose docstring is the help text."""
    run: str
    """Function in it that takes the configuration."""

    @property
    def effect(self) -> str:
        """The first sentence of the dataclass's docstring, read from the source, so that nothing is imported."""
        source = (Path(__file__).parents[1] / f'{self.module.replace(".", "/")}.py').read_text(encoding='utf-8')
        classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
        text = next((ast.get_docstring(node) or '' for node in classes if node.name == self.config), '')
        return re.split(r'(?<=\.)\s', ' '.join(text.split()))[0]

    def load(self) -> tuple[type, Callable[[Any], object]]:
        """Imports the module; returns the dataclass and the function."""
        module = importlib.import_module(self.module)
        return getattr(module, self.config), getattr(module, self.run)


@dataclasses.dataclass(frozen=True)
class TrainingSystem:
    """A system and its commands."""

    name: str
    commands: Mapping[tuple[Verb, str], Command]
    """Commands by verb and name: `python -m training VERB NAME`."""


SYSTEMS: tuple[TrainingSystem, ...] = (
    TrainingSystem(
        'depth_pose',
        {
            ('train', 'depth_pose'): Command('training.recipes.depth_pose', 'DepthPoseRecipe', 'train'),
            ('train', 'hand_finder'): Command('training.recipes.hand_finder', 'HandFinderRecipe', 'train'),
            ('export', 'depth_pose'): Command('training.export.depth_pose', 'DepthPoseExport', 'export'),
            ('export', 'hand_finder'): Command('training.export.depth_pose', 'DepthPoseExport', 'export_finder'),
            ('evaluate', 'depth_pose'): Command('training.evaluation.depth_pose', 'DepthPoseEvaluation', 'evaluate'),
            ('evaluate', 'hand_finder'): Command('training.evaluation.hand_finder', 'HandFinderEvaluation', 'evaluate'),
            ('evaluate', 'depth_pose_score'): Command(
                'training.evaluation.depth_pose_score', 'DepthPoseScoreEvaluation', 'evaluate'
            ),
            ('evaluate', 'depth_pose_surface'): Command(
                'training.evaluation.depth_pose_surface', 'DepthPoseSurfaceEvaluation', 'evaluate'
            ),
            ('evaluate', 'depth_pose_empty'): Command(
                'training.evaluation.depth_pose_empty', 'EmptySceneEvaluation', 'evaluate'
            ),
            ('evaluate', 'depth_pose_stereo'): Command(
                'training.evaluation.depth_pose_stereo', 'DepthPoseStereo', 'evaluate'
            ),
            ('calibrate', 'depth_pose_score'): Command(
                'training.calibration.depth_pose', 'DepthPoseScoreCalibration', 'calibrate_score'
            ),
            ('calibrate', 'depth_pose_activations'): Command(
                'training.calibration.depth_pose', 'DepthPoseActivations', 'calibrate_activations'
            ),
            ('calibrate', 'depth_pose_figures'): Command(
                'training.calibration.depth_pose', 'DepthPoseFigures', 'record_figures'
            ),
        },
    ),
    TrainingSystem(
        'reconstruction',
        {
            ('train', 'reconstruction'): Command('training.recipes.reconstruction', 'ReconstructionRecipe', 'train'),
            ('train', 'rgb_detector'): Command('training.recipes.rgb_detector', 'RgbDetectorRecipe', 'train'),
            ('train', 'reconstruction_score'): Command(
                'training.recipes.reconstruction_score', 'ReconstructionScoreRecipe', 'train'
            ),
            ('export', 'reconstruction'): Command('training.export.reconstruction', 'ReconstructionExport', 'export'),
            ('export', 'rgb_detector'): Command('training.export.rgb_detector', 'RgbDetectorExport', 'export'),
            ('evaluate', 'reconstruction'): Command(
                'training.evaluation.reconstruction', 'ReconstructionEvaluation', 'evaluate'
            ),
            ('evaluate', 'reconstruction_score'): Command(
                'training.evaluation.reconstruction_score', 'ReconstructionScoreEvaluation', 'evaluate'
            ),
            ('evaluate', 'reconstruction_claims'): Command(
                'training.evaluation.reconstruction_claims', 'ReconstructionClaimEvaluation', 'evaluate'
            ),
            ('evaluate', 'reconstruction_stage'): Command(
                'training.evaluation.reconstruction_stage', 'ReconstructionStageEvaluation', 'evaluate'
            ),
            ('evaluate', 'reconstruction_video'): Command(
                'training.evaluation.reconstruction_video', 'ReconstructionVideoEvaluation', 'evaluate'
            ),
            ('evaluate', 'reconstruction_photos'): Command(
                'training.evaluation.photos', 'PhotosEvaluation', 'evaluate'
            ),
            ('evaluate', 'reconstruction_stereo'): Command(
                'training.evaluation.reconstruction_stereo', 'ReconstructionStereo', 'evaluate'
            ),
            ('evaluate', 'rgb_detector'): Command(
                'training.evaluation.rgb_detector', 'RgbDetectorEvaluation', 'evaluate'
            ),
            ('ablate', 'reconstruction'): Command(
                'training.ablation.reconstruction', 'ReconstructionAblation', 'ablate'
            ),
            ('calibrate', 'rgb_detector'): Command(
                'training.calibration.rgb_detector', 'RgbDetectorCalibration', 'calibrate'
            ),
            ('calibrate', 'reconstruction_score'): Command(
                'training.calibration.reconstruction', 'ReconstructionScoreCalibration', 'calibrate_score'
            ),
            ('calibrate', 'reconstruction_activations'): Command(
                'training.calibration.reconstruction_activations', 'ReconstructionActivations', 'calibrate_activations'
            ),
            ('calibrate', 'reconstruction_claims'): Command(
                'training.calibration.reconstruction_claims', 'ReconstructionClaimCalibration', 'calibrate'
            ),
            ('calibrate', 'reconstruction_joints'): Command(
                'training.calibration.reconstruction', 'ReconstructionJointCalibration', 'calibrate_joints'
            ),
        },
    ),
    TrainingSystem(
        'contact',
        {
            ('train', 'contact'): Command('training.recipes.contact', 'ContactRecipe', 'train'),
            ('train', 'contact_semi'): Command('training.recipes.contact_semi', 'ContactSemiRecipe', 'train'),
            ('export', 'contact'): Command('training.export.contact', 'ContactExport', 'export'),
            ('evaluate', 'contact'): Command('training.evaluation.contact', 'ContactEvaluation', 'evaluate'),
            ('evaluate', 'contact_stage'): Command(
                'training.evaluation.contact_stage', 'ContactStageEvaluation', 'evaluate'
            ),
            ('ablate', 'contact'): Command('training.ablation.contact', 'ContactAblation', 'ablate'),
        },
    ),
    TrainingSystem(
        'two_hand_prior',
        {
            ('train', 'two_hand_prior'): Command('training.recipes.two_hand_prior', 'TwoHandPriorRecipe', 'train'),
            ('train', 'two_hand_prior_clean'): Command(
                'training.recipes.two_hand_clean', 'TwoHandCleanRecipe', 'train'
            ),
            ('train', 'two_hand_features'): Command(
                'training.recipes.two_hand_features', 'TwoHandFeaturesRecipe', 'train'
            ),
            ('export', 'two_hand_prior'): Command('training.export.two_hand_prior', 'TwoHandPriorExport', 'export'),
            ('export', 'two_hand_prior_clean'): Command(
                'training.export.two_hand_clean', 'TwoHandCleanExport', 'export'
            ),
            ('evaluate', 'two_hand_prior'): Command(
                'training.evaluation.two_hand_prior', 'TwoHandPriorEvaluation', 'evaluate'
            ),
            ('evaluate', 'two_hand_prior_regulariser'): Command(
                'training.evaluation.two_hand_prior_regulariser', 'TwoHandRegulariserEvaluation', 'evaluate'
            ),
            ('ablate', 'two_hand_prior'): Command('training.ablation.two_hand_prior', 'TwoHandPriorAblation', 'ablate'),
        },
    ),
)


def commands(systems: tuple[TrainingSystem, ...] = SYSTEMS) -> dict[tuple[Verb, str], Command]:
    """All commands by verb and name, sorted by verb.

    Raises:
        ValueError: two systems have the same command.
    """
    found: dict[tuple[Verb, str], Command] = {}
    for system in systems:
        if repeated := found.keys() & system.commands.keys():
            verb, name = min(repeated)
            raise ValueError(f'{system.name} repeats the command {verb} {name} of another system: use another name')
        found.update(system.commands)
    return dict(sorted(found.items(), key=lambda item: VERBS.index(item[0][0])))
