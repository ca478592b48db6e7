# SPDX-License-Identifier: Apache-2.0
"""The grasp of a hand: what a robot needs to imitate it, from the hand, the object and their contact."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import GraspType
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.hand.wrist_frame import palm_centre
from hoi_ros.mesh.force_closure import closure_radius
from hoi_ros.mesh.force_closure import FRICTION
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.stages.parts.contact_points import PALM
from hoi_ros.stages.parts.contact_points import parts_of_vertices
from hoi_ros.stages.parts.contact_points import TOUCHED

_OPPOSED = -(1 - FRICTION**2) / (1 + FRICTION**2)
"""Cosine between the normals of two contacts below which friction lets one balance the other: their friction cones
share a line."""
_THUMB, _INDEX, _MIDDLE = 0, 1, 2
_FEWEST = 2
"""Vertices of a link, or of the palm, that touch it."""
_POWER_LINKS = 8
"""Links of the four fingers, of twelve, that touch in a power grasp that spares the palm."""
_MIDDLE_SIDE, _BEYOND_INDEX, _INDEX_SIDE = 0.6, 0.4, 0.8
"""In a lateral grasp skin is touched that faces the thumb's side (1, against 0 of the pad): of the middle finger, more
than of the index finger, or of the index finger. All numbers of the types are the best of a grid on 240 generated
grasps of the validation split."""


class GraspDescription:
    """Describes the grasps of hands of one model, of both sides.

    Args:
        model: the hand, of either side.
    """

    def __init__(self, model: HandModel) -> None:
        self._owners = model.weights.argmax(1)
        self._parts = parts_of_vertices(model)
        to_thumb = model.axes[self._owners][:, :, 0] * (1 if model.side == 'right' else -1)
        self._sideways = (vertex_normals(model.template, model.faces) * to_thumb).sum(1)

    def __call__(self, hand: HandEstimate, held: ObjectEstimate, contact: ContactEstimate) -> GraspEstimate | None:
        """Describes a grasp.

        The approach leads from the middle of the palm to the middle between the thumb's contact and those that oppose
        it, or to the mean of the contacts where none does. That is a gripper's axis, and 19° (median) from the way on
        which generated hands came; the palm's normal is 54° from it.

        The confidence is the product of the scores of hand and object and of the contact at the weaker of two opposing
        points, of the firmest such pair.

        Returns:
            None where nothing is grasped: no two parts of the hand touch the object at opposing places. Poses relative
            to the object are NaN where its box is withheld.
        """
        points, normals, parts = contact.points, contact.normals, contact.fingers
        if len(points) < 2:
            return None
        firmness = self._firmness(hand, contact)
        opposed = (parts[:, None] != parts) & (normals @ normals.T < _OPPOSED)
        if not opposed.any():
            return None
        evidence = float(np.minimum(firmness[:, None], firmness)[opposed].max())
        centroids, directions = _by_part(points, normals, parts, firmness)
        opposing = np.flatnonzero(directions[_INDEX:PALM] @ directions[_THUMB] < 0) + _INDEX
        aperture, centre = math.nan, np.nanmean(centroids, 0)
        if len(opposing):
            opposite = centroids[opposing].mean(0)
            aperture = float(np.linalg.norm(opposite - centroids[_THUMB]))
            centre = (opposite + centroids[_THUMB]) / 2
        approach = centre - palm_centre(hand.joints)
        frame = Rotation.from_rotvec(hand.pose[:3]).as_matrix()
        return GraspEstimate(
            type=self._type((contact.hand >= TOUCHED) & np.isin(self._parts, parts)),
            confidence=hand.score * held.score * evidence,
            position=hand.joints[0],
            orientation=_quaternion(frame),
            object_position=held.position,
            object_orientation=held.orientation,
            object_size=held.size,
            wrist_in_object=_in_box(hand.joints[0], frame, held),
            approach=approach / max(float(np.linalg.norm(approach)), 1e-9),
            aperture=aperture,
            fingers=np.isfinite(centroids[:PALM, 0]),
            centroids=centroids[:PALM],
            normals=directions[:PALM],
            force_closure=closure_radius(points, normals),
        )

    def _firmness(self, hand: HandEstimate, contact: ContactEstimate) -> np.ndarray:
        """(K,) contact of the nearest vertex of the part of the hand that touches at each point."""
        apart = cdist(contact.points, hand.vertices)
        apart[contact.fingers[:, None] != self._parts] = np.inf
        return contact.hand[apart.argmin(1)].astype(float)

    def _type(self, touched: np.ndarray) -> GraspType:
        """The type of a grasp in which vertices (V,) of the hand touch, of parts that are near the object."""
        links = np.bincount(self._owners[touched], minlength=16)[FINGER_JOINTS[_INDEX:]] >= _FEWEST
        if (touched & (self._parts == PALM)).sum() >= _FEWEST or links.sum() >= _POWER_LINKS:
            return 'power'
        index, middle = (self._side(touched & (self._parts == finger)) for finger in (_INDEX, _MIDDLE))
        lateral = index > _INDEX_SIDE or middle > max(_MIDDLE_SIDE, index + _BEYOND_INDEX)
        return 'lateral' if lateral else 'precision'

    def _side(self, touched: np.ndarray) -> float:
        """How much the vertices of a finger that touch face the thumb's side, −1 to 1; 0 if none touches."""
        return float(self._sideways[touched].mean()) if touched.any() else 0.0


def _by_part(
    points: np.ndarray, normals: np.ndarray, parts: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean point (6, 3) and mean unit normal (6, 3) of each part; NaN where it has no point."""
    totals = np.bincount(parts, weights, PALM + 1)
    means = []
    for vectors in (points, normals):
        summed = [np.bincount(parts, weights * vectors[:, axis], PALM + 1) for axis in range(3)]
        means.append(np.stack(summed, 1) / np.where(totals > 0, totals, np.nan)[:, None])
    length = np.linalg.norm(means[1], axis=1, keepdims=True)
    return means[0], means[1] / np.maximum(length, 1e-9)


def _in_box(wrist: np.ndarray, frame: np.ndarray, held: ObjectEstimate) -> np.ndarray:
    """(7,) position and quaternion of the wrist in the frame of the object's box."""
    if not held.has_box:
        return np.full(7, np.nan)
    box = Rotation.from_quat(held.orientation).as_matrix()
    return np.concatenate([box.T @ (wrist - held.position), _quaternion(box.T @ frame)])


def _quaternion(frame: np.ndarray) -> np.ndarray:
    """(4,) quaternion x, y, z, w of a rotation (3, 3), w not negative."""
    return Rotation.from_matrix(frame).as_quat(canonical=True)
