# SPDX-License-Identifier: Apache-2.0
"""Primitive meshes: (V, 3) vertices in metres and (F, 3) faces."""

from __future__ import annotations

import numpy as np
import trimesh

from training.data.synthetic.vectors import unit


def _mesh(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


BOX = _mesh(trimesh.creation.box((2, 2, 2)))
CYLINDER = _mesh(
    trimesh.creation.cylinder(
        1, 2, sections=20, transform=trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0])
    )
)
BALL = _mesh(trimesh.creation.icosphere(2))


def ellipsoid(centre: np.ndarray, frame: np.ndarray, radii: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return (BALL[0] * radii) @ frame.T + centre, BALL[1]


def plane(normal: np.ndarray, level: float, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A square of 5 m in the plane normal·x = level, around the point nearest to `near`."""
    foot = near - (near @ normal - level) * normal
    first = unit(np.cross(normal, [0.31, 0.11, 0.94]))
    second = np.cross(normal, first)
    corners = foot + 2.5 * np.array([-first - second, first - second, first + second, second - first])
    return corners, np.array([[0, 1, 2], [0, 2, 3]])


def tube(centres: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A closed tube through elliptic rings: centres (N, 3), half-axes (N, 3) each."""
    sections = 16
    turn = np.linspace(0, 2 * np.pi, sections, endpoint=False)
    rings = (
        centres[:, None] + np.cos(turn)[None, :, None] * first[:, None] + np.sin(turn)[None, :, None] * second[:, None]
    )
    count = len(centres)
    vertices = np.concatenate([rings.reshape(-1, 3), centres[[0, -1]]])
    ring, step = np.meshgrid(np.arange(count - 1), np.arange(sections), indexing='ij')
    a, b = (ring * sections + step).ravel(), (ring * sections + (step + 1) % sections).ravel()
    sides = np.concatenate([np.stack([a, b, a + sections], 1), np.stack([b, b + sections, a + sections], 1)])
    around = np.arange(sections)
    following = (around + 1) % sections
    first_cap = np.stack([np.full(sections, count * sections), following, around], 1)
    base = (count - 1) * sections
    last_cap = np.stack([np.full(sections, count * sections + 1), base + around, base + following], 1)
    return vertices, np.concatenate([sides, first_cap, last_cap])


def capsule(start: np.ndarray, end: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    axis = unit(end - start)
    across = unit(np.cross(axis, [0.37, 0.83, 0.41]))
    other = np.cross(axis, across)
    rise = np.sin(np.radians([-90, -60, -30, 0, 0, 30, 60, 90]))
    width = np.cos(np.radians([-89, -60, -30, 0, 0, 30, 60, 89]))
    anchors = np.where(np.arange(8)[:, None] < 4, start, end)
    centres = anchors + rise[:, None] * radius * axis
    return tube(centres, width[:, None] * radius * across, width[:, None] * radius * other)
