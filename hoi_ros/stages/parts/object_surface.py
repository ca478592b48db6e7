# SPDX-License-Identifier: Apache-2.0
"""The mesh of a held object from what a depth camera shows of it and from the hand about it.

Observed points that are neither the hand's nor the forearm's, and that hang together beside the hand, are the object's.
A rounded box (a superellipsoid: Barr, "Superquadrics and Angle-Preserving Transformations", 1981) about them is moved,
turned and stretched by a few Gauss-Newton steps: points pull the surface that faces the camera, the hand's skin the
surface that faces the hand, and what lies before the background is pulled inside the outline.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from scipy.linalg.lapack import dposv
from scipy.spatial import cKDTree

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.skeleton import KEYPOINT_NAMES
from hoi_ros.mesh.nearest import nearest_points
from hoi_ros.mesh.normals import cross

_GRID = 64
"""Cells of the square of pixels about the hand and its object, each way."""
_CUBE = 0.25
"""Side of the cube in which the object is looked for, metres."""
_SKIN = 0.009
"""Points nearer than this to the hand's mesh are the hand's, metres."""
_ARM = 0.06
"""Radius about the forearm's axis, behind the wrist, in which points are the forearm's, metres."""
_AROUND, _ON_PLANE, _PLANES = (60, 0.4), 0.008, 40
"""A plane on which at least this number, and this share, of the points around lie is no object's, but a table's or a
wall's; the distance at which a point lies on it, metres; and the number of planes that are tried."""
_JUMP = 0.012
"""Neighbouring points whose distances differ by more than this lie on two surfaces, metres."""
_BESIDE = 0.033
"""An object has a point nearer than this to the hand, metres."""
_FAR, _CUT = 0.04, 0.08
"""Half of an object's points lie nearer than the first to where it is expected, metres, and all nearer than the second:
those of a table top do not."""
_FEWEST, _PART = 25, 8
"""Fewer points than this do not show an object, or a part of one."""
_MOST = 250
"""Points that pull at most."""
_THINNEST, _DEEPEST = 0.008, 0.8
"""Half of the least side, metres, and the side away from the camera as a share of the shorter side that is seen."""
_GRASPED, _INNER = 0.06, 0.5
"""The skin within this distance of the object, metres, and facing it by this cosine, bounds what is hidden."""
_TRIM, _TRIM_SKIN = 2, 15
"""Percentiles that are left out on each side of the points' and the skin's extent."""
_STEPS = 4
_POINTS, _OUTLINE, _CONTACT = (150.0, 0.004), (60.0, 0.008), (30.0, 0.006)
"""Number of points that the pulls of each kind count as, and the distance from which on they fade, metres. Chosen like
the prior on 76 validation objects."""
_REACH, _OPPOSED, _FEWEST_TOUCHES = 0.02, -0.5, 60
"""The skin pulls the surface from this distance on, metres, where the cosine between their normals is below the second;
fewer places than the last pull with less than the whole weight."""
_SKIN_AROUND = 0.08
"""Skin further than this from the sphere about the first box never touches it, metres."""
_BACKGROUND = 0.02
"""A vertex lies before the background if depth is larger by this, metres."""
_PRIOR = np.repeat([0.03, 0.3, 0.3], 3) ** -2.0
"""Of the change of the place (metres), the turn (radians) and the log sides."""
_LONGEST_STEP = 0.2
_THUMB = KEYPOINT_NAMES.index('thumb_tip')
_TIPS = [KEYPOINT_NAMES.index(f'{finger}_tip') for finger in ('index', 'middle', 'ring', 'little')]
_SLACK = 0.015
"""Soft fingertips and errors of the joints let an object be larger than the opening by this, metres."""


class HandSurface(NamedTuple):
    """A hand on its observed surface, metres in the optical frame."""

    vertices: np.ndarray
    """(V, 3)."""
    normals: np.ndarray
    """(V, 3) outward, of length 1."""
    keypoints: np.ndarray
    """(21, 3)."""


class Matched(NamedTuple):
    """Places (N, 3) on a surface, metres, and the unit normals (N, 3) there."""

    places: np.ndarray
    normals: np.ndarray


