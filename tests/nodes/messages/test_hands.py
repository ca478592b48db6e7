# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import rotation_matrices
from hoi_ros.msg import Hand
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.messages.hands import hand_transforms
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.markers import hand_markers

HEADER = Header(frame_id='camera')


@pytest.fixture(scope='module')
def models():
    right = HandModel.load()
    return {'right': right, 'left': right.mirrored()}


def estimate(models, side='right', track=3, score=0.8, turn=(0.3, -0.9, 0.4)):
    pose = np.zeros(48, np.float32)
    pose[:3] = turn
    pose[3 * 3 : 3 * 4] = (0.7, 0.1, 0.0)
    translation = np.array([0.05, -0.02, 0.6], np.float32)
    posed = models[side].forward(pose, np.zeros(10, np.float32), translation)
    return HandEstimate(
        side,
        track,
        score,
        posed.keypoints,
        np.full(21, 0.7, np.float32),
        pose,
        np.zeros(10, np.float32),
        translation,
        posed.vertices,
    )


def matrix_of(quaternion):
    x, y, z, w = quaternion.x, quaternion.y, quaternion.z, quaternion.w
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_a_hand_goes_into_its_message_whole(models):
    hand = estimate(models, 'left')
    message = hand_array(HEADER, [hand], with_mesh=True)
    assert message.header.frame_id == 'camera'
    (sent,) = message.hands
    assert (sent.side, sent.id) == (Hand.LEFT, 3)
    np.testing.assert_allclose(np.reshape(sent.joints, (21, 3)), hand.joints, atol=1e-6)
    np.testing.assert_allclose(np.reshape(sent.vertices, (-1, 3)), hand.vertices, atol=1e-6)
    np.testing.assert_allclose(sent.pose, hand.pose)
    np.testing.assert_allclose(
        [sent.wrist.position.x, sent.wrist.position.y, sent.wrist.position.z], hand.joints[0], atol=1e-6
    )
    np.testing.assert_allclose(matrix_of(sent.wrist.orientation), rotation_matrices(hand.pose[:3]), atol=1e-6)


def test_constants_that_no_message_declares_are_refused(models):
    message = hand_array(Header(), [estimate(models)], True)
    message.hands[0].side = 7
    with pytest.raises(FrameRefused, match='a hand has side 7, expected 0 or 1'):
        hand_estimates(message)


def test_without_a_mesh_there_are_no_vertices(models):
    assert not hand_array(HEADER, [estimate(models)], with_mesh=False).hands[0].vertices


def test_the_topology_fits_the_vertices(models):
    topology = mesh_topology(HEADER, models['right'], models['left'])
    assert topology.vertex_count == len(models['right'].template)
    np.testing.assert_array_equal(np.reshape(topology.left_faces, (-1, 3)), models['left'].faces)
    assert topology.object_vertex_count == 0 and not topology.object_faces
    bones = np.reshape(topology.bones, (-1, 2)).tolist()
    assert len(bones) == 20
    assert [0, 5] in bones and [7, 8] in bones


@pytest.mark.parametrize('turn', [(0.3, -0.9, 0.4), (np.pi, 0, 0), (0, 3.1415, 0), (0, 0, 3), (0, 0, 0)])
def test_transforms_stand_at_the_joints_and_turn_with_the_hand(models, turn):
    hand = estimate(models, turn=turn)
    transforms = hand_transforms(HEADER, [hand], models, 'robot/').transforms
    assert [transform.child_frame_id for transform in transforms] == [
        'robot/right_wrist',
        'robot/right_thumb_tip',
        'robot/right_index_tip',
        'robot/right_middle_tip',
        'robot/right_ring_tip',
        'robot/right_little_tip',
    ]
    assert {transform.header.frame_id for transform in transforms} == {'camera'}
    for transform, joint in zip(transforms, (0, 4, 8, 12, 16, 20)):
        place = transform.transform.translation
        np.testing.assert_allclose([place.x, place.y, place.z], hand.joints[joint], atol=1e-6)
    wrist = rotation_matrices(hand.pose[:3])
    np.testing.assert_allclose(matrix_of(transforms[0].transform.rotation), wrist, atol=1e-5)
    index_tip = wrist @ rotation_matrices(hand.pose[9:12])
    np.testing.assert_allclose(matrix_of(transforms[2].transform.rotation), index_tip, atol=1e-5)


def test_of_two_hands_of_a_side_the_surer_one_has_the_frames(models):
    sure, unsure = estimate(models, score=0.9, turn=(0, 0, 1)), estimate(models, score=0.6)
    transforms = hand_transforms(HEADER, [sure, unsure, estimate(models, 'left')], models, '').transforms
    assert len(transforms) == 12
    wrist = next(transform for transform in transforms if transform.child_frame_id == 'right_wrist')
    turned = matrix_of(wrist.transform.rotation)
    np.testing.assert_allclose(turned, rotation_matrices(sure.pose[:3]), atol=1e-5)


def test_markers_show_mesh_joints_and_bones(models):
    faces = {side: model.faces for side, model in models.items()}
    markers = hand_markers(HEADER, [estimate(models)], faces, lifetime=0.4).markers
    assert [(marker.type, marker.ns, marker.id) for marker in markers] == [
        (Marker.TRIANGLE_LIST, 'right_mesh', 3),
        (Marker.SPHERE_LIST, 'right_joints', 3),
        (Marker.LINE_LIST, 'right_bones', 3),
    ]
    assert [len(marker.points) for marker in markers] == [3 * len(models['right'].faces), 21, 40]
    assert all(marker.lifetime.nanosec == 400_000_000 for marker in markers)


def test_where_the_distance_comes_from_is_told(models):
    by_size = dataclasses.replace(estimate(models), located_by='hand_size')
    message = hand_array(HEADER, [estimate(models), by_size], with_mesh=False)
    assert [hand.located_by for hand in message.hands] == [Hand.LOCATED_BY_DEPTH, Hand.LOCATED_BY_HAND_SIZE]
