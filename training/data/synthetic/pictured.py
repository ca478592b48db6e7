# SPDX-License-Identifier: Apache-2.0
"""Materials that take their colours from pictures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from training.data.hand_object import Texture
from training.data.synthetic.material import Look
from training.data.synthetic.material import SurfacePoints
from training.data.synthetic.picture import Picture
from training.data.synthetic.texture import noise

_LARGEST = 512
"""Side of the pictures of scanned objects, pixels: half a millimetre on a large box."""
_PICTURES: dict[Path, Picture] = {}


@dataclasses.dataclass(frozen=True)
class ScannedSurface:
    """A scanned object in its own colours."""

    scatters: ClassVar[bool] = False
    picture: Picture
    texture: Texture
    density: float
    """Pixels of the picture to a metre of the surface."""
    reflectance: float = 0.04
    roughness: float = 0.5
    gain: float = 1.0
    """Of the colours: the picture's exposure is unknown."""

    @classmethod
    def sample(cls, texture: Texture, vertices: np.ndarray, rng: np.random.Generator) -> ScannedSurface:
        """Draws gloss and exposure of an object.

        Args:
            texture: of the object.
            vertices: (M, 3) of its mesh, metres.
            rng: the source of the draw.
        """
        picture = _picture_of(texture)
        corners = vertices[texture.vertices[texture.faces]].astype(float)
        pixels = texture.places[texture.faces] * picture.size
        first, second = pixels[:, 1] - pixels[:, 0], pixels[:, 2] - pixels[:, 0]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
        pictured = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum()
        return cls(
            picture,
            texture,
            float(np.sqrt(pictured / max(area, 1e-9))),
            float(rng.uniform(0.025, 0.06)),
            float(rng.uniform(0.25, 0.95)),
            float(np.exp(rng.normal(0, 0.15))),
        )

    def look(self, points: SurfacePoints) -> Look:
        """The optical properties of points."""
        corners = self.texture.places[self.texture.faces[points.faces]]
        places = np.einsum('nk,nkc->nc', points.weights, corners).astype(np.float32)
        places[:, 1] = 1 - places[:, 1]
        colour = np.clip(self.picture.sample(places, points.spacing * self.density) * self.gain, 0, 0.95)
        roughness = np.full(len(places), self.roughness, np.float32)
        return Look(colour, np.full_like(colour, self.reflectance), roughness, 0 * roughness)


@dataclasses.dataclass(frozen=True)
class PhotographedSurface:
    """A photo of a flat surface, repeated over a mesh from three sides."""

    scatters: ClassVar[bool] = False
    picture: Picture
    size: float
    """Width of the picture on the surface, metres."""
    frame: np.ndarray
    """(3, 3) rows: right and up in the photo, and out of it."""
    shift: np.ndarray
    """(2,) of the picture, shares of its size."""
    gain: np.ndarray
    """(3,) of the colours."""
    wear: float = 0.05
    """Strength of stains, a logarithm; they hide that the picture repeats."""
    reflectance: float = 0.04
    roughness: float = 0.6
    metal: bool = False

    def look(self, points: SurfacePoints) -> Look:
        """The optical properties of points."""
        axes = self.frame.T.astype(np.float32)
        places, normals = points.places @ axes / np.float32(self.size), points.normals @ axes
        shares = np.maximum(normals**4 - np.float32(0.02), 0)
        shares /= shares.sum(1, keepdims=True)
        spacing = points.spacing * np.float32(self.picture.size[0] / self.size)
        colour = np.zeros_like(places)
        for axis, plane in enumerate(_PLANES):
            chosen = np.flatnonzero(shares[:, axis])
            if len(chosen):
                own = (places[chosen][:, plane] + self.shift.astype(np.float32)) % 1
                own[:, 1] = 1 - own[:, 1]
                seen = self.picture.sample(own, spacing[chosen], cv2.BORDER_WRAP)
                colour[chosen] += seen * shares[chosen, axis, None]
        colour *= self.gain.astype(np.float32)
        if self.wear:
            colour *= np.exp(self.wear * noise(points.places, 0.15))[:, None]
        colour = np.clip(colour, 0, 0.95)
        roughness = np.full(len(places), self.roughness, np.float32)
        if self.metal:
            return Look(np.zeros_like(colour), colour, roughness, 0 * roughness)
        return Look(colour, np.full_like(colour, self.reflectance), roughness, 0 * roughness)


_PLANES = (2, 1), (0, 2), (0, 1)
"""The axes right and up in the photo as seen along each axis of the frame."""


def _picture_of(texture: Texture) -> Picture:
    """The picture of a texture, without what lies between the islands of the surface.

    Raises:
        ValueError: the file is no image.
    """
    if texture.image not in _PICTURES:
        image = cv2.imread(str(texture.image))
        if image is None:
            raise ValueError(f'{texture.image}: no image that can be read')
        scale = min(1.0, _LARGEST / max(image.shape))
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = image.shape[:2]
        covered = np.zeros((height, width), np.uint8)
        corners = texture.places * [1, -1] + [0, 1]
        for triangle in np.round(16 * (corners * [width, height] - 0.5)).astype(np.int32)[texture.faces]:
            cv2.fillConvexPoly(covered, triangle, 1, shift=4)
        _PICTURES[texture.image] = Picture.of(np.ascontiguousarray(image[..., ::-1]), covered > 0)
    return _PICTURES[texture.image]
