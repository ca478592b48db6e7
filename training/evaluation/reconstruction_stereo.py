# SPDX-License-Identifier: Apache-2.0
"""`reconstruction` on real stereo pairs, with colour and depth."""

from __future__ import annotations

from hoi_ros.stages.reconstruction import ReconstructionStage
from training.evaluation.stereo import stereo_figures
from training.evaluation.stereo import StereoEvaluation


class ReconstructionStereo(StereoEvaluation):
    """Runs `reconstruction` on real stereo pairs with their depth, each on its own."""


def evaluate(config: ReconstructionStereo) -> dict[str, float]:
    """Prints and returns the figures."""
    stage = ReconstructionStage(config.models)
    return stereo_figures(config, stage, lambda pair: stage(pair.image, pair.camera, 0.0, pair.depth))
