# SPDX-License-Identifier: Apache-2.0
"""The contact of a hand on the palm side of an open one, where a real view hides it."""

from __future__ import annotations

import numpy as np

from hoi_ros.camera import Pinhole
from hoi_ros.drawing.contact_colours import contact_colours
from hoi_ros.drawing.hands import draw_mesh
from hoi_ros.drawing.hands import SIDE_COLOURS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.wrist_frame import wrist_frame

_DISTANCE, _LENGTH = 1.0, 0.23
"""Of the view from the palm, and the length that fills its height, metres."""
_BACKGROUND = 48


class OpenHand:
    """Draws contact on the mean hand at rest, seen from the palm, fingers up.

    Args:
        model: of the hand's side.
        width, height: of the pictures, pixels.
    """

    def __init__(self, model: HandModel, width: int, height: int) -> None:
        focal = height * _DISTANCE / _LENGTH
        self._camera = Pinhole(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        self._faces, self._own = model.faces, SIDE_COLOURS[model.side]
        zeros = np.zeros(48, np.float32), np.zeros(10, np.float32), np.zeros(3, np.float32)
        rest = model.forward(*zeros)
        from_palm = wrist_frame(rest.keypoints, model.side) * [1, -1, -1]
        vertices = rest.vertices @ from_palm
        middle = (vertices.min(0) + vertices.max(0)) / 2
        self._vertices = vertices - middle + [0, 0, _DISTANCE]

    def __call__(self, contact: np.ndarray | None) -> np.ndarray:
        """(height, width, 3) uint8 RGB of the contact (V,) of the vertices, 0 to 1; without a hand where it is None."""
        camera = self._camera
        picture = np.full((camera.height, camera.width, 3), _BACKGROUND, np.uint8)
        if contact is not None:
            colours = contact_colours(contact[self._faces].mean(1), self._own)
            draw_mesh(picture, self._vertices, self._faces, camera, colours, opacity=1.0)
        return picture
