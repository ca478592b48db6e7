# SPDX-License-Identifier: Apache-2.0
"""A simulated RGB-D camera before which hands move."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.raycast import Raycaster
from hoi_ros.camera.sensor import SensorModel
from hoi_ros.camera.simulated_hand import HandMotion
from hoi_ros.camera.simulated_hand import SimulatedHand

_WALL = 1.6  # metres before the camera
_TABLE = 0.32  # metres below the camera
_LIGHT = np.array([0.35, 0.55, 0.75]) / np.linalg.norm([0.35, 0.55, 0.75])
"""Where the light goes: from above, from the left and from behind the camera."""
_SKIN, _SLEEVE = np.array([225, 178, 150]), np.array([70, 95, 140])
_RAMP = 127  # brightnesses of one colour; skin is 1 to 127, sleeve 128 to 254, and 0 nothing


@dataclasses.dataclass(frozen=True)
class SimulatedView:
    """The part of one picture that moves: a window of it, and the true hands.

    depth (h, w) uint16 millimetres; shade (h, w) uint8, an index into the camera's colours, 0 where the
    background shows; left and top are the pixel of its first corner.
    """

    left: int
    top: int
    depth: np.ndarray
    shade: np.ndarray
    hands: tuple[SimulatedHand, ...]


class SimulatedCamera:
    """Pictures of hands before a wall and a table; the same time gives the same picture.

    Args:
        camera: what it is like.
        motions: of the hands.
        sensor: what the depth camera makes of perfect depth; None leaves it perfect.
        seed: of the sensor's noise.
    """

    def __init__(self, camera: Pinhole, motions: Sequence[HandMotion], sensor: SensorModel | None = None,
                 seed: int = 0) -> None:
        self.camera = camera
        self._motions = tuple(motions)
        self._sensor = sensor
        self._seed = seed
        self._far, self._background_colour = _room(camera)
        observed = self._observe(self._far, np.random.default_rng(seed))
        self._background_depth = _millimetres(observed)
        ramp = np.linspace(0.25, 1, _RAMP)[:, None]
        colours = np.concatenate([np.zeros((1, 3)), ramp * _SKIN, ramp * _SLEEVE])
        self._colours = colours.astype(np.uint8)

    def look(self, time: float) -> SimulatedView:
        """Takes the picture of a time in seconds. Some 15 ms on one core at 640×480."""
        hands = tuple(motion(time) for motion in self._motions)
        vertices, faces, skin = _join(hands, [motion.model.faces for motion in self._motions])
        left, top, right, bottom = self._window(vertices)
        width, height = right - left, bottom - top
        part = self.camera.window(left - 0.5, top - 0.5, width, height, width, height)
        seen = Raycaster(vertices, faces).look(part)
        far = self._far[top:bottom, left:right]
        before = (seen.triangles >= 0) & (seen.depth < far)
        rng = np.random.default_rng([self._seed, round(time * 1e6)])
        depth = self._observe(np.where(before, seen.depth, far), rng)
        shade = np.where(before, _shade(seen.normals, skin[seen.triangles]), 0)
        return SimulatedView(left, top, _millimetres(depth), shade.astype(np.uint8), hands)

    def paint(self, view: SimulatedView, depth: np.ndarray, colour: np.ndarray) -> None:
        """Writes a whole picture into depth (H, W) uint16 millimetres and colour (H, W, 3) uint8 RGB."""
        height, width = view.shade.shape
        window = slice(view.top, view.top + height), slice(view.left, view.left + width)
        depth[:] = self._background_depth
        depth[window] = view.depth
        colour[:] = self._background_colour
        np.copyto(colour[window], self._colours[view.shade], where=(view.shade > 0)[..., None])

    def _observe(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self._sensor.observe(depth, self.camera.fx, rng) if self._sensor else depth

    def _window(self, vertices: np.ndarray) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of what the hands may change in the picture."""
        pixels = self.camera.project(vertices)
        nearest = float(vertices[:, 2].min())
        # Beside a near surface lies its shadow, as wide as the disparities differ.
        shadow = self.camera.fx * self._sensor.baseline * (1 / nearest - 1 / _WALL) if self._sensor else 0
        margin = np.array([shadow + 4, 4])
        size = np.array([self.camera.width, self.camera.height])
        low = np.clip(np.floor(pixels.min(0) - margin), 0, size - 1).astype(int)
        high = np.clip(np.ceil(pixels.max(0) + margin) + 1, low + 1, size).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _room(camera: Pinhole) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) in metres and colour (H, W, 3) of a wall and a table."""
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    with np.errstate(divide='ignore'):
        table = _TABLE * camera.fy / np.maximum(rows - camera.cy, 1e-6)
    depth = np.minimum(table, _WALL).astype(np.float32)
    across = (columns - camera.cx) / camera.fx * depth
    on_table = (table < _WALL)[..., None]
    boards = 0.85 + 0.15 * (np.floor(across / 0.12) % 2)[..., None]
    light = (0.75 + 0.25 * (1 - rows / camera.height))[..., None]
    colour = np.where(on_table, boards * [150, 112, 78], light * [205, 205, 198])
    return depth, colour.astype(np.uint8)


def _join(hands: Sequence[SimulatedHand],
          faces: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All vertices, all faces, and for each face whether it is skin."""
    vertices, joined, skin, count = [], [], [], 0
    for hand, hand_faces in zip(hands, faces):
        for points, triangles, is_skin in ((hand.vertices, hand_faces, True),
                                           (hand.arm_vertices, hand.arm_faces, False)):
            vertices.append(points)
            joined.append(triangles + count)
            skin.append(np.full(len(triangles), is_skin))
            count += len(points)
    return np.concatenate(vertices), np.concatenate(joined), np.concatenate(skin)


def _shade(normals: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Index (h, w) into the colours: Lambert's law."""
    light = np.clip(-(normals @ _LIGHT), 0, 1)
    return 1 + np.rint(light * (_RAMP - 1)) + np.where(skin, 0, _RAMP)


def _millimetres(depth: np.ndarray) -> np.ndarray:
    return np.rint(depth * 1000).astype(np.uint16)
