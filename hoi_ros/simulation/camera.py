# SPDX-License-Identifier: Apache-2.0
"""A simulated RGB-D camera before which hands move, with or without a thing in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.hand_motion import SimulatedHand
from hoi_ros.simulation.raycast import Raycaster
from hoi_ros.simulation.raycast import RayHits
from hoi_ros.simulation.sensor import SensorModel

_WALL = 1.6  # metres before the camera
_TABLE = 0.32  # metres below the camera
_LIGHT = np.array([0.35, 0.55, 0.75]) / np.linalg.norm([0.35, 0.55, 0.75])
"""Where the light goes: from above, from the left and from behind the camera."""
_SKIN, _SLEEVE, _THING, _ENDS = range(4)
# Each material's colour in the shadow, at medium light and where it is brightest: blood tints the shadows of skin.
_MATERIALS = np.array(
    [
        [[74, 38, 30], [188, 126, 101], [240, 200, 174]],
        [[20, 27, 42], [60, 82, 124], [92, 120, 172]],
        [[52, 10, 12], [170, 36, 34], [226, 92, 80]],
        [[66, 68, 72], [150, 152, 156], [226, 228, 230]],
    ]
)
_AMBIENT, _LAMP, _FILL = 0.3, 0.6, 0.1
"""How much of the brightest light comes from all around, from the lamp, and from opposite the lamp."""
_RAMP = 63  # brightnesses of one material; the first is 1 to 63, the second 64 to 126, and 0 nothing


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

    def __init__(
        self, camera: Pinhole, motions: Sequence[HandMotion], sensor: SensorModel | None = None, seed: int = 0
    ) -> None:
        self.camera = camera
        self._motions = tuple(motions)
        self._sensor = sensor
        self._seed = seed
        self._far, self._background_colour = _room(camera)
        observed = self._observe(self._far, np.random.default_rng(seed))
        self._background_depth = _millimetres(observed)
        light = np.linspace(0, 1, _RAMP)
        ramps = [np.stack([np.interp(light, [0, 0.5, 1], channel) for channel in stops.T], -1) for stops in _MATERIALS]
        self._colours = np.concatenate([np.zeros((1, 3)), *ramps]).astype(np.uint8)

    def look(self, time: float) -> SimulatedView:
        """Takes the picture of a time in seconds. Some 20 ms on one core at 640×480."""
        hands = tuple(motion(time) for motion in self._motions)
        surfaces = _surfaces(hands, [motion.model.faces for motion in self._motions])
        vertices, faces = surfaces.vertices, surfaces.faces
        left, top, right, bottom = self._window(vertices)
        width, height = right - left, bottom - top
        part = self.camera.window(left - 0.5, top - 0.5, width, height, width, height)
        seen = Raycaster(vertices, faces).look(part)
        far = self._far[top:bottom, left:right]
        before = (seen.triangles >= 0) & (seen.depth < far)
        rng = np.random.default_rng([self._seed, round(time * 1e6)])
        depth = self._observe(np.where(before, seen.depth, far), rng)
        return SimulatedView(left, top, _millimetres(depth), surfaces.shades(seen, before), hands)

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


class _Surfaces(NamedTuple):
    """Everything that moves: vertices (V, 3), faces (F, 3), the material (F,) of each face, and the normals (F, 3, 3)
    at the corners of each."""

    vertices: np.ndarray
    faces: np.ndarray
    materials: np.ndarray
    normals: np.ndarray

    def shades(self, seen: RayHits, before: np.ndarray) -> np.ndarray:
        """(H, W) indices into the colours, of the pixels (H, W) that show something; 0 elsewhere."""
        triangles, (second, third) = seen.triangles[before], seen.shares[before].T[..., None]
        corners = self.normals[triangles]
        normals = corners[:, 0] * (1 - second - third) + corners[:, 1] * second + corners[:, 2] * third
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        facing = normals @ _LIGHT
        # Lambert's law for the lamp and its fill light, and a sky that is brighter above.
        light = _AMBIENT * (0.5 - 0.5 * normals[:, 1]) + _LAMP * np.maximum(-facing, 0) + _FILL * np.maximum(facing, 0)
        shades = np.zeros(before.shape, np.uint8)
        shades[before] = 1 + np.rint(np.clip(light, 0, 1) * (_RAMP - 1)) + self.materials[triangles] * _RAMP
        return shades


def _surfaces(hands: Sequence[SimulatedHand], faces: Sequence[np.ndarray]) -> _Surfaces:
    parts: list[tuple[np.ndarray, np.ndarray, int | np.ndarray, bool]] = []
    for hand, hand_faces in zip(hands, faces):
        parts.append((hand.vertices, hand_faces, _SKIN, True))
        parts.append((hand.arm_vertices, hand.arm_faces, _SLEEVE, True))
        if hand.held:
            along = Rotation.from_quat(hand.held.orientation).as_matrix()[:, 2]
            ends = np.abs(_face_normals(hand.held.vertices, hand.held.faces) @ along) > 0.9
            parts.append((hand.held.vertices, hand.held.faces, np.where(ends, _ENDS, _THING), False))
    starts = np.cumsum([0, *(len(points) for points, *_ in parts)])
    return _Surfaces(
        np.concatenate([points for points, *_ in parts]),
        np.concatenate([triangles + start for (_, triangles, *_), start in zip(parts, starts)]),
        np.concatenate([np.broadcast_to(material, len(triangles)) for _, triangles, material, _ in parts]),
        np.concatenate([_corner_normals(points, triangles, smooth) for points, triangles, _, smooth in parts]),
    )


def _face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3) unit vectors."""
    first, second, third = np.moveaxis(vertices[faces], 1, 0)
    normals = np.cross(second - first, third - first)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def _corner_normals(vertices: np.ndarray, faces: np.ndarray, smooth: bool) -> np.ndarray:
    """(F, 3, 3): of a smooth surface the mean of the faces around each corner, else the face's own."""
    normals = _face_normals(vertices, faces)
    if not smooth:
        return np.repeat(normals[:, None], 3, 1)
    around = np.stack(
        [np.bincount(faces.ravel(), np.repeat(normals[:, axis], 3), len(vertices)) for axis in range(3)], -1
    )
    return around[faces] / np.maximum(np.linalg.norm(around[faces], axis=-1, keepdims=True), 1e-9)


def _millimetres(depth: np.ndarray) -> np.ndarray:
    return np.rint(depth * 1000).astype(np.uint16)
