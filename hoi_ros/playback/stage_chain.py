# SPDX-License-Identifier: Apache-2.0
"""The stage of a system behind the stages of the systems that it stands on, in one process."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.systems import Stage
from hoi_ros.systems import System
from hoi_ros.systems import SYSTEMS


class StageChain:
    """A stage that gives its hands and the faces of their objects to another one.

    It is called like the first stage, and returns what the second makes of the first one's hands.

    Args:
        before: called with images, camera and stamp; has `object_faces` if it reconstructs objects.
        after: called with hands, `object_faces` and stamp.

    Attributes:
        before, after: the stages.
        object_faces: (F, 3) of the objects' vertices; (0, 3) without objects.
        timings: seconds of the parts of the second stage in the last call, and of the first stage as `before`.
    """

    def __init__(self, before: Any, after: Any) -> None:
        self.before, self.after = before, after
        self.object_faces = np.asarray(getattr(before, 'object_faces', np.zeros((0, 3), np.uint32)))
        self.timings: dict[str, float] = {}

    def __call__(self, *arguments: Any, **optional: Any) -> list[HandEstimate]:
        """The hands; the last of `arguments` is the stamp, seconds."""
        begun = time.perf_counter()
        hands = self.before(*arguments, **optional)
        taken = time.perf_counter() - begun
        refined = self.after(hands, self.object_faces, arguments[-1])
        own = self.after.timings
        self.timings = {'before': taken, **own, 'total': taken + own.get('total', 0.0)}
        return list(refined)

    @property
    def interaction(self) -> Any:
        """What became of two hands in the last call; of a chain whose second stage says so."""
        return self.after.interaction

    def warm_up(self) -> None:
        """Runs each stage once on artificial input."""
        self.before.warm_up()
        self.after.warm_up()

    def reset(self) -> None:
        """Forgets earlier frames."""
        self.before.reset()
        self.after.reset()

    def hand_model(self, side: str) -> HandModel:
        """The hand model of a side."""
        model: HandModel = self.after.hand_model(side)
        return model


def first_stage(stage: Any) -> Any:
    """The stage that is called with the images: that of a chain, or the stage itself."""
    return first_stage(stage.before) if isinstance(stage, StageChain) else stage


def load_pipeline(system: System, **arguments: Any) -> Stage:
    """Creates the stage of a system behind those of the systems that it stands on: it is called as the stage of the
    system's `source` is. `backend`, `models` and the like are passed on to each.

    Raises:
        EngineError, HandModelError, ResourceError: a model is missing or damaged.
    """
    stage = system.load_stage(**arguments)
    if system.stands_on is None:
        return stage
    return StageChain(load_pipeline(SYSTEMS[system.stands_on], **arguments), stage)
