# SPDX-License-Identifier: Apache-2.0
"""The hand model: one definition of the maths, its mesh, mirror image, anatomical axes and shape space."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree

from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from hoi_ros.hand import KEYPOINT_PARENTS
from hoi_ros.hand import mirror_pose
from hoi_ros.hand.model import HandModelError
from hoi_ros.hand.model import rotation_matrices
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.hand.skeleton import TIP_JOINTS
from training.hand.build import read_generic_hand
from training.hand.build import SHAPE_NAMES
from training.hand.build import SHAPE_SPREAD

FINGERS = ('index', 'middle', 'ring', 'little')
REST = np.zeros(48), np.zeros(10), np.zeros(3)


@pytest.fixture(scope='module')
def with_correctives(hand: HandModel) -> HandModel:
    generator = np.random.default_rng(7)
    return dataclasses.replace(hand, pose_basis=generator.normal(0, 1e-3, (len(hand.template), 3, 135)))


def keypoint(name: str) -> int:
    return KEYPOINT_NAMES.index(name)


def posed(hand: HandModel, joint: str, axis: int, angle: float) -> np.ndarray:
    """(21, 3) keypoints with one joint turned by `angle` about one anatomical axis."""
    angles = np.zeros((16, 3))
    angles[JOINT_NAMES.index(joint), axis] = angle
    return hand.forward(hand.pose_of(angles), *REST[1:], vertices=False).keypoints


def test_numpy_and_torch_give_the_same_hands(with_correctives: HandModel, draw) -> None:
    generator = np.random.default_rng(0)
    hands = [draw(generator) for _ in range(6)]
    batch = [np.stack(part).reshape(2, 3, -1) for part in zip(*hands, strict=True)]
    in_torch = with_correctives.to_torch(dtype=torch.float64).forward(*map(torch.as_tensor, batch))
    for ours, theirs in zip(with_correctives.forward(*batch), in_torch, strict=True):
        assert ours.shape == tuple(theirs.shape) and ours.shape[:2] == (2, 3)
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-9)


@pytest.mark.parametrize('at_rest', [False, True])
def test_gradients_match_finite_differences(with_correctives: HandModel, draw, at_rest: bool) -> None:
    generator = np.random.default_rng(1)
    point = np.concatenate(REST if at_rest else draw(generator))
    model = with_correctives.to_torch(dtype=torch.float64)
    share = [torch.as_tensor(generator.normal(size=size)) for size in ((len(model.template), 3), (21, 3))]

    def value(numbers: torch.Tensor) -> torch.Tensor:
        posed = model.forward(numbers[:48], numbers[48:58], numbers[58:])
        return (posed.vertices * share[0]).sum() + (posed.keypoints * share[1]).sum()

    numbers = torch.tensor(point, requires_grad=True)
    (gradient,) = torch.autograd.grad(value(numbers), numbers)
    steps = 1e-5 * torch.eye(61, dtype=torch.float64)
    with torch.no_grad():
        expected = torch.stack([(value(numbers + step) - value(numbers - step)) / 2e-5 for step in steps])
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-5)


def test_turning_the_wrist_moves_the_hand_rigidly_about_it(hand: HandModel, draw) -> None:
    pose, shape, translation = draw(np.random.default_rng(2))
    turned = hand.forward(pose, shape, translation)
    pose_before = np.concatenate([np.zeros(3), pose[3:]])
    before = hand.forward(pose_before, shape, np.zeros(3))
    rotation, wrist = rotation_matrices(pose[:3]), before.keypoints[0]
    for points, moved in ((before.vertices, turned.vertices), (before.keypoints, turned.keypoints)):
        np.testing.assert_allclose((points - wrist) @ rotation.T + wrist + translation, moved, atol=1e-6)


def test_left_is_the_mirror_image_of_right(with_correctives: HandModel, draw) -> None:
    pose, shape, translation = draw(np.random.default_rng(3))
    flip = np.array([-1, 1, 1])
    left = with_correctives.mirrored()
    right_posed = with_correctives.forward(pose, shape, translation)
    left_posed = left.forward(mirror_pose(pose), shape, translation * flip)
    np.testing.assert_allclose(left_posed.vertices, right_posed.vertices * flip, atol=1e-6)
    np.testing.assert_allclose(left_posed.keypoints, right_posed.keypoints * flip, atol=1e-6)
    np.testing.assert_allclose(left.anatomical(mirror_pose(pose))[1:], with_correctives.anatomical(pose)[1:], atol=1e-6)
    assert left.side == 'left' and left.mirrored().side == 'right'


def test_left_is_the_left_hand_that_the_artist_made(hand: HandModel, public_data: Path) -> None:
    made = read_generic_hand(public_data / 'hand_model' / 'left.glb')
    # The left file's fingers run along −y, its palm faces +x and its thumb points to −z.
    to_rest_frame = np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]])
    wrist = made.joints[made.joint_names.index('wrist')]
    vertices = (made.vertices - wrist) @ to_rest_frame.T
    left = hand.mirrored()
    distance, nearest = cKDTree(vertices).query(left.template)
    assert distance.max() < 1e-6 and len(set(nearest)) == len(vertices)

    def turned_to_lowest(faces: np.ndarray) -> set[tuple[int, ...]]:
        return {tuple(np.roll(face, -face.argmin())) for face in faces}

    assert turned_to_lowest(nearest[left.faces]) == turned_to_lowest(made.faces)


def test_mesh_is_a_closed_surface_of_the_stated_volume(hand: HandModel) -> None:
    for side in (hand, hand.mirrored()):
        mesh = trimesh.Trimesh(side.template, side.faces, process=False)
        assert mesh.is_watertight and mesh.is_winding_consistent
        assert mesh.volume * 1e6 == pytest.approx(343.2, abs=0.1)
    np.testing.assert_allclose(hand.weights.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize('side', ['right', 'left'])
def test_flexion_goes_to_the_palm_and_abduction_to_the_thumb(hand: HandModel, side: str) -> None:
    model = hand if side == 'right' else hand.mirrored()
    to_thumb = 1 if side == 'right' else -1
    rest = model.forward(*REST, vertices=False).keypoints
    for finger in FINGERS:
        tip = keypoint(f'{finger}_tip')
        for place in ('mcp', 'pip', 'dip'):
            moved = posed(model, f'{finger}_{place}', 0, 0.3)[tip] - rest[tip]
            assert moved[2] > 0.8 * np.linalg.norm(moved), f'{finger} {place} does not bend to the palm'
        moved = posed(model, f'{finger}_mcp', 1, 0.2)[tip] - rest[tip]
        assert to_thumb * moved[0] > 0.8 * np.linalg.norm(moved), f'{finger} does not spread to the thumb'
        ahead = keypoint(f'{finger}_pip')
        np.testing.assert_allclose(posed(model, f'{finger}_mcp', 2, 0.2)[ahead], rest[ahead], atol=1e-6)

    thumb, little = keypoint('thumb_tip'), keypoint('little_mcp')
    for place in ('cmc', 'mcp', 'ip'):
        nearer = posed(model, f'thumb_{place}', 0, 0.3)[thumb] - rest[little]
        assert np.linalg.norm(nearer) < np.linalg.norm(rest[thumb] - rest[little]) - 1e-3
    assert posed(model, 'thumb_cmc', 1, 0.3)[thumb, 2] > rest[thumb, 2] + 1e-3


def test_anatomical_angles_and_pose_are_inverse(hand: HandModel, draw) -> None:
    pose, _, _ = draw(np.random.default_rng(4))
    np.testing.assert_allclose(hand.pose_of(hand.anatomical(pose)), pose, atol=1e-6)
    np.testing.assert_allclose(hand.axes.swapaxes(1, 2) @ hand.axes, [np.eye(3)] * 16, atol=1e-5)
    assert (hand.limits[..., 0] < 0).all() and (hand.limits[..., 1] > 0).all()


def test_each_number_of_the_shape_changes_what_its_name_says(hand: HandModel) -> None:
    ends, starts = np.arange(1, 21), np.array(KEYPOINT_PARENTS[1:])
    in_palm = starts == 0
    digit = np.array([name.split('_')[0] for name in KEYPOINT_NAMES[1:]])
    on_finger = ~in_palm & (digit != 'thumb')
    lengthened = {
        'size': np.ones(20),
        'finger_length': on_finger,
        'thumb_length': ~in_palm & (digit == 'thumb'),
        'index_against_ring': on_finger * ((digit == 'index') * 1.0 - (digit == 'ring')),
        'finger_girth': np.zeros(20),
        'thumb_girth': np.zeros(20),
        'tip_taper': np.zeros(20),
        'palm_width': None,
        'palm_length': None,
        'palm_thickness': None,
    }
    rest = hand.forward(*REST)
    before = np.linalg.norm(rest.keypoints[ends] - rest.keypoints[starts], axis=1)
    for number, (name, spread) in enumerate(zip(SHAPE_NAMES, SHAPE_SPREAD, strict=True)):
        changed = hand.forward(REST[0], np.eye(10)[number], REST[2])
        after = np.linalg.norm(changed.keypoints[ends] - changed.keypoints[starts], axis=1)
        if lengthened[name] is None:
            axis = ('palm_width', 'palm_length', 'palm_thickness').index(name)
            palm = [1, 5, 9, 13, 17]
            expected = rest.keypoints[palm] * (1 + spread * np.eye(3)[axis])
            np.testing.assert_allclose(changed.keypoints[palm], expected, atol=1e-6)
            np.testing.assert_allclose(after[~in_palm], before[~in_palm], rtol=1e-4)
        else:
            np.testing.assert_allclose(after / before - 1, spread * lengthened[name], atol=1e-4, err_msg=name)

    # Girth acts across the bone: the distance of a last bone's own vertices from its axis.
    for name, swollen, kept in (('finger_girth', 6, 15), ('thumb_girth', 15, 6)):
        changed = hand.forward(REST[0], np.eye(10)[SHAPE_NAMES.index(name)], REST[2])
        spread = SHAPE_SPREAD[SHAPE_NAMES.index(name)]
        for joint, expected in ((swollen, spread), (kept, 0)):
            own = hand.weights[:, joint] > 0.9999
            across = hand.axes[joint][:, :2]
            radius = np.linalg.norm((rest.vertices[own] - hand.joints[joint]) @ across, axis=1)
            grown = np.linalg.norm((changed.vertices[own] - hand.joints[joint]) @ across, axis=1)
            assert own.any()
            np.testing.assert_allclose(grown / radius - 1, expected, atol=1e-3)
    tapered = hand.forward(REST[0], np.eye(10)[SHAPE_NAMES.index('tip_taper')], REST[2])
    moved = np.linalg.norm(tapered.vertices - rest.vertices, axis=1) > 1e-7
    assert moved.any() and (hand.weights[moved][:, list(TIP_JOINTS)].sum(1) > 0).all()


def test_files_that_are_no_hand_model_are_refused_by_name(hand: HandModel, tmp_path: Path) -> None:
    whole = tmp_path / 'hand.npz'
    hand.save(whole)
    np.testing.assert_array_equal(HandModel.load(whole).template, hand.template)

    missing = tmp_path / 'absent.npz'
    truncated = tmp_path / 'truncated.npz'
    truncated.write_bytes(whole.read_bytes()[:5000])
    garbled = tmp_path / 'garbled.npz'
    content = bytearray(whole.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 2000] = bytes(2000)
    garbled.write_bytes(content)
    arrays = dict(np.load(whole))
    partial = tmp_path / 'partial.npz'
    np.savez(partial, **{name: value for name, value in arrays.items() if name != 'limits'})
    reshaped = tmp_path / 'reshaped.npz'
    np.savez(reshaped, **{**arrays, 'weights': arrays['weights'][:, :15]})
    wrong_shape = r'weights has shape \(1159, 15\), expected \(1159, 16\)'
    for path, said in (
        (missing, 'training.hand.build'),
        (truncated, 'truncated.npz'),
        (garbled, 'garbled.npz'),
        (partial, 'limits'),
        (reshaped, wrong_shape),
    ):
        with pytest.raises(HandModelError, match=said):
            HandModel.load(path)
