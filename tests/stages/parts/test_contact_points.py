# SPDX-License-Identifier: Apache-2.0
"""Contact points, fingers, penetration and intersection of generated grasps."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.mesh.surface import Surface
from hoi_ros.mesh.volumes import penetration_depth
from hoi_ros.mesh.volumes import shared_volume
from hoi_ros.stages.parts.contact_points import ContactMeasure
from hoi_ros.stages.parts.contact_points import PALM
from hoi_ros.stages.parts.contact_points import parts_of_vertices

from .held_objects import contact_of
from .held_objects import estimates
from .held_objects import FLIP
from .held_objects import generated
from .held_objects import hand_model

HELD = [index for index in range(6) if generated(index).pregrasp == 0]


def maps(index: int) -> tuple[np.ndarray, np.ndarray]:
    grasp = generated(index)
    vertices = grasp.object.vertices.astype(float)
    hand, held = Surface(grasp.vertices, hand_model().faces), Surface(vertices, grasp.object.faces)
    return contact_of(grasp.vertices, held), contact_of(vertices, hand)


def test_the_ball_of_the_thumb_belongs_to_the_palm_and_the_knuckles_to_their_fingers() -> None:
    owners, parts = hand_model().weights.argmax(1), parts_of_vertices(hand_model())
    assert (parts[np.isin(owners, [0, FINGER_JOINTS[0, 0]])] == PALM).all()
    for finger in range(1, 5):
        assert (parts[np.isin(owners, FINGER_JOINTS[finger])] == finger).all()


@pytest.mark.parametrize('index', HELD)
def test_contact_points_lie_on_the_object_under_the_fingers_that_touch(index: int) -> None:
    grasp, (hand_contact, object_contact) = generated(index), maps(index)
    vertices, measure = grasp.object.vertices.astype(float), ContactMeasure(hand_model())
    found = measure(grasp.vertices.astype(float), hand_contact, vertices, grasp.object.faces, object_contact)
    surface = Surface(vertices, grasp.object.faces)
    assert surface.distances(found.points).max() < 1e-5
    assert surface.contains(found.points + 1e-4 * found.normals).all()
    np.testing.assert_allclose(np.linalg.norm(found.normals, axis=1), 1)
    touching = [(grasp.contact & (measure.parts == part)).sum() >= 2 for part in range(PALM + 1)]
    assert [part in found.fingers for part in range(PALM + 1)] == touching
    for part in np.unique(found.fingers):
        own = found.points[found.fingers == part]
        apart = np.linalg.norm(own[:, None] - own, axis=-1)[np.triu_indices(len(own), 1)]
        assert (apart >= 0.008 - 1e-9).all()
        skin = grasp.vertices[(measure.parts == part) & (hand_contact >= 0.4)]
        assert np.linalg.norm(own[:, None] - skin, axis=-1).min(1).max() < 0.01


def test_the_intersection_is_that_of_both_solids_and_unknown_for_an_open_object() -> None:
    grasp, (hand_contact, object_contact) = generated(HELD[0]), maps(HELD[0])
    hand, vertices = grasp.vertices.astype(float), grasp.object.vertices - [0.0, 0.0, 0.004]
    measure, faces = ContactMeasure(hand_model()), grasp.object.faces
    found = measure(hand, hand_contact, vertices, faces, object_contact)
    one, other = Surface(hand, hand_model().faces), Surface(vertices, faces)
    assert found.intersection == pytest.approx(shared_volume(one, other, 0.005), abs=1e-12)
    depth = max(penetration_depth(hand, other), penetration_depth(vertices, one))
    assert found.penetration == pytest.approx(depth, abs=1e-6) and depth > 0.001
    opened = measure(hand, hand_contact, vertices, faces[1:], object_contact)
    assert np.isnan([opened.penetration, opened.intersection]).all()
    assert len(opened.points) > 2


def test_a_hand_that_claims_contact_far_from_the_object_touches_nothing() -> None:
    hand, held = estimates(generated(HELD[0]))
    measure = ContactMeasure(hand_model())
    faces, everywhere = generated(HELD[0]).object.faces, np.ones(len(held.vertices))
    far = measure(hand.vertices + 0.5, np.ones(len(hand.vertices)), held.vertices, faces, everywhere)
    assert len(far.points) == 0 and far.penetration == far.intersection == 0
    never = measure(hand.vertices, np.zeros(len(hand.vertices)), held.vertices, faces, everywhere)
    assert len(never.points) == len(never.fingers) == 0
    noise = np.zeros(len(hand.vertices))
    noise[generated(HELD[0]).contact.argmax()] = 1
    assert len(measure(hand.vertices, noise, held.vertices, faces, everywhere).points) == 0


def test_a_left_hand_has_the_mirrored_contact() -> None:
    grasp, (hand_contact, object_contact) = generated(HELD[1]), maps(HELD[1])
    hand, vertices, faces = grasp.vertices.astype(float), grasp.object.vertices.astype(float), grasp.object.faces
    right = ContactMeasure(hand_model())(hand, hand_contact, vertices, faces, object_contact)
    measure = ContactMeasure(hand_model().mirrored())
    left = measure(hand * FLIP, hand_contact, vertices * FLIP, faces[:, ::-1], object_contact)
    np.testing.assert_allclose(left.points, right.points * FLIP, atol=1e-6)
    np.testing.assert_allclose(left.normals, right.normals * FLIP, atol=1e-6)
    np.testing.assert_array_equal(left.fingers, right.fingers)
    assert left.penetration == pytest.approx(right.penetration, abs=1e-6)
    again = measure(hand * FLIP, hand_contact, vertices * FLIP, faces[:, ::-1], object_contact)
    for field in dataclasses.fields(left):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(left, field.name))
