# SPDX-License-Identifier: Apache-2.0
"""The typed outputs of the reconstruction network for one hand."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.stages.parts.hand_square import HandSquare
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import probability
from hoi_ros.stages.parts.scores import ScoreCalibration

_TILTED = 0.5
"""Largest roll of a hand in its crop, radians, before it is cropped again: the network is trained on crops in which the
fingers point roughly up."""
_POINTS = 'keypoints', 'object'
"""Outputs along the axes of the crop's camera."""
_UNUSED = ('vertices',)
"""Outputs that are not kept: pose and shape give the hand's mesh."""
_WIDEST = 5.0
"""Largest plausible |log| of a crop's width at the hand over the usual width."""


@dataclasses.dataclass(frozen=True)
class CropPrediction:
    """The network's outputs for one crop, or their mean over several views, by the names of the network's card."""

    crop: ViewCrop
    outputs: dict[str, np.ndarray]
    root: np.ndarray
    """(3,) metres, axes of the crop's camera, at the distance that the hand's size implies."""

    @functools.cached_property
    def keypoints(self) -> np.ndarray:
        """(21, 3) metres in the camera's optical frame, at the distance of `root`."""
        return self.crop.to_camera(self.outputs['keypoints'] + self.root)

    @functools.cached_property
    def square(self) -> HandSquare:
        """The square of its keypoints in the image."""
        return HandSquare(*outline(self.crop.camera.project(self.keypoints), None))

    @property
    def tilted(self) -> bool:
        """Whether the hand is far from upright in its crop."""
        turn = self.crop.turn - self.crop.upright(self.keypoints).turn
        return abs(math.remainder(turn, 2 * math.pi)) > _TILTED

    @property
    def right(self) -> bool:
        """Whether the crop shows the image as it is, as of a right hand, or mirrored, as of a left one."""
        return not self.crop.mirrored

    @property
    def hand(self) -> float:
        """Score that the crop shows a hand, in [0, 1]; not calibrated."""
        return float(self.outputs['hand'][0])

    @property
    def side_odds(self) -> float:
        """Log-odds that the hand has the side that the crop assumes; 0 for a network without this output."""
        return log_odds(float(self.outputs['right'][0])) if 'right' in self.outputs else 0.0

    @property
    def holds(self) -> float | None:
        """Probability that the hand holds something or reaches for it; None for a network without this output."""
        return float(self.outputs['holds'][0]) if 'holds' in self.outputs else None

    def with_mean_score(self, *others: CropPrediction) -> CropPrediction:
        """This prediction with the mean of the log-odds of its own hand score and those of the others."""
        odds = np.mean([log_odds(each.hand, ScoreCalibration.margin) for each in (self, *others)])
        return dataclasses.replace(self, outputs={**self.outputs, 'hand': np.array([probability(float(odds))])})


def prediction_of(crop: ViewCrop, outputs: dict[str, np.ndarray], crop_width: float) -> CropPrediction | None:
    """The prediction of one crop; None where the outputs are not finite or not plausible.

    Args:
        crop: what the network was given.
        outputs: by name, without the batch axis.
        crop_width: metres that a crop is usually wide at the hand.
    """
    if not all(np.isfinite(values).all() for values in outputs.values()) or abs(outputs['place'][2]) > _WIDEST:
        return None
    outputs = {name: values.astype(float) for name, values in outputs.items() if name not in _UNUSED}
    return CropPrediction(crop, outputs, crop.point(outputs['place'][:2], crop_width * math.exp(outputs['place'][2])))


def mean_prediction(crop: ViewCrop, views: Sequence[CropPrediction]) -> CropPrediction | None:
    """The mean of predictions of several views of a crop, in the axes of the crop's camera; None where a rotation is
    none."""
    if len(views) == 1 and views[0].crop is crop:
        return views[0]
    # Each row is an axis of the view's camera in the axes of the crop's camera.
    turns = [crop.from_camera(view.crop.to_camera(np.eye(3))) for view in views]
    mean = {
        name: np.mean(
            [view.outputs[name] @ turn if name in _POINTS else view.outputs[name] for view, turn in zip(views, turns)],
            0,
        )
        for name in views[0].outputs
    }
    try:
        rotations = Rotation.from_matrix([turn.T @ view.outputs['rotation'] for view, turn in zip(views, turns)])
    except ValueError:
        return None
    mean['rotation'] = rotations.mean().as_matrix()
    return CropPrediction(crop, mean, np.mean([view.root @ turn for view, turn in zip(views, turns)], 0))
