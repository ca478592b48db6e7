# SPDX-License-Identifier: Apache-2.0
"""A simulated RGB-D camera in front of moving hands, empty or holding a solid."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.in_image import in_image
from hoi_ros.mesh.normals import face_normals
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.simulation.raycast import Raycaster
from hoi_ros.simulation.raycast import RayHits
from hoi_ros.simulation.sensor import SensorModel

_WALL = 1.6
"""Distance of the wall from the camera, metres."""
_TABLE = 0.32
"""Height of the camera above the table, metres."""
_LIGHT = np.array([0.35, 0.55, 0.75]) / np.linalg.norm([0.35, 0.55, 0.75])
"""Direction of the light: from above, from the left and from behind the camera."""
_SKIN, _SLEEVE, _OBJECT, _ENDS = range(4)
_MATERIALS = np.array(
    [
        [[74, 38, 30], [188, 126, 101], [240, 200, 174]],
        [[20, 27, 42], [60, 82, 124], [92, 120, 172]],
        [[52, 10, 12], [170, 36, 34], [226, 92, 80]],
        [[66, 68, 72], [150, 152, 156], [226, 228, 230]],
    ]
)
"""RGB of each material in shadow, in medium light and in the brightest light; shadows of skin are tinted by blood."""
_AMBIENT, _LAMP, _FILL = 0.3, 0.6, 0.1
"""Shares of the brightest light: ambient, from the lamp, and from opposite the lamp."""
_RAMP = 63
"""Brightness levels of a material; colour 0 is the background, 1 to 63 the first material."""


class MovingHand(Protocol):
    """A hand that moves in front of the camera, such as a `HandMotion`."""

    @property
    def model(self) -> HandModel:
        """The hand model of its side."""

    @property
    def object_faces(self) -> np.ndarray | None:
        """(F, 3) triangles of what it holds; None for an empty hand."""

    def __call__(self, time: float) -> HandEstimate:
        """The true hand at a time in seconds."""

    def forearm(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Its forearm: (A, 3) vertices, metres, and (B, 3) triangles."""


@dataclasses.dataclass(frozen=True)
class SimulatedView:
    """The window of an image that differs from the background, and the true hands."""

    left: int
    """Column of the window's first pixel."""
    top: int
    """Row of the window's first pixel."""
    depth: np.ndarray
    """(h, w) uint16 millimetres."""
    shade: np.ndarray
    """(h, w) uint8 index into the camera's colours, 0 for the background."""
    hands: tuple[HandEstimate, ...]
    """The truth, in the camera's optical frame."""


class SimulatedCamera:
    """Renders hands in front of a wall and a table; the same time gives the same image.

    Args:
        camera: the intrinsics and the image size.
        motions: the moving hands.
        sensor: the depth sensor's faults; None renders perfect depth.
        seed: seed of the sensor's noise.
    """

    def __init__(
        self, camera: Pinhole, motions: Sequence[MovingHand], sensor: SensorModel | None = None, seed: int = 0
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
        """Renders the image at a time in seconds; about 20 ms on one core at 640×480."""
        hands = tuple(in_image(motion(time), self.camera) for motion in self._motions)
        surfaces = _surfaces(hands, self._motions, time)
        vertices, faces = surfaces.vertices, surfaces.faces
        left, top, right, bottom = self._window(vertices)
        width, height = right - left, bottom - top
        part = self.camera.window(left - 0.5, top - 0.5, width, height, width, height)
        hits = Raycaster(vertices, faces).look(part)
        far = self._far[top:bottom, left:right]
        before = (hits.triangles >= 0) & (hits.depth < far)
        rng = np.random.default_rng([self._seed, round(time * 1e6)])
        depth = self._observe(np.where(before, hits.depth, far), rng)
        return SimulatedView(left, top, _millimetres(depth), surfaces.shades(hits, before), hands)

    def paint(self, view: SimulatedView, depth: np.ndarray, colour: np.ndarray) -> None:
        """Writes the whole image into depth (H, W) uint16 millimetres and colour (H, W, 3) uint8 RGB."""
        height, width = view.shade.shape
        window = slice(view.top, view.top + height), slice(view.left, view.left + width)
        depth[:] = self._background_depth
        depth[window] = view.depth
        colour[:] = self._background_colour
        np.copyto(colour[window], self._colours[view.shade], where=(view.shade > 0)[..., None])

    def _observe(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self._sensor.observe(depth, self.camera.fx, rng) if self._sensor else depth

    def _window(self, vertices: np.ndarray) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the pixels that the surfaces and their shadows may change."""
        pixels = self.camera.project(vertices)
        nearest = float(vertices[:, 2].min())
        # The shadow beside a near surface is as wide as the disparities differ.
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
    """The moving surfaces of one image.

    Attributes:
        vertices: (V, 3) metres in the camera's optical frame.
        faces: (F, 3) vertex indices.
        materials: (F,) material of each triangle.
        normals: (F, 3, 3) unit normals at the triangles' corners.
    """

    vertices: np.ndarray
    faces: np.ndarray
    materials: np.ndarray
    normals: np.ndarray

    def shades(self, hits: RayHits, before: np.ndarray) -> np.ndarray:
        """(H, W) uint8 colour index of the pixels `before` (H, W) the background; 0 elsewhere."""
        triangles, (second, third) = hits.triangles[before], hits.shares[before].T[..., None]
        corners = self.normals[triangles]
        normals = _unit(corners[:, 0] * (1 - second - third) + corners[:, 1] * second + corners[:, 2] * third)
        facing = normals @ _LIGHT
        # Lambert's law for the lamp and its fill light; the ambient light is brighter from above.
        light = _AMBIENT * (0.5 - 0.5 * normals[:, 1]) + _LAMP * np.maximum(-facing, 0) + _FILL * np.maximum(facing, 0)
        shades = np.zeros(before.shape, np.uint8)
        shades[before] = 1 + np.rint(np.clip(light, 0, 1) * (_RAMP - 1)) + self.materials[triangles] * _RAMP
        return shades


class _Part(NamedTuple):
    """A mesh, the material of its triangles, and their corner normals (F, 3, 3)."""

    vertices: np.ndarray
    faces: np.ndarray
    material: int | np.ndarray
    normals: np.ndarray


def _surfaces(hands: Sequence[HandEstimate], motions: Sequence[MovingHand], time: float) -> _Surfaces:
    parts: list[_Part] = []
    for hand, motion in zip(hands, motions):
        parts.append(_smooth(hand.vertices, motion.model.faces, _SKIN))
        parts.append(_smooth(*motion.forearm(time), _SLEEVE))
        if hand.held is not None and motion.object_faces is not None:
            vertices, faces = hand.held.vertices, motion.object_faces
            normals = _unit(face_normals(vertices, faces))
            ends = np.abs(normals @ Rotation.from_quat(hand.held.orientation).as_matrix()[:, 2]) > 0.9
            parts.append(_Part(vertices, faces, np.where(ends, _ENDS, _OBJECT), np.repeat(normals[:, None], 3, 1)))
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    return _Surfaces(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts)]),
        np.concatenate([np.broadcast_to(part.material, len(part.faces)) for part in parts]),
        np.concatenate([part.normals for part in parts]),
    )


def _smooth(vertices: np.ndarray, faces: np.ndarray, material: int) -> _Part:
    return _Part(vertices, faces, material, vertex_normals(vertices, faces)[faces])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _millimetres(depth: np.ndarray) -> np.ndarray:
    return np.rint(depth * 1000).astype(np.uint16)
