# SPDX-License-Identifier: Apache-2.0
"""`depth_pose` on real stereo pairs: it sees the depth alone."""

from __future__ import annotations

from hoi_ros.stages.depth_pose import DepthPoseStage
from training.evaluation.stereo import stereo_figures
from training.evaluation.stereo import StereoEvaluation


class DepthPoseStereo(StereoEvaluation):
    """Runs `depth_pose` on the depth of real stereo pairs, each on its own."""


def evaluate(config: DepthPoseStereo) -> dict[str, float]:
    """Prints and returns the figures."""
    stage = DepthPoseStage(config.models)
    return stereo_figures(config, stage, lambda pair: stage(pair.depth, pair.camera, 0.0))
