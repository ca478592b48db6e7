# SPDX-License-Identifier: Apache-2.0
"""Lamps and the light of a room, and how surfaces reflect them."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import cv2
import numpy as np

from hoi_ros.simulation.sensor import grain
from training.data.synthetic.colour import lamp_colour
from training.data.synthetic.material import Look
from training.data.synthetic.vectors import dot
from training.data.synthetic.vectors import units


@dataclasses.dataclass(frozen=True)
class Lamp:
    """A distant lamp."""

    direction: np.ndarray
    """(3,) unit, towards it."""
    colour: np.ndarray
    """(3,) the radiance of a white surface that faces it."""
    size: float
    """Tangent of half its angular diameter."""


@dataclasses.dataclass(frozen=True)
class Lighting:
    """Lamps, and an environment map that lights from all directions and shows in reflections."""

    lamps: tuple[Lamp, ...]
    room: np.ndarray
    """(H, 2H, 3) radiance by direction; columns around `up`, rows downwards from it."""
    up: np.ndarray
    """(3,) unit."""

    @classmethod
    def sample(cls, up: np.ndarray, rng: np.random.Generator) -> Lighting:
        """Draws one to three lamps of decreasing strength, mostly above, and a room of soft patches and windows."""
        warmth = rng.uniform(2700, 8000)
        lamps = []
        strength = 1.0
        for _ in range(int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))):
            while True:
                direction = rng.standard_normal(3) + 0.9 * up + np.array([0, 0, -0.5])
                direction /= np.linalg.norm(direction)
                if direction @ up > -0.2 and direction[2] < 0.75:
                    break
            colour = strength * lamp_colour(warmth * np.exp(rng.normal(0, 0.12)))
            lamps.append(Lamp(direction, colour, float(np.exp(rng.uniform(np.log(0.02), np.log(0.6))))))
            strength *= rng.uniform(0.2, 0.8)
        fill = np.exp(rng.uniform(np.log(0.25), np.log(1.2))) * lamp_colour(warmth * np.exp(rng.normal(0, 0.2)))
        height = 32
        rows = np.linspace(1, -1, height)[:, None, None]
        floor = np.array([1, 0.9, 0.8]) * rng.uniform(0.2, 0.7)
        room = fill * (floor + (1 - floor) * (0.5 + 0.5 * rows)) * np.ones((1, 2 * height, 1))
        patches = grain(rng, (height, 2 * height), rng.uniform(4, 12))[..., None]
        room = room * np.exp(0.5 * patches + 0.08 * rng.standard_normal((height, 2 * height, 3)))
        for _ in range(rng.poisson(2)):  # windows and screens
            row, column = rng.integers(2, height // 2 + 6), rng.integers(2 * height)
            room[row : row + rng.integers(1, 7), column : column + rng.integers(1, 9)] += fill * rng.uniform(1, 6)
        # At the poles all columns are the same direction.
        near_pole = np.abs(rows) ** 6
        room = room * (1 - near_pole) + room.mean(1, keepdims=True) * near_pole
        return cls(tuple(lamps), room.astype(np.float32), up)

    @functools.cached_property
    def _frame(self) -> np.ndarray:
        first = np.cross(self.up, [0.31, 0.11, 0.94])
        first /= np.linalg.norm(first)
        return np.stack([first, np.cross(self.up, first), self.up]).astype(np.float32)

    def direction(self, row: float, column: float) -> np.ndarray:
        """(3,) unit, towards a place of the room; 0 is the edge of its first row or column."""
        polar, azimuth = np.array([row, column]) * np.pi / len(self.room)
        azimuth -= np.pi
        local = np.array([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)])
        return local @ self._frame.astype(float)

    @functools.cached_property
    def _blurred(self) -> np.ndarray:
        """(3, H, 2H, 3) the room as reflected by three roughnesses."""
        height = len(self.room)
        around = np.concatenate([self.room] * 3, 1)
        return np.stack(
            [cv2.GaussianBlur(around, (0, 0), width)[:, 2 * height : 4 * height] for width in (0.7, 2.5, 7.0)]
        )

    def mirrored(self, directions: np.ndarray, roughness: np.ndarray) -> np.ndarray:
        """(N, 3) the radiance from unit directions (N, 3), blurred by roughness (N,)."""
        height = len(self.room)
        x, y, z = (directions @ self._frame.T).T
        level = np.clip(roughness * 3.4 - 0.2, 0, 2).astype(np.int64)
        row = np.clip((np.arccos(np.clip(z, -1, 1)) * (height / np.pi)), 0, height - 1).astype(np.int64)
        column = ((np.arctan2(y, x) + np.pi) * (height / np.pi)).astype(np.int64) % (2 * height)
        return self._blurred[level, row, column]

    def seen(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) the background of the image in unit directions (N, 3)."""
        height = len(self.room)
        x, y, z = (directions @ self._frame.T).T
        rows = np.clip(np.arccos(np.clip(z, -1, 1)) * (height / np.pi) - 0.5, 0, height - 1.001)
        columns = (np.arctan2(y, x) + np.pi) * (height / np.pi) - 0.5
        row, column = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
        down, right = (rows - row)[:, None].astype(np.float32), (columns - column)[:, None].astype(np.float32)
        left, column = column % (2 * height), (column + 1) % (2 * height)
        room = self._blurred[0]
        upper = room[row, left] * (1 - right) + room[row, column] * right
        lower = room[row + 1, left] * (1 - right) + room[row + 1, column] * right
        return upper * (1 - down) + lower * down

    @functools.cached_property
    def _poles(self) -> tuple[np.ndarray, np.ndarray]:
        height = len(self.room)
        weights = np.sin((np.arange(height) + 0.5) * np.pi / height)[:, None, None]
        half = height // 2
        return tuple(
            (part * weight).sum((0, 1)) / (weight.sum() * 2 * height)
            for part, weight in ((self.room[:half], weights[:half]), (self.room[half:], weights[half:]))
        )

    def ambient(self, normals: np.ndarray) -> np.ndarray:
        """(N, 3) the radiance of white surfaces with normals (N, 3), lit by the unobstructed room alone."""
        above, below = (pole.astype(np.float32) for pole in self._poles)
        share = (0.5 + 0.5 * (normals @ self.up.astype(np.float32)))[:, None]
        return below + (above - below) * share

    def white(self) -> np.ndarray:
        """(3,) the colour of all light together; the strongest component is 1."""
        total = self.total()
        return total / total.max()

    def total(self) -> np.ndarray:
        """(3,) the radiance of a white surface lit by the mean of the room, if it could face all lamps."""
        return sum((lamp.colour for lamp in self.lamps), self.room.mean((0, 1)))


