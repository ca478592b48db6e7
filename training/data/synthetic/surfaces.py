# SPDX-License-Identifier: Apache-2.0
"""Meshes with materials."""

from __future__ import annotations

import numpy as np

from hoi_ros.mesh.normals import face_normals
from training.data.real.surface_photos import SurfacePhotos
from training.data.synthetic.material import Material
from training.data.synthetic.paint import sample_paint
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.vectors import dot
from training.data.synthetic.vectors import units


class Surfaces(Parts):
    """Parts with materials; `add` chooses the material by the kind of a mesh.

    Args:
        up: (3,) unit.
        rng: draws the materials.
        photos: photographed surfaces.
        share: of photographed surfaces among tables, walls, cloths and things.

    Attributes:
        skin, cloth: materials of the person whose parts are added.
        materials: one per mesh.
    """

    def __init__(
        self, up: np.ndarray, rng: np.random.Generator, photos: SurfacePhotos | None = None, share: float = 0.5
    ) -> None:
        super().__init__()
        self._up, self._rng = up, rng
        self._photos, self._share = photos, share
        self.skin: Material | None = None
        self.cloth: Material | None = None
        self.materials: list[Material] = []
        self._counts: list[int] = []
        self._places: list[np.ndarray] = []

    def add(self, vertices: np.ndarray, faces: np.ndarray, owner: int, kind: str = 'thing') -> None:
        if kind == 'skin':
            material = self.skin
        elif kind == 'cloth':
            material = self.cloth
        elif kind in ('thing', 'device'):
            self.put(
                vertices,
                faces,
                owner,
                self.draw(kind, height=float(np.ptp(vertices, 0).max())),
                vertices - vertices.mean(0),
            )
            return
        else:
            corners = vertices[faces[0]]
            out = units(np.cross(corners[1] - corners[0], corners[2] - corners[0]))
            # Patterns of walls are upright, those of tables lie in any direction.
            along = self._up if kind == 'wall' else self._rng.standard_normal(3)
            first = units(np.cross(along, out))
            material = self.draw(kind, np.stack([first, np.cross(out, first), out]))
        self.put(vertices, faces, owner, material, vertices)

    def draw(self, kind: str, frame: np.ndarray | None = None, height: float = 0.1) -> Material:
        """A random material of a kind of mesh; arguments as of `sample_paint`."""
        if self._photos is not None and self._rng.random() < self._share:
            size = height if kind == 'thing' else None
            photographed = self._photos.draw(kind, self._rng, frame, size)
            if photographed is not None:
                return photographed
        return sample_paint(kind, self._rng, frame, height)

    def put(self, vertices: np.ndarray, faces: np.ndarray, owner: int, material: Material, places: np.ndarray) -> None:
        """Adds a mesh of a material; places (V, 3) are its vertices in the frame of its texture, metres."""
        super().add(vertices, faces, owner)
        self.materials.append(material)
        self._counts.append(len(faces))
        self._places.append(places)

    @property
    def places(self) -> np.ndarray:
        """(V, 3) all vertices in the frames of their textures."""
        return np.concatenate(self._places).astype(np.float32)

    @property
    def meshes(self) -> np.ndarray:
        """(F,) the number of each triangle's mesh."""
        return np.repeat(np.arange(len(self._counts)), self._counts)


def corner_normals(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals (F, 3, 3) of triangle corners and (F, 3) of triangles, float32.

    The normal of a corner is the area-weighted mean over the triangles at its vertex within 45° of its own triangle.
    """
    area = face_normals(vertices, faces).astype(np.float32)
    flat = units(area)
    at = faces.ravel()
    order = np.argsort(at, kind='stable')
    valence = np.bincount(at, minlength=len(vertices))
    start = np.cumsum(valence) - valence
    # All pairs of a corner and a triangle at its vertex.
    count = valence[at]
    corner = np.repeat(np.arange(len(at)), count)
    step = np.arange(len(corner)) - np.repeat(np.cumsum(count) - count, count)
    triangle = order[start[at[corner]] + step] // 3
    near = dot(flat[corner // 3], flat[triangle]) > np.cos(np.radians(45))
    corner, triangle = corner[near], triangle[near]
    total = np.stack([np.bincount(corner, area[triangle, axis], len(at)) for axis in range(3)], 1)
    return units(total).astype(np.float32).reshape(-1, 3, 3), flat