@dataclasses.dataclass(frozen=True)
class RoundedBox:
    """Centre (3,), axes (3, 3) as columns and half sides (3,), metres; where the fourth powers of the places along the
    axes, in half sides, sum to 1."""

    centre: np.ndarray
    axes: np.ndarray
    half: np.ndarray

    def local(self, directions: np.ndarray) -> np.ndarray:
        """Surface points (M, 3) along its axes in directions (M, 3) from the centre."""
        return directions / (directions**4).sum(1, keepdims=True) ** 0.25 * self.half

    def nearest(self, points: np.ndarray) -> Matched:
        """Places on the surface near points (N, 3): below their feet on the tangent plane of `beneath`."""
        places, normals = self.beneath(points)
        return self.beneath(points - np.einsum('ij,ij->i', points - places, normals)[:, None] * normals)

    def beneath(self, points: np.ndarray) -> Matched:
        """The places on the surface on the way from the centre to points (N, 3)."""
        scaled = (points - self.centre) @ (self.axes / self.half)
        squares = scaled * scaled
        # The fourth root, quicker than a power.
        scaled /= np.maximum(np.sqrt(np.sqrt(np.einsum('ij,ij->i', squares, squares))), 1e-6)[:, None]
        normals = scaled * scaled * scaled / self.half
        normals /= np.maximum(np.sqrt(np.einsum('ij,ij->i', normals, normals)), 1e-9)[:, None]
        return Matched((scaled * self.half) @ self.axes.T + self.centre, normals @ self.axes.T)