class Lit(NamedTuple):
    """Light that leaves points (N, 3): diffuse `irradiance`, before the albedo, and specular `shine`."""

    irradiance: np.ndarray
    shine: np.ndarray


def light_up(
    look: Look,
    normals: np.ndarray,
    views: np.ndarray,
    lighting: Lighting,
    open_sky: np.ndarray,
    unshadowed: np.ndarray,
    wrap: np.ndarray,
) -> Lit:
    """Lights points.

    Args:
        look: of the points.
        normals, views: (N, 3) unit; out of the surface, and towards the camera.
        lighting: the lamps and the room.
        open_sky: (N,) share of the room that nearby surfaces do not hide.
        unshadowed: (N, L) visible share of each lamp.
        wrap: (N, 3) per colour, how far light bleeds beyond the terminator, as under the skin (Green, "Real-time
            approximations to subsurface scattering", GPU Gems, 2004).
    """
    irradiance = lighting.ambient(normals) * open_sky[:, None]
    facing = np.maximum(dot(normals, views), np.float32(1e-3))
    mirror = 2 * facing[:, None] * normals - views
    grazing = 1 - facing
    squared = grazing * grazing
    edge = squared * squared * grazing * np.square(1 - look.roughness)
    fresnel = look.gloss + (1 - look.gloss) * edge[:, None]
    shine = lighting.mirrored(mirror, look.roughness) * fresnel * open_sky[:, None]
    # A normalised Blinn-Phong lobe, its power from the roughness as Burley's (SIGGRAPH course, 2012) maps it.
    power = 2 / np.square(np.square(np.maximum(look.roughness, np.float32(0.08))))
    for number, lamp in enumerate(lighting.lamps):
        direction, colour = lamp.direction.astype(np.float32), lamp.colour.astype(np.float32)
        cosine = normals @ direction
        through = unshadowed[:, number]
        bled = np.maximum((cosine[:, None] + wrap) / (1 + wrap), 0) * (1 / (1 + wrap))
        irradiance += bled * (colour * through[:, None])
        half = units(views + direction)
        lobe = np.maximum(dot(normals, half), np.float32(1e-6))
        peak = np.minimum(power, 2 / (lamp.size**2 + 1e-4))  # a large lamp makes a large highlight
        strength = (peak + 2) / 8 * np.exp((lobe - 1) * peak) * np.maximum(cosine, 0) * through
        shine += look.gloss * (strength[:, None] * colour)
    return Lit(irradiance, shine)
