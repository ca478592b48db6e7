# SPDX-License-Identifier: Apache-2.0
"""Agreement of a hand's mesh with the observed depth: a figure that needs no labels.

The observed hand is every pixel with valid depth that
- lies within 15 cm of the mean of the estimated joints,
- is beyond the wrist plane, which goes through the wrist joint perpendicular to the palm's length (wrist → mean of the
  four knuckles) and excludes the forearm, and
- is connected in the image, over gaps of up to 2 pixels, to a pixel that the mesh covers.

Holes of the depth image count as missing hand, and an object within that reach counts as hand: both lower the
agreement. The mesh is cut by the same wrist plane.
"""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.simulation.raycast import Raycaster

_REACH = 0.15
"""Radius of the observed hand about the mean of the joints, metres."""
_GAP = 2
"""Widest gap between connected pixels, pixels."""
_KNUCKLES = [5, 9, 13, 17]
"""Keypoints of the four knuckles."""


@dataclasses.dataclass(frozen=True)
class SurfaceAgreement:
    """Figures of a mesh and the observed hand, and their masks."""

    residual_mm: float
    """Median of |mesh − observed| depth over the pixels that both cover; NaN if there are none."""
    silhouette_iou: float
    """Intersection over union of the two masks; 0 if both are empty."""
    observed: np.ndarray
    """(H, W) bool, the observed hand."""
    mesh: np.ndarray
    """(H, W) bool, the mesh beyond the wrist plane."""


def surface_agreement(
    vertices: np.ndarray, faces: np.ndarray, joints: np.ndarray, depth: np.ndarray, camera: Pinhole
) -> SurfaceAgreement:
    """Compares a mesh with the depth image it was estimated from.

    Args:
        vertices: (V, 3) metres in the camera's optical frame.
        faces: (F, 3) vertex indices.
        joints: (21, 3) estimated joints, metres.
        depth: (H, W) metres, 0 or NaN invalid, undistorted.
        camera: intrinsics of the depth image.
    """
    middle, wrist = joints.mean(0), joints[0]
    palm = joints[_KNUCKLES].mean(0) - wrist
    observed, covered = np.zeros(depth.shape, bool), np.zeros(depth.shape, bool)
    residual, common = math.nan, np.zeros(depth.shape, bool)
    window = _window(middle, vertices, camera)
    if window is not None:
        left, top, right, bottom = window
        rows, columns = np.mgrid[top:bottom, left:right]
        pixels = np.stack([columns, rows], -1)
        part = camera.window(left - 0.5, top - 0.5, right - left, bottom - top, right - left, bottom - top)
        rendered = Raycaster(vertices, faces).look(part).depth
        measured = np.nan_to_num(depth[top:bottom, left:right])
        mesh = (rendered > 0) & ((camera.unproject(pixels, rendered) - wrist) @ palm > 0)
        points = camera.unproject(pixels, measured)
        near = ((points - middle) ** 2).sum(-1) < _REACH**2
        hand = _connected((measured > 0) & near & ((points - wrist) @ palm > 0), mesh)
        both = mesh & hand
        if both.any():
            residual = float(np.median(np.abs(rendered - measured)[both])) * 1e3
        for whole, piece in ((observed, hand), (covered, mesh), (common, both)):
            whole[top:bottom, left:right] = piece
    either = int((observed | covered).sum())
    return SurfaceAgreement(residual, float(common.sum() / either) if either else 0.0, observed, covered)


def _window(middle: np.ndarray, vertices: np.ndarray, camera: Pinhole) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of the pixels that the reach or the mesh may cover; None outside the image."""
    nearest = middle[2] - _REACH
    if nearest <= 0 or vertices[:, 2].min() <= 0:
        return 0, 0, camera.width, camera.height
    corners = middle + _REACH * np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), -1).reshape(-1, 3)
    pixels = camera.project(np.concatenate([corners, vertices]))
    size = [camera.width, camera.height]
    low = np.clip(np.floor(pixels.min(0)), 0, size).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 1, 0, size).astype(int)
    return (*low.tolist(), *high.tolist()) if (low < high).all() else None


def _connected(candidates: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(H, W) bool, the candidates that are connected to one that the mesh covers."""
    # Pieces one gap apart touch after each has grown by half a gap.
    grown = cv2.dilate(candidates.astype(np.uint8), np.ones((_GAP + 1, _GAP + 1), np.uint8))
    _, pieces = cv2.connectedComponents(grown, connectivity=8)
    touched = np.unique(pieces[candidates & mesh])
    return candidates & np.isin(pieces, touched)
