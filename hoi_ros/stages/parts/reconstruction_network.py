# SPDX-License-Identifier: Apache-2.0
"""Crops hands out of a colour image and runs the reconstruction network on all crops in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.engines import Backend
from hoi_ros.engines import load_engine
from hoi_ros.resources import model_dir
from hoi_ros.resources import ResourceError
from hoi_ros.stages.parts.crop_prediction import CropPrediction
from hoi_ros.stages.parts.crop_prediction import mean_prediction
from hoi_ros.stages.parts.crop_prediction import prediction_of
from hoi_ros.stages.parts.exposure import lit
from hoi_ros.stages.parts.hand_square import HandSquare

_BATCH = 2
"""Crops of one run where a backend compiles for a number of items: both views of a hand, or both sides. On two cores
runs of four are 4 % faster and take 170 MB more."""
_BEYOND = 0.25
"""Largest distance of a square's centre from the image, in sides: a border may cut a hand in its middle."""


class CropRequest(NamedTuple):
    """A hand to crop and to infer."""

    square: HandSquare
    """Where the hand is expected."""
    held: np.ndarray | None
    """(2, 2) lowest and highest pixels of what it holds; the crop is widened towards them."""
    right: bool
    """The side that is assumed."""
    before: CropPrediction | None
    """The hand's last prediction, which tells the roll of an upright crop; None for a single crop without roll."""


class CropInference:
    """The reconstruction network and the crops that it takes.

    Args:
        models: folder that holds reconstruction/ and hand_model/.
        vertices: number of vertices of the hand model.
        backend, threads: of the engine.

    Attributes:
        parameters: of the network's card.
        root: index of the keypoint that the network's points are relative to.

    Raises:
        EngineError, ResourceError: the model is missing or damaged, belongs to another hand model, or does not
            tell hands from non-hands.
    """

    def __init__(self, models: Path | None, vertices: int, backend: Backend, threads: int | None) -> None:
        folder = model_dir('reconstruction', models)
        self._engine = load_engine(folder, backend, threads=threads)
        outputs = {output.name: output.shape for output in self._engine.outputs}
        if 'hand' not in outputs:
            raise ResourceError(
                f'{folder} does not tell hands from non-hands: train it with python -m training '
                'train reconstruction_score, and export it again'
            )
        trained = outputs['vertices'][1]
        if trained != vertices:
            raise ResourceError(
                f'{folder} was trained with a hand of {trained} vertices, {model_dir("hand_model", models)} holds '
                f'one of {vertices}: put the hand that it was trained with there'
            )
        self._engine.prepare(_BATCH)
        self.parameters = self._engine.card.parameters
        self.root = int(self.parameters['root'])
        self._size = self._engine.inputs[0].shape[-1]
        self._room, self._crop_width = float(self.parameters['room']), float(self.parameters['crop_width_m'])

    def __call__(
        self, image: np.ndarray, camera: Pinhole, requests: Sequence[CropRequest], views: int
    ) -> list[CropPrediction | None]:
        """Infers all requests in one batch.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: of that image.
            requests: the hands.
            views: crops of each upright hand, whose predictions are averaged.

        Returns:
            A prediction a request; None where most of the square is outside of the image or the outputs are not
            plausible.
        """
        crops = [self._crop(image, camera, request) for request in requests]
        varied = [
            [] if crop is None else crop.varied(views) if request.before else [crop]
            for crop, request in zip(crops, requests)
        ]
        inferred = iter(self._infer(image, [view for each in varied for view in each]))
        predictions: list[CropPrediction | None] = []
        for crop, each in zip(crops, varied):
            plausible = [view for view in (next(inferred) for _ in each) if view is not None]
            if crop is None or len(plausible) < len(each):
                predictions.append(None)
            else:
                predictions.append(mean_prediction(crop, plausible))
        return predictions

    def _crop(self, image: np.ndarray, camera: Pinhole, request: CropRequest) -> ViewCrop | None:
        centre, side = request.square
        size = np.array(image.shape[1::-1])
        beyond = np.maximum(-centre, centre - size).max()
        if beyond > _BEYOND * side or side > 2 * size.max():
            return None
        middle, side = outline(centre + np.array([[-0.5], [0.5]]) * side, request.held)
        crop = ViewCrop(camera, middle, self._room * side, mirrored=not request.right)
        return crop.upright(request.before.keypoints) if request.before else crop

    def _infer(self, image: np.ndarray, crops: Sequence[ViewCrop]) -> list[CropPrediction | None]:
        if not crops:
            return []
        pixels = np.stack([lit(crop.warp(image, self._size)).transpose(2, 0, 1) for crop in crops])
        outputs = self._engine(image=pixels.astype(np.float32) / 127.5 - 1)
        return [
            prediction_of(crop, {name: values[index] for name, values in outputs.items()}, self._crop_width)
            for index, crop in enumerate(crops)
        ]
