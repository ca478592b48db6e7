# SPDX-License-Identifier: Apache-2.0
"""The joints of OpenXR."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.openxr import openxr_joints
from hoi_ros.hand.openxr import OPENXR_NAMES
from hoi_ros.hand.openxr import OpenXRJoints
from hoi_ros.hand.openxr import TELEOPERATION_NAMES
from hoi_ros.hand.poses import gesture_angles

FLIP = np.array([-1.0, 1, 1])


@pytest.fixture(scope='module')
def model() -> HandModel:
    return HandModel.load()


def joints_of(model: HandModel, pose: np.ndarray, place: tuple[float, float, float] = (0, 0, 0)) -> OpenXRJoints:
    pose = pose.astype(np.float32)
    return openxr_joints(model, model.forward(pose, np.zeros(10, np.float32), np.array(place, np.float32), False))


def axes_of(joints: OpenXRJoints, name: str) -> np.ndarray:
    """Columns: x, y and z of a joint."""
    return Rotation.from_quat(joints.orientations[OPENXR_NAMES.index(name)]).as_matrix()


def test_names_are_those_of_two_hands_left_first() -> None:
    assert len(OPENXR_NAMES) == 25 and len(set(TELEOPERATION_NAMES)) == 50
    assert OPENXR_NAMES[:7] == (
        'WRIST',
        'THUMB_METACARPAL',
        'THUMB_PROXIMAL',
        'THUMB_DISTAL',
        'THUMB_TIP',
        'INDEX_METACARPAL',
        'INDEX_PROXIMAL',
    )
    assert TELEOPERATION_NAMES[0] == 'left_WRIST' and TELEOPERATION_NAMES[49] == 'right_LITTLE_TIP'


def test_bones_run_along_minus_z_from_joint_to_joint(model: HandModel) -> None:
    pose = model.pose_of(gesture_angles(model, 'power_cylinder'))
    pose[:3] = [0.4, -0.7, 1.1]
    joints = joints_of(model, pose, (0.1, -0.2, 0.6))
    for row, name in enumerate(OPENXR_NAMES):
        forward = -axes_of(joints, name)[:, 2]
        if name.endswith('_TIP'):
            np.testing.assert_allclose(forward, -axes_of(joints, OPENXR_NAMES[row - 1])[:, 2], atol=1e-6)
        elif name != 'WRIST':
            bone = joints.positions[row + 1] - joints.positions[row]
            np.testing.assert_allclose(forward, bone / np.linalg.norm(bone), atol=1e-6)
    to_base = joints.positions[OPENXR_NAMES.index('MIDDLE_METACARPAL')] - joints.positions[0]
    assert -axes_of(joints, 'WRIST')[:, 2] @ to_base == pytest.approx(np.linalg.norm(to_base))


def test_an_open_hand_palm_down_has_the_axes_of_the_specification(model: HandModel) -> None:
    """With the palm's z down and fingers forward, x is right, y up and z backward, on both hands."""
    down = Rotation.from_euler('y', 180, degrees=True)
    pose = np.zeros(48)
    pose[:3] = down.as_rotvec()
    for hand in (model, model.mirrored()):
        joints = joints_of(hand, pose)
        to_view = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # right, up, backward from x, y, z of this scene
        for name in OPENXR_NAMES:
            if not name.startswith('THUMB'):
                axes = to_view @ axes_of(joints, name)
                assert np.trace(axes) > 2.7, (hand.side, name, axes)
        right = to_view @ (joints.positions[OPENXR_NAMES.index('THUMB_TIP')] - joints.positions[0])
        assert (right[0] < 0) == (hand.side == 'right')


def test_fingers_bend_away_from_their_nails(model: HandModel) -> None:
    for hand in (model, model.mirrored()):
        for name in ('THUMB', *(finger.upper() for finger in ('index', 'middle', 'ring', 'little'))):
            straight, bent = (
                joints_of(hand, hand.pose_of(gesture_angles(hand, gesture))) for gesture in ('open', 'fist')
            )
            before, after = axes_of(straight, f'{name}_DISTAL'), axes_of(bent, f'{name}_DISTAL')
            own = axes_of(straight, f'{name}_PROXIMAL').T @ before, axes_of(bent, f'{name}_PROXIMAL').T @ after
            turned = -own[1][:, 2] + own[0][:, 2]
            assert turned[1] < -0.05, (hand.side, name)


def test_the_left_hand_is_the_mirror_image(model: HandModel) -> None:
    pose = model.pose_of(gesture_angles(model, 'tripod'))
    pose[:3] = [0.3, 0.2, -1.0]
    right = joints_of(model, pose, (0.05, 0.1, 0.5))
    left = joints_of(model.mirrored(), mirror_pose(pose), (-0.05, 0.1, 0.5))
    np.testing.assert_allclose(left.positions, right.positions * FLIP, atol=1e-5)
    mirrored = FLIP[:, None] * Rotation.from_quat(right.orientations).as_matrix() * FLIP
    np.testing.assert_allclose(Rotation.from_quat(left.orientations).as_matrix(), mirrored, atol=1e-4)


def test_metacarpals_begin_at_the_wrist_and_spread_to_the_knuckles(model: HandModel) -> None:
    joints = joints_of(model, np.zeros(48))
    bases = joints.positions[[OPENXR_NAMES.index(f'{n}_METACARPAL') for n in ('INDEX', 'MIDDLE', 'RING', 'LITTLE')]]
    # Of the generic hand's skeleton, in the model's rest frame.
    expected = [[0.0102, 0.0292, 0.0071], [0.0034, 0.0291, 0.0061], [-0.0081, 0.027, 0.0061], [-0.023, 0.0341, 0.0094]]
    assert np.linalg.norm(bases - expected, axis=1).max() < 0.006
