# SPDX-License-Identifier: Apache-2.0
"""Boxes, balls, blobs and bananas."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from training.data.synthetic.objects.sections import log_uniform
from training.data.synthetic.objects.sections import oval
from training.data.synthetic.objects.sections import stacked
from training.data.synthetic.objects.sections import uniform
from training.data.synthetic.objects.sewing import SewnMesh
from training.data.synthetic.objects.sewing import unit

_SPHERE = trimesh.creation.icosphere(3)
"""Sphere of 642 vertices with radius 1."""


def box(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A box with rounded edges."""
    thin = log_uniform(rng, 0.012, 0.075)
    middle = log_uniform(rng, max(thin, 0.03), max(1.4 * thin, 0.11))
    long = log_uniform(rng, max(middle, 0.05), 0.22)
    half = np.array([thin, middle, long]) / 2
    if rng.random() < 0.3:
        half = rng.permutation(half)
    rounding = uniform(rng, 0.05, 0.45) * min(0.012, 0.7 * half.min())
    # A rounded rectangle: the arc of each corner, then a point on the straight side.
    turn = np.radians(
        np.concatenate([[quarter, quarter + 30, quarter + 60, quarter + 90, np.nan] for quarter in (0, 90, 180, 270)])
    )
    corners = np.repeat([[1, 1], [-1, 1], [-1, -1], [1, -1]], 5, axis=0)
    inset = rounding * np.array([0, 0.13, 0.5, 0.87])
    heights = half[2] - rounding * np.array([1.0, 0.5, 0.13, 0])
    heights = np.concatenate([-heights[::-1], [-half[2] / 3, half[2] / 3], heights])
    inset = np.concatenate([inset[::-1], [0, 0], inset])
    rings = []
    for height, less in zip(heights, inset, strict=True):
        arcs = corners * (half[:2] - rounding) + (rounding - less) * np.stack([np.cos(turn), np.sin(turn)], 1)
        straight = np.isnan(turn)
        arcs[straight] = (np.roll(arcs, 1, 0)[straight] + np.roll(arcs, -1, 0)[straight]) / 2
        rings.append(np.concatenate([arcs, np.full((len(arcs), 1), height)], 1))
    skin = SewnMesh()
    skin.tube(np.stack(rings))
    return skin.mesh()


def ball(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A ball, egg, lemon or orange: an icosphere with three half-axes, one end more pointed."""
    radius = log_uniform(rng, 0.018, 0.05)
    axes = radius * (np.ones(3) if rng.random() < 0.5 else rng.uniform([0.85, 0.85, 0.9], [1.0, 1.0, 1.35]))
    points = _SPHERE.vertices * axes
    points[:, :2] *= 1 - uniform(rng, 0, 0.2) * _SPHERE.vertices[:, 2:]
    return points, np.asarray(_SPHERE.faces)


def blob(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A stone, potato or toy: a stretched sphere with smooth bumps and hollows, star-shaped about its middle."""
    directions = np.asarray(_SPHERE.vertices)
    bumps = unit(rng.standard_normal((7, 3)))
    heights = rng.normal(0, 0.36, 7)
    sharpness = rng.uniform(1.5, 5.0, 7)
    swell = (heights * np.exp(sharpness * (directions @ bumps.T - 1))).sum(1)
    stretch = rng.uniform([0.6, 0.7, 0.9], [1.0, 1.0, 1.8])
    points = directions * np.exp(swell - swell.mean())[:, None] * stretch * log_uniform(rng, 0.022, 0.042)
    return points, np.asarray(_SPHERE.faces)


def banana(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bent, tapering object with a stalk: banana, pepper or horn."""
    radius, length = uniform(rng, 0.014, 0.024), uniform(rng, 0.12, 0.21)
    bend = np.radians(uniform(rng, 45, 110))
    share = np.linspace(0, 1, 26)
    stalk = uniform(rng, 0.2, 0.4)
    size = np.interp(share, [0, 0.02, 0.12, 0.3, 0.6, 0.85, 0.96, 1], [0.2, 0.35, 0.72, 0.97, 1, 0.75, stalk, stalk])
    size[1:-1] = (size[:-2] + 2 * size[1:-1] + size[2:]) / 4
    section = oval(24) * (1 + uniform(rng, 0, 0.06) * np.cos(5 * np.arange(24) * 2 * np.pi / 24))[:, None]
    flat = stacked(np.zeros(26), radius * size, section)
    turn = Rotation.from_rotvec(np.outer((share - 0.5) * bend, [0, 1, 0])).as_matrix()
    centres = length / bend * np.stack([-np.cos((share - 0.5) * bend), np.zeros(26), np.sin((share - 0.5) * bend)], 1)
    skin = SewnMesh()
    skin.tube(np.einsum('nij,nsj->nsi', turn, flat) + centres[:, None])
    return skin.mesh()