def object_points(
    expected: np.ndarray,
    hand: HandSurface,
    depth: np.ndarray,
    camera: Pinhole,
    others: Sequence[tuple[np.ndarray, np.ndarray]] = (),
) -> np.ndarray | None:
    """The observed points of the object that a hand holds.

    Args:
        expected: (M, 3) metres, optical frame; roughly where the object is.
        hand: that holds it.
        depth: (H, W) metres, 0 or NaN invalid.
        camera: of the depth image.
        others: vertices (V, 3) and keypoints (21, 3) of the other hands in view, whose points are not the object's.

    Returns:
        (N, 3) metres; None where too little of an object is seen beside the hand.
    """
    middle = (expected.mean(0) + hand.keypoints.mean(0)) / 2
    if middle[2] < _CUBE / 2:
        return None
    crop = CubeCrop(camera, middle, _CUBE)
    patch = np.nan_to_num(crop.warp(np.asarray(depth, np.float32), _GRID)).astype(float)
    centre, half = crop.pixels
    steps = (np.arange(_GRID) + 0.5) * 2 / _GRID - 1
    seen = (patch > 0) & (np.abs(patch - middle[2]) < _CUBE / 2)
    row, column = np.nonzero(seen)
    if len(row) < _FEWEST:
        return None
    points = camera.unproject(
        np.stack([centre[0] + half[0] * steps[column], centre[1] + half[1] * steps[row]], 1), patch[seen]
    )
    to_hand, _ = _tree(hand.vertices).query(points, distance_upper_bound=_BESIDE)
    free = (to_hand > _SKIN) & ~_on_forearm(points, hand.keypoints)
    for vertices, keypoints in others:
        free &= np.isinf(_tree(vertices).query(points, distance_upper_bound=_SKIN)[0]) & ~_on_forearm(points, keypoints)
    to_expected, _ = _tree(expected).query(points, distance_upper_bound=_CUT)
    free[free] = ~_on_plane(points[free], to_expected[free])
    mask = np.zeros(patch.shape, bool)
    mask[seen] = free
    points, to_hand, to_expected, surface = points[free], to_hand[free], to_expected[free], _surfaces(patch, mask)
    parts = [
        part
        for label in range(surface.max(initial=-1) + 1)
        if (part := surface == label).sum() >= _PART
        and to_hand[part].min() < _BESIDE
        and np.median(to_expected[part]) < _FAR
    ]
    if sum(part.sum() for part in parts) < _FEWEST:
        return None
    chosen = points[np.any(parts, 0) & (to_expected < _CUT)]
    if len(chosen) < _FEWEST:
        return None
    return chosen[:: max(1, -(-len(chosen) // _MOST))]


def _on_forearm(points: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(N,) whether points (N, 3) are those of the forearm behind the wrist of a hand (21, 3)."""
    wrist, arm = keypoints[0], keypoints[0] - keypoints[9]
    arm = arm / max(float(np.linalg.norm(arm)), 1e-6)
    behind = (points - wrist) @ arm
    beside = np.linalg.norm(points - wrist - behind[:, None] * arm, axis=1)
    result: np.ndarray = (behind > -0.01) & (beside < _ARM)
    return result


def _on_plane(points: np.ndarray, to_expected: np.ndarray) -> np.ndarray:
    """(N,) whether points (N, 3) lie on the plane of what is around the object, such as the table that it stands on.

    The plane is that of the most points far from where the object is expected; one that most of the near points lie on
    is the object's own.
    """
    around = points[to_expected > _FAR]
    if len(around) < _AROUND[0]:
        return np.zeros(len(points), bool)
    corners = around[np.random.default_rng(0).integers(len(around), size=(_PLANES, 3))]
    normals = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-12)[:, None]
    offsets = np.einsum('ij,ij->i', normals, corners[:, 0])
    best = int((np.abs(around @ normals.T - offsets) < _ON_PLANE).sum(0).argmax())
    chosen = around[np.abs(around @ normals[best] - offsets[best]) < _ON_PLANE]
    if len(chosen) < max(_AROUND[0], _AROUND[1] * len(around)):
        return np.zeros(len(points), bool)
    centre = chosen.mean(0)
    normal = np.linalg.eigh(np.cov((chosen - centre).T))[1][:, 0]
    result: np.ndarray = np.abs((points - centre) @ normal) < _ON_PLANE
    near = to_expected < _FAR / 2
    return result & (result[near].mean() < 0.5 if near.any() else True)


def _surfaces(patch: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(N,) the number of the connected surface that each masked cell of a patch of depths belongs to."""
    # Cells and, between them, what joins them.
    links = np.zeros((2 * patch.shape[0] - 1, 2 * patch.shape[1] - 1), np.uint8)
    links[::2, ::2] = mask
    for between, one, other in (
        (links[::2, 1::2], np.s_[:, :-1], np.s_[:, 1:]),
        (links[1::2, ::2], np.s_[:-1], np.s_[1:]),
    ):
        between[:] = mask[one] & mask[other] & (np.abs(patch[one] - patch[other]) < _JUMP)
    return cv2.connectedComponents(links, connectivity=4)[1][::2, ::2][mask] - 1


def _tree(points: np.ndarray) -> cKDTree:
    """A tree that is built quickly, for few queries."""
    return cKDTree(points, compact_nodes=False, balanced_tree=False)


def box_about(points: np.ndarray, hand: HandSurface) -> RoundedBox:
    """A rounded box about observed points (N, 3) of an object, and about the skin of the hand that faces it."""
    mean = points.mean(0)
    view = mean / np.linalg.norm(mean)
    directions = np.linalg.eigh(np.cov((points - mean).T))[1]
    long = directions[:, 2]
    away = view - long * (view @ long)
    if np.linalg.norm(away) < 0.3:  # the longest side points away from the camera
        away = directions[:, 0] * (1 if directions[:, 0] @ view >= 0 else -1)
    away = away / np.linalg.norm(away)
    axes = np.stack([np.cross(long, away), long, away], 1)
    low, high = np.percentile((points - mean) @ axes, [_TRIM, 100 - _TRIM], 0)
    high[2] = max(high[2], low[2] + _DEEPEST * (high[0] - low[0]))
    toward = mean + axes @ ((low + high) / 2) - hand.vertices
    apart = np.linalg.norm(toward, axis=1)
    inner = (np.einsum('ij,ij->i', toward, hand.normals) > _INNER * apart) & (apart < _GRASPED)
    if inner.sum() > 5:
        skin = np.percentile((hand.vertices[inner] - mean) @ axes, [_TRIM_SKIN, 100 - _TRIM_SKIN], 0)
        low, high = np.minimum(low, skin[0]), np.maximum(high, skin[1])
    return RoundedBox(mean + axes @ ((low + high) / 2), axes, np.maximum((high - low) / 2, _THINNEST))


def fitted_mesh(
    points: np.ndarray,
    hand: HandSurface,
    depth: np.ndarray,
    camera: Pinhole,
    directions: np.ndarray,
) -> np.ndarray:
    """A mesh through observed points of a held object.

    Args:
        points: (N, 3) of `object_points`.
        hand: that holds it.
        depth: (H, W) metres, 0 or NaN invalid.
        camera: of the depth image.
        directions: (M, 3) unit vectors to the mesh's vertices.

    Returns:
        (M, 3) metres, optical frame.
    """
    box = box_about(points, hand)
    place, axes, start = box.centre, box.axes, box.local(directions)
    near = np.linalg.norm(hand.vertices - place, axis=1) < np.linalg.norm(box.half) + _SKIN_AROUND
    skin, skin_normals = hand.vertices[near], hand.normals[near]
    pulling, count = np.concatenate([points, skin]), len(points)
    change = np.zeros(9)
    for _ in range(_STEPS):
        now = RoundedBox(place, axes, box.half * np.exp(change[6:]))
        places, normals = now.nearest(pulling)
        off = pulling - places
        touching = count + np.flatnonzero(
            (np.einsum('ij,ij->i', off[count:], off[count:]) < _REACH**2)
            & (np.einsum('ij,ij->i', skin_normals, normals[count:]) < _OPPOSED)
        )
        mesh = (start * np.exp(change[6:])) @ axes.T + place
        outline = mesh[_before_background(mesh, depth, camera)]
        inward = points[nearest_points(outline, points)] - outline
        pulls = _Pulls(now)
        pulls.add(places[:count], normals[:count], off[:count], *_POINTS, count)
        pulls.add(places[touching], normals[touching], off[touching], *_CONTACT, max(len(touching), _FEWEST_TOUCHES))
        for axis in np.eye(3)[:2]:
            pulls.add(outline, np.broadcast_to(axis, outline.shape), inward, *_OUTLINE, len(mesh))
        step = np.clip(pulls.solved(change), -_LONGEST_STEP, _LONGEST_STEP)
        change = change + step
        place = place + step[:3]
        axes = cv2.Rodrigues(step[3:6])[0] @ axes
    return (start * np.exp(change[6:])) @ axes.T + place


class _Pulls:
    """The normal equations of the place, turn and log sides of a rounded box."""

    def __init__(self, box: RoundedBox) -> None:
        self._box = box
        self._rows: list[tuple[np.ndarray, ...]] = []

    def add(
        self, places: np.ndarray, normals: np.ndarray, off: np.ndarray, weight: float, noise: float, number: int
    ) -> None:
        """Pulls places (N, 3) of the box along their normals by offsets (N, 3); all that `number` stands for weigh as
        `weight`."""
        error = np.einsum('ij,ij->i', off, normals)
        self._rows.append((places, normals, error, weight / number / (noise**2 * (1 + np.abs(error) / noise))))

    def solved(self, change: np.ndarray) -> np.ndarray:
        """(9,) the step, given the change so far."""
        places, along, error, weights = (np.concatenate(rows) for rows in zip(*self._rows))
        arms, axes = places - self._box.centre, self._box.axes
        rows = np.concatenate([along, cross(arms, along), (arms @ axes) * (along @ axes)], 1)
        weighted = rows.T * weights
        return dposv(weighted @ rows + np.diag(_PRIOR), weighted @ error - _PRIOR * change)[1]


def _before_background(mesh: np.ndarray, depth: np.ndarray, camera: Pinhole) -> np.ndarray:
    """Numbers of the vertices that depth shows the background behind."""
    pixels, inside = camera.pixels_of(np.maximum(mesh, [-np.inf, -np.inf, 0.05]))
    inside = np.flatnonzero(inside)
    return inside[depth[pixels[inside, 1], pixels[inside, 0]] > mesh[inside, 2] + _BACKGROUND]


def bounded_by_opening(vertices: np.ndarray, shortest: float, keypoints: np.ndarray) -> np.ndarray:
    """A mesh (M, 3), made smaller about the middle of the fingertips where its shortest side, metres, is larger than
    the opening between the thumb and the furthest fingertip of the hand (21, 3)."""
    opening = float(np.linalg.norm(keypoints[_TIPS] - keypoints[_THUMB], axis=1).max()) + _SLACK
    if shortest <= opening:
        return vertices
    middle = (keypoints[_THUMB] + keypoints[_TIPS].mean(0)) / 2
    return middle + (vertices - middle) * (opening / shortest)
