# SPDX-License-Identifier: Apache-2.0
"""Places of a hand relative to an object, and the frames that align the two."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Placement(NamedTuple):
    """A hand in the object's frame.

    Attributes:
        rotation: (3, 3) rotation from the hand's rest frame to the object's.
        translation: (3,) metres.
        approach: (3,) unit direction in which the hand came.
        progress: how far its joints have closed, 0 opened to 1 closed.
    """

    rotation: np.ndarray
    translation: np.ndarray
    approach: np.ndarray
    progress: float

    def of(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the rest frame in the object's frame, float32."""
        return points @ self.rotation.T.astype(np.float32) + self.translation.astype(np.float32)

    def moved(self, distance: float) -> Placement:
        """The placement `distance` metres further along the approach."""
        return self._replace(translation=self.translation + distance * self.approach)


class Tunnels(NamedTuple):
    """Spaces between thumb and fingers, of an object to hold or of a hand.

    Attributes:
        middles: (N, 3) midpoints between thumb and fingers, metres.
        widths: (N,) distances between thumb and fingers there, metres.
        frames: (N, 3, 3) columns: from the thumb to the fingers, the approach, along the tunnel.
    """

    middles: np.ndarray
    widths: np.ndarray
    frames: np.ndarray


def aligned_frames(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Right-handed frames (N, 3, 3): the first column along `first`, the second as close to `second` as possible."""
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = second - (second * first).sum(1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], -1)
