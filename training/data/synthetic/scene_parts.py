# SPDX-License-Identifier: Apache-2.0
"""Components of scenes: hands, and meshes with owners."""

from __future__ import annotations

import dataclasses

import numpy as np

THING, NOTHING, BODY, HELD = -1, -2, -3, -4
"""Owners of surfaces that belong to no hand; BODY is a person's torso, head and upper arm. HELD − n is what hand n
holds."""


@dataclasses.dataclass(frozen=True)
class SceneHand:
    """One hand of a scene, in the camera's optical frame, metres."""

    side: str
    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    vertices: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """(3,) the mean of the 21 keypoints."""
        return self.keypoints.mean(0)


def hides_middle(place: np.ndarray, reach: float, hand: SceneHand) -> bool:
    """Whether a thing within `reach` metres of a place (3,) lies between the camera and the middle of a hand."""
    centre = hand.centre
    on_ray = place @ centre / (centre @ centre)
    return bool(on_ray < 1 and np.linalg.norm(place - on_ray * centre) < reach + 0.03)


class Parts:
    """Collects meshes into one list of triangles with owners."""

    def __init__(self) -> None:
        self._vertices: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._owners: list[np.ndarray] = []
        self._count = 0

    def add(self, vertices: np.ndarray, faces: np.ndarray, owner: int, kind: str = 'thing') -> None:
        """Adds a mesh; `kind` is its material for coloured scenes: skin, cloth, table, wall, thing or
        device."""
        self._vertices.append(vertices)
        self._faces.append(faces + self._count)
        self._owners.append(np.full(len(faces), owner))
        self._count += len(vertices)

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices (V, 3) float32, faces (F, 3) and owners (F,); a distant triangle for an empty scene."""
        if not self._vertices:
            self.add(np.array([[0, 0, 50], [1, 0, 50], [0, 1, 50.0]]), np.array([[0, 1, 2]]), -1)
        return (
            np.concatenate(self._vertices).astype(np.float32),
            np.concatenate(self._faces),
            np.concatenate(self._owners),
        )
