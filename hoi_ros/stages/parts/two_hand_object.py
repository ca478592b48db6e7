# SPDX-License-Identifier: Apache-2.0
"""Objects as the two-hand prior sees them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from hoi_ros.engines import Backend
from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.engines import ModelFileError
from hoi_ros.resources import model_dir
from hoi_ros.stages.parts.object_points import grouped
from hoi_ros.stages.parts.object_points import object_points_of
from hoi_ros.stages.parts.object_points import UNIT
from hoi_ros.stages.parts.two_hand_sampler import ObjectFeature

_MIRROR = np.array([-1, 1, 1])


class EmbeddedObject(NamedTuple):
    """An object: its embeddings, and its origin (3,) in the frame of its mesh, metres."""

    feature: ObjectFeature
    origin: np.ndarray


class ObjectEmbedding:
    """The object encoder of the model folder `two_hand_object`.

    Args:
        denoiser: card of `two_hand_prior`, which has learnt with the encoder.
        models, backend, threads: as of `load_engine` and `model_dir`.

    Raises:
        EngineError, ResourceError: the model is missing or damaged, or belongs to another denoiser.
    """

    def __init__(self, denoiser: Card, models: Path | None, backend: Backend, threads: int | None) -> None:
        folder = model_dir('two_hand_object', models)
        self._engine = load_engine(folder, backend, threads=threads)
        card, expected = self._engine.card, denoiser.parameters['object_width']
        if (width := card.outputs[0].shape[-1]) != expected:
            fault = f'it embeds objects in {width} numbers, two_hand_prior expects {expected}'
        elif card.training != denoiser.training:
            fault = f'it was trained by {_command(card)}, two_hand_prior by {_command(denoiser)}'
        else:
            return
        raise ModelFileError(f'{folder} belongs to another two_hand_prior: {fault}. Export and install both together')

    def __call__(self, vertices: np.ndarray, faces: np.ndarray) -> EmbeddedObject:
        """An object and its mirror image.

        Args:
            vertices: (M, 3) metres.
            faces: (F, 3) counter-clockwise from outside.

        Raises:
            ObjectError: no hand holds such an object.
        """
        thing = object_points_of(vertices, faces)
        return EmbeddedObject(self.feature(thing.points), thing.origin)

    def feature(self, points: np.ndarray) -> ObjectFeature:
        """The embeddings of points (512, 3) of an object and of their mirror images, metres, in the object's frame."""
        both = np.stack([points, points * _MIRROR]).astype(np.float32)
        groups = grouped(both)._asdict()
        embedding = self._engine(points=(both / UNIT).astype(np.float32), **groups)[self._engine.outputs[0].name]
        return ObjectFeature(*embedding)


def _command(card: Card) -> str:
    return f'`{card.training.get("command")}`, seed {card.training.get("seed")}'
