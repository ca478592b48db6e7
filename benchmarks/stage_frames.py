# SPDX-License-Identifier: Apache-2.0
"""Frames for the stage of any system: images of the simulated camera, 640×480 pixels at 30 Hz."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.simulation.camera import MovingHand
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.hands_together import HandsTogether
from hoi_ros.simulation.held_solid import SOLIDS
from hoi_ros.simulation.sensor import SensorModel
from hoi_ros.systems import System

CAMERA = Pinhole(640, 480, 610.0, 610.0, 319.5, 239.5)
RATE = 30.0
"""Frames a second."""

_ASIDE = {'right': -0.2, 'left': 0.2}
"""Lateral place of each of two hands, as a share of its distance."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """Arguments of a stage: its required images in order, its optional ones by name, and their camera.

    Depth images are (H, W) float32 metres, 0 invalid; colour images (H, W, 3) uint8 RGB.
    """

    images: tuple[np.ndarray, ...]
    camera: Pinhole = CAMERA
    optional: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


def simulated_frames(system: System, sides: Sequence[str], count: int) -> list[Frame]:
    """Renders hands in the scene of a system, with the noise of a real depth camera.

    Args:
        system: its scene, and the images of its source.
        sides: the hands in view, 'right' or 'left'; none shows the empty room.
        count: consecutive frames.
    """
    model = HandModel.load()
    solid = SOLIDS.get(system.scene.get('object', 'none'))
    motions: Sequence[MovingHand] = [
        HandMotion(
            model, side, aside=_ASIDE[side] if len(sides) > 1 else 0.0, solid=solid() if solid is not None else None
        )
        for side in sides or ('right',)
    ]
    if len(sides) > 1 and system.scene.get('motion') == 'together':
        motions = HandsTogether(model).hands
    simulated = SimulatedCamera(CAMERA, motions, SensorModel())
    frames = []
    for index in range(count):
        depth = np.zeros((CAMERA.height, CAMERA.width), np.uint16)
        colour = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
        view = simulated.look(index / RATE)
        if not sides:
            # Painting an empty window leaves the background alone.
            view = dataclasses.replace(view, depth=view.depth[:0], shade=view.shade[:0])
        simulated.paint(view, depth, colour)
        images = {'depth': depth * np.float32(0.001), 'colour': colour}
        frames.append(
            Frame(
                tuple(images[kind] for kind in system.source.images),
                optional={kind: images[kind] for kind in system.source.optional_images},
            )
        )
    return frames
