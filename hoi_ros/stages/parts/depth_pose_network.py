# SPDX-License-Identifier: Apache-2.0
"""The `depth_pose` network on crops of a depth image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.engines import load_engine
from hoi_ros.engines.errors import EngineError
from hoi_ros.engines.loading import Backend
from hoi_ros.resources import model_dir
from hoi_ros.stages.parts.inferred_hand import InferredHand
from hoi_ros.stages.parts.inferred_hand import mean_of
from hoi_ros.stages.parts.scores import ProposalCalibration
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.parts.scores import SideCalibration

VARIANTS = ('depth_pose', 'depth_pose_lsps')
"""The network that ships, and the paper's."""

GOOD_JOINT = 0.02
"""A joint's score is the probability that its error is below this, metres; also the error of a joint whose network
estimates none."""
_FAN = 0.3
"""Roll of the outermost of several views from the upright one, radians."""
_NEAREST = 0.1
"""Least distance of a crop's centre from the camera, metres."""


class HandNetwork:
    """Infers hands from cubes of a depth image.

    Args:
        models: folder that holds one folder a network.
        backend, threads: of the engine.
        variant: one of `VARIANTS`.

    Attributes:
        cube: side of the cube, metres.
        calibration, proposal_calibration, side_calibration: of the scores, from the model's card.
        side_by_fits: whether the fits of both sides tell the side of a new hand, too.
        detects, tells_sides: whether the network estimates the probability of a hand and that of its side.

    Raises:
        ValueError: the variant is unknown.
        EngineError: the model is missing or damaged.
    """

    def __init__(self, models: Path | None, backend: Backend, threads: int | None, variant: str) -> None:
        if variant not in VARIANTS:
            raise ValueError(f'variant is {variant!r}, expected one of {", ".join(VARIANTS)}')
        folder = model_dir(variant, models)
        if variant != VARIANTS[0] and not folder.is_dir():
            raise EngineError(
                f'{folder.parent}: holds no {variant}, the network of the paper, which does not ship: train it '
                '(`python -m training train depth_pose --help`) and set the parameter models to a folder that holds it '
                'beside hand_finder and hand_model'
            )
        self._engine = load_engine(folder, backend, threads=threads)
        parameters = self._engine.card.parameters
        self.cube = float(parameters['cube_m'])
        self._size = int(self._engine.inputs[0].shape[-1])
        self.calibration = ScoreCalibration(**parameters.get('score_calibration', {}))
        self.proposal_calibration = ProposalCalibration(**parameters.get('proposal_calibration', {}))
        self.side_calibration = SideCalibration(**parameters.get('side_calibration', {}))
        outputs = {output.name for output in self._engine.outputs}
        self.detects, self.tells_sides = 'hand' in outputs, 'right' in outputs
        self.side_by_fits = not self.tells_sides or self.side_calibration.fitted != 0

    def crop(self, camera: Pinhole, centre: np.ndarray, right: bool) -> CubeCrop:
        """The cube about a centre (3,), metres, mirrored for a left hand."""
        centre = np.array([centre[0], centre[1], max(float(centre[2]), _NEAREST)])
        return CubeCrop(camera, centre, self.cube, not right)

    def upright(self, crop: CubeCrop, joints: np.ndarray, views: int) -> list[CubeCrop]:
        """Views of a cube, rolled about the one in which a hand with joints (21, 3) stands upright."""
        rolls = np.linspace(-_FAN, _FAN, views).tolist() if views > 1 else [0.0]
        return [crop.upright(joints, roll) for roll in rolls]

    def infer(self, depth: np.ndarray, groups: Sequence[Sequence[CubeCrop]]) -> list[InferredHand]:
        """Runs the network once, on all crops of all groups as one batch.

        Args:
            depth: (H, W) metres, 0 or NaN invalid.
            groups: each a hand's crops, mirrored alike.

        Returns:
            For each group the mean of its crops, its score calibrated.
        """
        inferred = iter(self.run(depth, [crop for crops in groups for crop in crops]))
        means = [mean_of([next(inferred) for _ in crops]) for crops in groups]
        return [dataclasses.replace(mean, score=self.calibration(mean.score)) for mean in means]

    def run(self, depth: np.ndarray, crops: Sequence[CubeCrop]) -> list[InferredHand]:
        """The network's outputs for each crop, its score not calibrated."""
        outputs = self._engine(crop=np.stack([crop.cut(depth, self._size) for crop in crops])[:, None])
        hands = []
        for index, crop in enumerate(crops):
            hands.append(
                InferredHand(
                    crop.to_camera(outputs['joints'][index].astype(float)),
                    outputs['spread'][index] * (self.cube / 2) if 'spread' in outputs else np.full(21, GOOD_JOINT),
                    float(outputs['hand'][index, 0]) if self.detects else 1.0,
                    float(outputs['right'][index, 0]) if self.tells_sides else 1.0,
                    not crop.mirrored,
                )
            )
        return hands
