# SPDX-License-Identifier: Apache-2.0
"""Where a hand touches an object, finger by finger, and how far the two pass through each other."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.distance import cdist

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.contact import depth
from hoi_ros.mesh.facing import facing_places
from hoi_ros.mesh.normals import face_normals
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.mesh.volumes import grid_volume

PALM = 5
"""Number of the palm, after the fingers 0 thumb to 4 little finger."""
TOUCHED = 0.4
"""Contact from which on a vertex touches, as in ContactPose (Brahmbhatt et al., ECCV 2020)."""
VOXEL = 0.005
"""Edge of the voxels of the intersection, metres, as in Hasson et al., "Learning joint reconstruction of hands and
manipulated objects" (CVPR 2019)."""
_REACH = 0.01
"""A vertex farther than this from the object touches nothing, whatever its contact, metres: two and a half times the
distance within which surfaces touch, since hand and object are estimates."""
FEWEST = 2
"""Vertices of a finger, or of the palm, that must touch: one alone is noise."""
_APART = 0.008
"""Least distance between two contact points of a finger, metres: half the width of a fingertip."""
_SMOOTH = 0.004
"""Standard deviation over which contact is smoothed before its maxima are looked for, metres."""


def parts_of_vertices(model: HandModel) -> np.ndarray:
    """(V,) what each vertex belongs to: 0 thumb to 4 little finger, or PALM.

    A vertex belongs to the joint with its largest skinning weight. The knuckles' vertices are the proximal links and
    count as the fingers'. The ball of the thumb, which the thumb's carpometacarpal joint moves, is part of the palm.
    """
    part_of_joint = np.full(16, PALM)
    for finger, joints in enumerate(FINGER_JOINTS):
        part_of_joint[joints[1:] if finger == 0 else joints] = finger
    return part_of_joint[model.weights.argmax(1)]


def touching_fingers(touching: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(5,) bool, thumb to little finger: which touch.

    Args:
        touching: (V,) bool of the vertices.
        parts: (V,) of `parts_of_vertices`.
    """
    return np.bincount(parts[touching], minlength=PALM + 1)[:PALM] >= FEWEST


class ContactMeasure:
    """Measures the contact of a hand with an object.

    Args:
        model: the hand, of either side; the wrist's hole is closed for it.
    """

    def __init__(self, model: HandModel) -> None:
        self.parts = parts_of_vertices(model)
        self.faces = close_holes(model.faces)

    def __call__(
        self,
        hand: np.ndarray,
        hand_contact: np.ndarray,
        vertices: np.ndarray,
        faces: np.ndarray,
        object_contact: np.ndarray,
        gap: float | None = None,
        smooth: np.ndarray | None = None,
    ) -> ContactEstimate:
        """Finds the contact points, and how far hand and object intersect.

        Where the object's mesh has no inside, penetration and intersection are NaN. A finger touches if two or more of
        its vertices have a contact of 0.4 or more within 1 cm of the object.

        Args:
            hand: (V, 3) vertices of the hand, metres, camera's frame.
            hand_contact: (V,) their contact, 0 to 1.
            vertices: (M, 3) vertices of the object.
            faces: (F, 3) its triangles, counter-clockwise from outside.
            object_contact: (M,) contact of its vertices, 0 to 1.
            gap: `surface_gap` of the hand and the object where it is known, which saves its time.
            smooth: (M, 3) the object's vertices where the hand has pressed no dents into them: these have the normals.
        """
        points, normals, fingers = self._points(hand, hand_contact, vertices, faces, object_contact, smooth)
        penetration = intersection = math.nan
        if is_closed(vertices, faces):
            penetration = self._penetration(hand, vertices, faces, gap)
            intersection = grid_volume(hand, self.faces, vertices, faces, VOXEL)
        return ContactEstimate(hand_contact, object_contact, points, normals, fingers, penetration, intersection)

    def _points(
        self,
        hand: np.ndarray,
        hand_contact: np.ndarray,
        vertices: np.ndarray,
        faces: np.ndarray,
        object_contact: np.ndarray,
        smooth: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Contact points (K, 3), their inward normals (K, 3) and fingers (K,)."""
        firm = np.flatnonzero(hand_contact >= TOUCHED)
        outward = vertex_normals(hand, self.faces)[firm]
        places = facing_places(hand[firm], outward, vertices, faces, _REACH)
        near = np.flatnonzero(places.distances <= _REACH)
        rows: list[int] = []
        for part in range(PALM + 1):
            own = near[self.parts[firm[near]] == part]
            if len(own) < FEWEST:
                continue
            skin = np.flatnonzero(self.parts == part)
            firmness = _smoothed(hand[firm[own]], hand[skin], hand_contact[skin])
            firmness += object_contact[faces[places.triangles[own]]].mean(1)
            rows += own[_peaks(places.points[own], firmness)].tolist()
        inward = places.inward[rows]
        if smooth is not None and rows:
            across = face_normals(smooth, faces[places.triangles[rows]])
            inward = -across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
        return places.points[rows], inward, self.parts[firm[rows]]

    def _penetration(self, hand: np.ndarray, vertices: np.ndarray, faces: np.ndarray, gap: float | None) -> float:
        """Depth of the deepest vertex of one mesh inside the other, metres; 0 if none is."""
        deepest = depth(hand, vertices, faces) if gap is None else -gap
        return max(0.0, deepest, depth(vertices, hand, self.faces))


def _smoothed(points: np.ndarray, skin: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """(N,) contact of the skin (S, 3) around points (N, 3)."""
    weights = np.exp(cdist(points, skin, 'sqeuclidean') / (-2 * _SMOOTH**2))
    return weights @ contact / weights.sum(1)


def _peaks(points: np.ndarray, firmness: np.ndarray) -> list[int]:
    """Rows of the firmest points (N, 3), each farther than _APART from the firmer ones."""
    chosen: list[int] = []
    free = np.ones(len(points), bool)
    for row in np.argsort(-firmness, kind='stable'):
        if free[row]:
            chosen.append(int(row))
            free &= ((points - points[row]) ** 2).sum(1) > _APART**2
    return chosen
