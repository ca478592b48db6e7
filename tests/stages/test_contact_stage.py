# SPDX-License-Identifier: Apache-2.0
"""The contact stage around a network that knows distances: mirrored hands, and input that allows no contact."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.mesh.boxes import oriented_box
from hoi_ros.mesh.sampling import even_places
from hoi_ros.resources import model_dir
from hoi_ros.stages import contact
from hoi_ros.stages.contact import contact_of_vertices
from hoi_ros.stages.contact import ContactStage
from hoi_ros.stages.parts.contact_energy import ObjectSurfacePoints
from hoi_ros.stages.parts.contact_network import ContactMaps
from hoi_ros.stages.parts.contact_network import nodes_of

from .parts.held_objects import estimates
from .parts.held_objects import FLIP
from .parts.held_objects import generated
from .parts.held_objects import hand_model
from .parts.held_objects import mirrored

GRASPS = [index for index in range(12) if generated(index).pregrasp == 0][:3]
CAMERA = np.array([0.1, -0.05, 0.6])


class NearIsFirm:
    """Stands in for the network: contact falls with the distance, 0.4 at 4 mm.

    Args:
        hand: (V, 3) true vertices about the middle of the object; those that it is called with by default.
    """

    def __init__(self, hand: np.ndarray | None) -> None:
        self.hand = hand

    def __call__(self, hand: np.ndarray, hand_normals: object, thing: np.ndarray, *others: object) -> ContactMaps:
        hand = hand if self.hand is None else self.hand
        apart = cKDTree(thing).query(hand)[0], cKDTree(hand).query(thing)[0]
        return ContactMaps(*(1 / (1 + 1.5 * np.exp((each - 0.004) / 0.001)) for each in apart))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ContactStage]:
    """Creates stages, whose network knows the contact of a generated grasp if its index is given."""
    monkeypatch.setattr(contact, 'model_dir', lambda _, models: model_dir('hand_model', models))

    def make(index: int | None = None, **settings: object) -> ContactStage:
        hand = None if index is None else generated(index).vertices - generated(index).object.vertices.mean(0)
        monkeypatch.setattr(contact, 'ContactNetwork', lambda *arguments: NearIsFirm(hand))
        return ContactStage(**{'budget': math.inf, **settings})

    return make


def holding(index: int, off: float = 0.0) -> tuple[HandEstimate, np.ndarray]:
    """A generated grasp before the camera, the hand that far beside its place, and the faces of its object."""
    grasp = generated(index)
    hand, held = estimates(grasp)
    shift = CAMERA + off * np.random.default_rng(index).normal(size=3)
    vertices = held.vertices + CAMERA
    held = dataclasses.replace(held, vertices=vertices, position=held.position + CAMERA)
    return dataclasses.replace(
        hand,
        joints=hand.joints + shift,
        vertices=hand.vertices + shift,
        translation=(hand.translation + shift).astype(np.float32),
        held=held,
    ), grasp.object.faces


def with_object(hand: HandEstimate, vertices: np.ndarray) -> HandEstimate:
    box = oriented_box(vertices) if len(vertices) and np.isfinite(vertices).all() else (np.full(3, np.nan),) * 3
    return dataclasses.replace(hand, held=ObjectEstimate(0.9, vertices, *box, gap=0.0, touching=True))


@pytest.mark.parametrize('index', GRASPS)
def test_a_mirrored_scene_gives_the_mirrored_result(stage, index: int) -> None:
    run = stage(index, restarts=2, observed=False)
    hand, faces = holding(index, 0.008)
    left, thing = mirrored(hand, hand.held)
    left = dataclasses.replace(left, held=dataclasses.replace(thing, confidence=hand.held.confidence))
    (right,) = run([hand], faces, 0.0)
    (other,) = run([left], faces[:, ::-1], 0.0)
    assert right.contact.penetration < 0.01 and np.abs(right.vertices - hand.vertices).max() > 1e-3
    for name in ('vertices', 'joints', 'translation'):
        np.testing.assert_allclose(getattr(other, name), getattr(right, name) * FLIP, atol=1e-4)
    for name in ('vertices', 'position'):
        np.testing.assert_allclose(getattr(other.held, name), getattr(right.held, name) * FLIP, atol=1e-4)
    for name in ('points', 'normals'):
        np.testing.assert_allclose(getattr(other.contact, name), getattr(right.contact, name) * FLIP, atol=1e-3)
    for name, within in (('hand', 1e-3), ('object', 1e-3), ('penetration', 1e-4), ('intersection', 1e-6)):
        np.testing.assert_allclose(getattr(other.contact, name), getattr(right.contact, name), atol=within)
    np.testing.assert_array_equal(other.contact.fingers, right.contact.fingers)
    assert other.grasp.type == right.grasp.type
    for name in ('position', 'object_position', 'approach', 'centroids', 'normals'):
        np.testing.assert_allclose(getattr(other.grasp, name), getattr(right.grasp, name) * FLIP, atol=1e-4)
    for name in ('aperture', 'fingers', 'object_size', 'confidence', 'force_closure'):
        np.testing.assert_allclose(getattr(other.grasp, name), getattr(right.grasp, name), atol=1e-4)
    for name in ('orientation', 'object_orientation'):
        turns = [Rotation.from_quat(getattr(each, name)).as_matrix() for each in (other.grasp, right.grasp)]
        np.testing.assert_allclose(turns[0], np.diag(FLIP) @ turns[1] @ np.diag(FLIP), atol=1e-3)


@pytest.mark.parametrize('index', GRASPS)
def test_a_turned_scene_gives_the_turned_result(stage, index: int) -> None:
    run = stage(refine=False)
    hand, faces = holding(index)
    (seen,) = run([hand], faces, 0.0)
    turn = Rotation.random(rng=np.random.default_rng(index))
    thing = hand.held
    turned = dataclasses.replace(
        hand,
        joints=turn.apply(hand.joints),
        vertices=turn.apply(hand.vertices),
        pose=np.concatenate([(turn * Rotation.from_rotvec(hand.pose[:3])).as_rotvec(), hand.pose[3:]]),
        held=dataclasses.replace(
            thing,
            vertices=turn.apply(thing.vertices),
            position=turn.apply(thing.position),
            orientation=(turn * Rotation.from_quat(thing.orientation)).as_quat(),
        ),
    )
    (other,) = run([turned], faces, 0.0)
    # A few points of the surface may change places with others that are as near.
    assert np.abs(other.contact.object - seen.contact.object).mean() < 2e-3
    np.testing.assert_allclose(other.grasp.approach, turn.apply(seen.grasp.approach), atol=1e-4)
    np.testing.assert_allclose(other.grasp.wrist_in_object[:3], seen.grasp.wrist_in_object[:3], atol=1e-5)
    assert other.grasp.type == seen.grasp.type and other.grasp.aperture == pytest.approx(seen.grasp.aperture, abs=1e-3)
    # One wrist: that of the hand.
    wrist = Rotation.from_quat(seen.grasp.orientation) * Rotation.from_rotvec(seen.pose[:3]).inv()
    assert wrist.magnitude() < 1e-6


@pytest.mark.parametrize(
    ('claimed', 'confidence', 'gap', 'expected'),
    [
        (True, 0.9, 0.001, (True, 0.9)),
        (False, 0.9, 0.02, (False, 0.9)),
        (False, 0.9, 0.001, (False, 0.0)),
        (False, 0.3, 0.001, (True, 0.7)),
        (True, 0.0, 0.001, (False, 0.0)),
    ],
)
def test_a_claim_that_the_refinement_turns_loses_its_confidence(
    claimed: bool, confidence: float, gap: float, expected: tuple[bool, float]
) -> None:
    hand, _ = holding(GRASPS[0])
    before = dataclasses.replace(
        hand.held, touching=claimed, gap=0.0, confidence=ClaimConfidence(touching=confidence, gap=0.9, box=0.9)
    )
    after = contact._claimed(before, gap, closed=True)
    assert (after.touching, after.confidence.touching) == (expected[0], pytest.approx(expected[1]))
    assert after.confidence.box == 0.9 and (after.confidence.gap, math.isnan(after.gap)) == (
        (0.9, False) if gap < 0.005 else (0.0, True)
    )


def far(hand: HandEstimate) -> np.ndarray:
    return hand.held.vertices + [1, 0, 0]


def around(hand: HandEstimate) -> tuple[np.ndarray, np.ndarray]:
    box = trimesh.creation.box((0.26, 0.26, 0.26))
    return box.vertices + (hand.vertices.min(0) + hand.vertices.max(0)) / 2, np.asarray(box.faces)


def card(hand: HandEstimate, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    box = trimesh.creation.box((0.085, 0.054, 0.001))
    return box.vertices + hand.joints[8], np.asarray(box.faces)[:, ::-1]


BAD_OBJECTS: dict[str, tuple[Callable, str]] = {
    'empty': (lambda hand, faces: (np.zeros((0, 3)), faces), 'publish the meshes'),
    'no triangles': (lambda hand, faces: (hand.held.vertices, faces[:0]), 'no usable mesh'),
    'degenerate': (lambda hand, faces: (hand.held.vertices, faces[:, [0, 0, 0]]), 'no usable mesh.*no area'),
    'collapsed': (lambda hand, faces: (hand.held.vertices * 0 + hand.joints[9], faces), 'its object measures 0 m'),
    'inverted': (lambda hand, faces: (hand.held.vertices, faces[:, ::-1]), 'triangles of its object face inwards'),
    'an inverted card': (card, 'triangles of its object face inwards'),
    'huge': (lambda hand, faces: (hand.held.vertices, np.resize(faces, (1_000_000, 3))), '1000000 triangles'),
    'not finite': (lambda hand, faces: (hand.held.vertices * [1, np.nan, 1], faces), 'object are not finite'),
    'other topology': (lambda hand, faces: (hand.held.vertices[:20], faces), 'name vertices 0 to'),
    'millimetres': (lambda hand, faces: (hand.held.vertices * 1000, faces), 'its object measures .* in millimetres'),
    'far away': (lambda hand, faces: (far(hand), faces), r'its object is \d\.\d\d m away'),
    'around the hand': (lambda hand, faces: around(hand), 'whole hand lies inside its object'),
}


@pytest.mark.parametrize('fault', BAD_OBJECTS)
def test_an_object_that_allows_no_contact_leaves_the_hand_as_it_came(stage, fault: str) -> None:
    hand, faces = holding(GRASPS[0])
    change, said = BAD_OBJECTS[fault]
    vertices, faces = change(hand, faces)
    hand = with_object(hand, vertices)
    run = stage()
    assert run([hand], faces, 0.0) == [hand]
    assert list(run.reasons) == [hand.track_id]
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(run.reasons[hand.track_id])
    well, faces = holding(GRASPS[0])
    assert run([well], faces, 0.0)[0].contact is not None and run.reasons == {}


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'vertices': np.zeros((0, 3))}, 'publish the meshes'),
        ({'vertices': np.full((1159, 3), np.nan)}, '1159 of 1159 vertices of the hand are not finite'),
        ({'joints': np.full((21, 3), np.inf)}, '21 of 21 joints are not finite'),
        ({'joints': np.random.default_rng(0).normal(size=(21, 3)) * 50}, 'the hand measures .* in millimetres'),
        ({'pose': np.full(48, np.nan, np.float32)}, 'pose are not finite'),
    ],
)
def test_a_hand_that_allows_no_contact_comes_back_as_it_came(stage, change: dict, said: str) -> None:
    hand, faces = holding(GRASPS[0])
    hand = dataclasses.replace(hand, **change)
    run = stage()
    assert run([hand], faces, 0.0)[0].contact is None
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(run.reasons[hand.track_id])


def test_an_open_object_has_contact_but_no_depth(stage) -> None:
    hand, faces = holding(GRASPS[0])
    whole = stage(refine=False)([hand], faces, 0.0)[0]
    opened = stage(refine=False)([hand], faces[5:], 0.0)[0]
    np.testing.assert_allclose(opened.contact.hand, whole.contact.hand, atol=0.2)
    assert set(opened.contact.fingers) == set(whole.contact.fingers) and opened.grasp.type == whole.grasp.type
    assert math.isnan(opened.contact.penetration) and math.isnan(opened.contact.intersection)
    assert math.isnan(opened.held.gap) and not opened.held.touching
    assert opened.held.confidence.gap == opened.held.confidence.touching == 0
    assert whole.held.touching and whole.held.confidence == hand.held.confidence


def test_the_middle_of_a_large_triangle_is_near(stage) -> None:
    """A box of eight vertices, all of them farther than 10 cm from the hand that touches its face."""
    hand, _ = holding(GRASPS[0])
    box = trimesh.creation.box((0.4, 0.4, 0.4))
    tips = hand.joints[[8, 12, 16]].mean(0)
    hand = with_object(hand, box.vertices + tips + [0, 0, 0.2])
    assert stage(refine=False)([hand], np.asarray(box.faces), 0.0)[0].contact is not None


def test_hands_on_one_object_and_hands_without(stage) -> None:
    run = stage()
    hand, faces = holding(GRASPS[0])
    second = dataclasses.replace(hand, track_id=7)
    empty = dataclasses.replace(hand, track_id=9, held=None)
    first, alone, other = run([hand, empty, second], faces, 0.0)
    assert alone is empty and run.reasons == {}
    np.testing.assert_array_equal(first.contact.hand, other.contact.hand)
    assert first.track_id == hand.track_id and other.track_id == 7
    assert run([], faces, 0.0) == [] and run([empty], faces[:0], 0.0) == [empty]


def test_what_may_move_moves(stage) -> None:
    hand, faces = holding(GRASPS[1], 0.008)
    still = stage(refine=False)([hand], faces, 0.0)[0]
    assert still.vertices is hand.vertices and still.held.vertices is hand.held.vertices
    held = stage(GRASPS[1], hold_object=True)([hand], faces, 0.0)[0]
    np.testing.assert_allclose(held.held.vertices, hand.held.vertices, atol=1e-6)
    assert np.abs(held.joints - hand.joints).max() > 1e-3
    posed = hand_model().forward(held.pose, held.shape, held.translation)
    np.testing.assert_allclose(posed.vertices, held.vertices, atol=1e-5)
    np.testing.assert_allclose(posed.keypoints, held.joints, atol=1e-5)


def test_contact_does_not_pass_through_a_thin_plate() -> None:
    plate = trimesh.creation.box((0.1, 0.06, 0.001)).subdivide().subdivide().subdivide()
    vertices, faces = np.asarray(plate.vertices), np.asarray(plate.faces)
    places = even_places(vertices, faces, 2048)
    surface = ObjectSurfacePoints(places.points(vertices, faces), places.normals(vertices, faces))
    pressed = (surface.normals[:, 2] > 0.9).astype(np.float32)
    nodes = nodes_of(surface.points, 300, surface.normals, ordered=True)
    found = nodes.interpolated(pressed[nodes.rows])
    below = surface.normals[:, 2] < -0.9
    assert found[below].max() < 0.4 < found[pressed > 0].min()
    on_mesh, inner = contact_of_vertices(vertices, faces, surface, pressed), np.abs(vertices[:, :2]) < [0.049, 0.029]
    inner = inner.all(1)
    assert on_mesh[inner & (vertices[:, 2] > 0)].min() > 0.6 and on_mesh[inner & (vertices[:, 2] < 0)].max() < 0.4
