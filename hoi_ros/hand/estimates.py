# SPDX-License-Identifier: Apache-2.0
"""Estimates of the stages: regions of hands, hands, held objects, contact, and grasps. The simulated truth has the same
types."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

_EQUAL = 0.1
"""Scores that differ by less do not decide between two hands."""
LocatedBy = Literal['depth', 'hand_size']
"""Source of a hand's distance: a depth image, or the apparent size of a hand of the estimated shape."""


@dataclasses.dataclass(frozen=True)
class Region:
    """A hand's rectangle in the image, pixels."""

    x: float
    """Left edge."""
    y: float
    """Top edge."""
    width: float
    height: float
    side: str | None = None
    """'left' or 'right'; None if it is unknown."""


@dataclasses.dataclass(frozen=True)
class ClaimConfidence:
    """Probabilities that the claims about a held object are right, 0 to 1. msg/HeldObject.msg says what counts as
    right."""

    touching: float = 1.0
    gap: float = 1.0
    box: float = 1.0


@dataclasses.dataclass(frozen=True)
class ObjectEstimate:
    """The object that a hand holds, in the camera's optical frame, metres."""

    score: float
    """Probability that the hand holds an object."""
    vertices: np.ndarray
    """(M, 3) vertices of its mesh, whose faces are the stage's `object_faces`; (0, 3) where no mesh was published."""
    position: np.ndarray
    """(3,) centre of the oriented box around the mesh."""
    orientation: np.ndarray
    """(4,) quaternion x, y, z, w of the box's axes; the longest side lies along z, the shortest along x, where they
    differ by more than 15 %."""
    size: np.ndarray
    """(3,) sides of the box along its x, y and z."""
    gap: float
    """Least signed distance from a vertex of the hand to the surface of the object, see
    `hoi_ros.mesh.contact.surface_gap`; negative where a hand vertex lies inside. NaN where it is withheld."""
    touching: bool
    """Whether hand and object are in contact: the gap is at most `hoi_ros.mesh.contact.TOUCHING`, 4 mm. False where it
    is withheld."""
    confidence: ClaimConfidence = ClaimConfidence()
    """How often such claims are right; 0 for a claim that is withheld."""

    def withheld_below(self, least: float) -> ObjectEstimate:
        """The estimate without the claims whose confidence is below `least`: `touching` False, `gap` NaN, and NaN in
        position, orientation and size of the box. Score and mesh stay."""
        given = self.confidence
        touching, gap, box = (each >= least for each in (given.touching, given.gap, given.box))
        if touching and gap and box:
            return self
        return dataclasses.replace(
            self,
            touching=self.touching and touching,
            gap=self.gap if gap else math.nan,
            position=self.position if box else np.full(3, np.nan),
            orientation=self.orientation if box else np.full(4, np.nan),
            size=self.size if box else np.full(3, np.nan),
            confidence=ClaimConfidence(given.touching * touching, given.gap * gap, given.box * box),
        )

    @property
    def has_box(self) -> bool:
        """Whether position, orientation and size are known."""
        return bool(np.isfinite(self.size).all())


@dataclasses.dataclass(frozen=True)
class ContactEstimate:
    """Where a hand and the object that it holds touch, in the camera's optical frame, metres."""

    hand: np.ndarray
    """(V,) contact of the hand's vertices, 0 (never touched) to 1 (pressed firmly)."""
    object: np.ndarray
    """(M,) contact of the vertices of the object's mesh, 0 to 1."""
    points: np.ndarray
    """(K, 3) contact points on the object's surface, the firmest of their neighbourhoods."""
    normals: np.ndarray
    """(K, 3) unit normals at these points, into the object: the directions in which the hand presses."""
    fingers: np.ndarray
    """(K,) what touches there: 0 thumb to 4 little finger, 5 the palm."""
    penetration: float
    """Depth of the deepest vertex of one mesh inside the other, 0 if none is."""
    intersection: float
    """Volume of the intersection of both meshes, m³, see `hoi_ros.mesh.volumes`. NaN where a mesh has no inside."""


GraspType = Literal['power', 'precision', 'lateral']
"""power: the palm, or eight of the twelve links of the four fingers, touch the object. lateral: the thumb presses it
against its side of the index or middle finger. precision: any other grasp."""


