# SPDX-License-Identifier: Apache-2.0
"""`depth_pose` on real depth images without labels: the distance of its meshes from the observed surface."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import load_camera_yaml
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.playback.image_folder import list_frames
from hoi_ros.playback.image_folder import read_metric_depth
from hoi_ros.simulation.surface_agreement import surface_agreement
from hoi_ros.stages.depth_pose import DepthPoseStage
from training.evaluation.figures import print_figures
from training.evaluation.figures import write_figures


@dataclasses.dataclass(frozen=True)
class DepthPoseSurfaceEvaluation:
    """Runs the stage on a folder of depth images, each as if it were the first of a stream."""

    depth: Path
    """Folder of depth images."""
    camera: Path
    """ROS calibration file of their camera."""
    depth_scale: float
    """Metres of one unit of the images."""
    models: Path = Path('models')
    variant: str = 'depth_pose'
    out: Path | None = None
    """JSON file for the figures."""


@dataclasses.dataclass(frozen=True)
class HandSurface:
    """One hand of one image compared with the observed surface."""

    image: str
    side: str
    score: float
    residual_mm: float
    silhouette_iou: float

    def __str__(self) -> str:
        return f'{self.side} {self.score:.2f}: {self.residual_mm:.1f} mm, IoU {self.silhouette_iou:.2f}'


def evaluate(config: DepthPoseSurfaceEvaluation) -> dict[str, Any]:
    """Prints the figures of each hand; prints and returns the medians and the worst of all.

    Raises:
        ImageFolderError, ImageFormatError, CalibrationError: an image or the calibration cannot be used.
    """
    images = {files.name: files.depth for files in list_frames(config.depth, None) if files.depth}
    calibration = load_camera_yaml(config.camera)
    stage = DepthPoseStage(config.models, variant=config.variant)
    stage.warm_up()
    hands: list[HandSurface] = []
    for index, (name, path) in enumerate(images.items()):
        depth = read_metric_depth(path, config.depth_scale)
        rectifier = Rectifier(calibration.for_image(depth.shape[1], depth.shape[0]))
        stage.reset()
        found = hand_surfaces(stage, name, rectifier.depth(depth), rectifier.camera, float(index))
        print(name, *map(str, found) if found else ['no hand'], sep='  ')
        hands += found
    figures = summarise(hands, list(images))
    print_figures(figures)
    write_figures(figures, config.out)
    return figures


def hand_surfaces(
    stage: DepthPoseStage, image: str, depth: np.ndarray, camera: Pinhole, stamp: float
) -> list[HandSurface]:
    """The hands of the stage in one undistorted depth image (H, W), metres."""
    surfaces = []
    for hand in stage(depth, camera, stamp):
        agreement = surface_agreement(hand.vertices, stage.hand_model(hand.side).faces, hand.joints, depth, camera)
        # A mesh without any observed point counts as infinitely far away.
        residual = math.inf if math.isnan(agreement.residual_mm) else agreement.residual_mm
        surfaces.append(HandSurface(image, hand.side, float(hand.score), residual, agreement.silhouette_iou))
    return surfaces


def summarise(hands: Sequence[HandSurface], images: Sequence[str]) -> dict[str, Any]:
    """Figures over all hands in the images; NaN if there are none."""
    residuals, ious = [hand.residual_mm for hand in hands], [hand.silhouette_iou for hand in hands]
    sides = [hand.side for hand in hands]
    return {
        'images': len(images),
        'without_a_hand': len(set(images) - {hand.image for hand in hands}),
        'right': sides.count('right'),
        'left': sides.count('left'),
        'residual_median_mm': float(np.median(residuals)) if hands else math.nan,
        'residual_worst_mm': max(residuals, default=math.nan),
        'iou_mean': float(np.mean(ious)) if hands else math.nan,
        'iou_worst': min(ious, default=math.nan),
    }
