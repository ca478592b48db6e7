# SPDX-License-Identifier: Apache-2.0
"""Descriptions of generated grasps."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.mesh.surface import Surface
from hoi_ros.stages.parts.contact_points import ContactMeasure
from hoi_ros.stages.parts.grasp_description import GraspDescription
from training.data.synthetic.grasps import Grasp

from .held_objects import contact_of
from .held_objects import estimates
from .held_objects import FLIP
from .held_objects import generated
from .held_objects import hand_model
from .held_objects import mirrored

GRASPS = [grasp for index in range(24) if (grasp := generated(index)).pregrasp == 0]


def touching(grasp: Grasp) -> tuple[HandEstimate, ObjectEstimate, ContactEstimate]:
    hand, held = estimates(grasp)
    contact = ContactMeasure(hand_model())(
        hand.vertices,
        contact_of(hand.vertices, Surface(held.vertices, grasp.object.faces)),
        held.vertices,
        grasp.object.faces,
        contact_of(held.vertices, Surface(hand.vertices, hand_model().faces)),
    )
    return hand, held, contact


def described(grasp: Grasp) -> GraspEstimate:
    found = GraspDescription(hand_model())(*touching(grasp))
    assert found is not None
    return found


def test_the_type_is_mostly_that_of_the_generated_grip() -> None:
    """86 % of 253 grasps of the test split."""
    right = [described(grasp).type == ('lateral' if grasp.grip == 'lateral' else grasp.kind) for grasp in GRASPS]
    assert len(right) > 15 and np.mean(right) > 0.7


def test_poses_and_contacts_fit_together() -> None:
    for grasp in GRASPS[:6]:
        found, (hand, held, contact) = described(grasp), touching(grasp)
        box, wrist = Rotation.from_quat(held.orientation), Rotation.from_quat(found.orientation)
        relative = Rotation.from_quat(found.wrist_in_object[3:])
        np.testing.assert_allclose(held.position + box.apply(found.wrist_in_object[:3]), hand.joints[0], atol=1e-9)
        assert (box * relative * wrist.inv()).magnitude() < 1e-6
        # The fingers bend out of the palm, and the palm's normal and the approach agree.
        assert wrist.apply([0, 0, 1]) @ found.approach > 0.3
        assert wrist.apply([0, 1, 0]) @ (hand.joints[9] - hand.joints[0]) > 0.07
        assert found.fingers.tolist() == [finger in contact.fingers for finger in range(5)]
        assert np.isfinite(found.centroids[found.fingers]).all() and np.isnan(found.centroids[~found.fingers]).all()
        assert 0.002 < found.aperture < 0.12
        assert found.force_closure > 0
        assert 0.6 < found.confidence <= 0.8 * 0.9


def test_a_left_hand_has_the_mirrored_grasp() -> None:
    for grasp in GRASPS[:4]:
        hand, held, contact = touching(grasp)
        right = described(grasp)
        flipped = dataclasses.replace(contact, points=contact.points * FLIP, normals=contact.normals * FLIP)
        left = GraspDescription(hand_model().mirrored())(*mirrored(hand, held), flipped)
        assert left is not None
        assert left.type == right.type
        for name in ('position', 'approach', 'centroids', 'normals'):
            np.testing.assert_allclose(getattr(left, name), getattr(right, name) * FLIP, atol=1e-6)
        for name in ('aperture', 'confidence', 'fingers'):
            np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-6)
        np.testing.assert_allclose(left.force_closure, right.force_closure, atol=1e-4)
        np.testing.assert_allclose(left.wrist_in_object[:3], right.wrist_in_object[:3] * FLIP, atol=1e-6)
        # The mirror image of a frame whose x axis is flipped once more is right-handed.
        for one, other in (
            (left.orientation, right.orientation),
            (left.wrist_in_object[3:], right.wrist_in_object[3:]),
        ):
            mirror = np.diag(FLIP) @ Rotation.from_quat(other).as_matrix() @ np.diag(FLIP)
            np.testing.assert_allclose(Rotation.from_quat(one).as_matrix(), mirror, atol=1e-6)


def test_what_is_not_held_between_two_places_is_no_grasp() -> None:
    hand, held, contact = touching(GRASPS[0])
    describe = GraspDescription(hand_model())
    thumb = contact.fingers == 0
    for kept in (thumb, ~thumb & (contact.normals @ contact.normals[~thumb][0] > 0), np.zeros(len(thumb), bool)):
        less = dataclasses.replace(
            contact, points=contact.points[kept], normals=contact.normals[kept], fingers=contact.fingers[kept]
        )
        assert describe(hand, held, less) is None


def test_a_withheld_box_leaves_the_grasp_in_the_cameras_frame() -> None:
    hand, held, contact = touching(GRASPS[0])
    bare = dataclasses.replace(
        held, position=np.full(3, np.nan), orientation=np.full(4, np.nan), size=np.full(3, np.nan)
    )
    found = GraspDescription(hand_model())(hand, bare, contact)
    assert found is not None
    assert np.isnan(found.wrist_in_object).all() and np.isfinite(found.orientation).all()
    assert found.aperture == pytest.approx(described(GRASPS[0]).aperture)