@dataclasses.dataclass(frozen=True)
class GraspEstimate:
    """A hand's grasp of an object, for a robot to imitate; metres."""

    type: GraspType
    confidence: float
    """Probability that hand, object and contacts are such that the grasp can be imitated, 0 to 1."""
    position: np.ndarray
    """(3,) wrist in the camera's optical frame."""
    orientation: np.ndarray
    """(4,) quaternion x, y, z, w of the wrist, the global rotation of the hand's pose: y along the middle finger, z out
    of the palm."""
    object_position: np.ndarray
    """(3,) centre of the object's box, camera's frame."""
    object_orientation: np.ndarray
    """(4,) quaternion x, y, z, w of the box's axes: the longest side lies along z, the shortest along x, where they
    differ by more than 15 %."""
    object_size: np.ndarray
    """(3,) sides of the box along its x, y and z."""
    wrist_in_object: np.ndarray
    """(7,) the wrist's position and quaternion x, y, z, w in the frame of the box."""
    approach: np.ndarray
    """(3,) unit vector in the camera's frame along which the hand reaches the object."""
    aperture: float
    """Distance between the thumb's contact and the mean of those that oppose it; NaN where the thumb does not touch or
    nothing opposes it."""
    fingers: np.ndarray
    """(5,) bool, thumb to little finger: which touch."""
    centroids: np.ndarray
    """(5, 3) mean contact point of each finger, weighted by contact, camera's frame; NaN where it does not touch."""
    normals: np.ndarray
    """(5, 3) mean unit normal there, into the object; NaN where it does not touch."""
    force_closure: float
    """Radius of the largest ball about the origin inside the convex hull of the contact wrenches, whose forces and
    lever arms are at most 1 (Ferrari and Canny, 1992); 0 where the contacts cannot resist some wrench."""


@dataclasses.dataclass(frozen=True)
class HandInImage:
    """A hand in pixels of the original image, lens distortion included; the centre of the first pixel is (0, 0)."""

    keypoints: np.ndarray
    """(21, 2) x and y of the keypoints; outside the image where the keypoint is out of view."""
    box: Region
    """Bounding box of the mesh, or of the keypoints where there is no mesh, clipped to the image."""


@dataclasses.dataclass(frozen=True)
class HandEstimate:
    """One hand in the camera's optical frame, metres and radians."""

    side: str
    """'left' or 'right'."""
    track_id: int
    """Constant while the hand is tracked."""
    score: float
    """Probability that this is a hand."""
    joints: np.ndarray
    """(21, 3) keypoints."""
    joint_scores: np.ndarray
    """(21,) probability that the joint's error is below 2 cm."""
    pose: np.ndarray
    """(48,) pose of the hand model of `side`, axis-angle."""
    shape: np.ndarray
    """(10,) shape of the hand model."""
    translation: np.ndarray
    """(3,) translation of the hand model."""
    vertices: np.ndarray
    """(V, 3) vertices of the hand model; (0, 3) where no mesh was published."""
    located_by: LocatedBy = 'depth'
    held: ObjectEstimate | None = None
    """The object that the hand holds; None if it holds none, or the stage estimates none."""
    side_score: float = 1.0
    """Probability of `side`, 0.5 to 1."""
    in_image: HandInImage | None = None
    """The hand in pixels; None where no image is known. `hoi_ros.hand.in_image.in_image` fills it in."""
    contact: ContactEstimate | None = None
    """Where it touches what it holds; None where that was not estimated."""
    grasp: GraspEstimate | None = None
    """Its grasp; None where it was not estimated or nothing is grasped."""


def surest_by_side(hands: Sequence[HandEstimate]) -> dict[str, HandEstimate]:
    """The hand of each side that consumers of one a side should follow.

    It is the one that is surest to be a hand of that side; of nearly equal ones that which has been tracked longest, so
    that a robot's goal does not jump between two people's hands.
    """
    chosen: dict[str, HandEstimate] = {}
    for side in ('left', 'right'):
        same = [hand for hand in hands if hand.side == side]
        best = max((hand.score * hand.side_score for hand in same), default=0.0)
        equal = [hand for hand in same if hand.score * hand.side_score >= best - _EQUAL]
        if equal:
            chosen[side] = min(equal, key=lambda hand: hand.track_id)
    return chosen
