# SPDX-License-Identifier: Apache-2.0
"""Screen-space operations on a rendered image: shared samples, relief, subsurface scattering, edges."""

from __future__ import annotations

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from training.data.synthetic.vectors import dot

SKIN = -1
"""Group of all skin meshes."""

_SCATTER = (0.0022, 0.0010, 0.0006)
"""Metres that red, green and blue light travels in skin."""


def tangents(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (N, 3) perpendicular to unit normals (N, 3) (Duff et al., JCGT 6, 2017)."""
    x, y, z = normals.T
    sign = np.where(z >= 0, 1, -1).astype(normals.dtype)
    a = -1 / (sign + z)
    b = x * y * a
    return np.stack([1 + sign * x * x * a, sign * b, -sign * x], 1), np.stack([b, sign + y * y * a, -y], 1)


def stratified_samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Stratified samples: 16 cosine-weighted directions (16, 3) about z, 16 points (16, 2) of the unit disc."""
    points = []
    for _ in range(2):
        cells = rng.permutation(16)
        points.append((np.stack([cells % 4, cells // 4]) + rng.random((2, 16))) / 4)
    (turn, out), (around, radius) = points
    turn, around = 2 * np.pi * turn, 2 * np.pi * around
    room = np.stack([np.sqrt(out) * np.cos(turn), np.sqrt(out) * np.sin(turn), np.sqrt(1 - out)], 1)
    return room.astype(np.float32), np.sqrt(radius)[:, None] * np.stack([np.cos(around), np.sin(around)], 1)


def share_neighbours(field: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Mean of a field (C, H, W) over 4×4 pixels of about the same depth; `inverse` is the inverse depth (H, W)."""
    for axis in (1, 0):
        total, weight = field.copy(), np.ones(inverse.shape, np.float32)
        for step in (-2, -1, 1):
            whole = slice(None), slice(None)
            here, there = (
                (*whole[:axis], slice(max(0, sign * step) or None, min(0, sign * step) or None), *whole[axis + 1 :])
                for sign in (-1, 1)
            )
            near = (np.abs(inverse[there] - inverse[here]) < 0.02 * inverse[here]).astype(np.float32)
            total[(slice(None), *here)] += field[(slice(None), *there)] * near
            weight[here] += near
        field = total / weight
    return field


def slope_along(heights: np.ndarray, meshes: np.ndarray, axis: int) -> np.ndarray:
    """(H, W) rise of heights (H, W) per pixel along an axis; 0 between meshes."""
    rise = np.diff(heights, axis=axis) * (np.diff(meshes, axis=axis) == 0)
    before, after = (np.insert(rise, place, 0, axis) for place in (0, rise.shape[axis]))
    return (before + after) / 2


def scatter_light(irradiance: np.ndarray, pixels: np.ndarray, inverse: np.ndarray, camera: Pinhole) -> np.ndarray:
    """Diffuses light (S, 3) of skin pixels (S,) over millimetres: red farthest, blue least."""
    if not len(pixels):
        return irradiance
    mask = np.zeros(inverse.shape, np.float32)
    mask.ravel()[pixels] = 1
    millimetres = float(np.median(inverse.ravel()[pixels])) * camera.fx
    result = irradiance.copy()
    for channel, reach in enumerate(_SCATTER):
        width = min(reach * millimetres, 12.0)
        if width > 0.3:
            image = np.zeros(inverse.shape, np.float32)
            image.ravel()[pixels] = irradiance[:, channel]
            spread, share = cv2.GaussianBlur(image, (0, 0), width), cv2.GaussianBlur(mask, (0, 0), width)
            result[:, channel] = spread.ravel()[pixels] / share.ravel()[pixels]
    return result


def edge_mask(depth: np.ndarray, groups: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(H, W) pixels that need more than one ray: between groups, at depth steps, at sharp folds of other than skin."""
    # The inverse depth of a plane is linear in the image.
    inverse = 1 / np.where(depth > 0, depth, np.inf).astype(np.float32)
    edge = np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) > 0.03 * inverse
    for axis in (0, 1):
        one, other = ((slice(None),) * axis + (part,) for part in (slice(1, None), slice(None, -1)))
        fold = (dot(normals[one], normals[other]) < 0.8) & (groups[one] != SKIN)
        differs = (groups[one] != groups[other]) | fold
        edge[one] |= differs
        edge[other] |= differs
    return edge
