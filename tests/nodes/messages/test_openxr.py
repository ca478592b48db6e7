# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
from std_msgs.msg import Header

from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import surest_by_side
from hoi_ros.hand.openxr import TELEOPERATION_NAMES
from hoi_ros.nodes.messages.geometry import orientation_of
from hoi_ros.nodes.messages.geometry import position_of
from hoi_ros.nodes.messages.openxr import openxr_poses

HEADER = Header(frame_id='camera')
RIGHT = HandModel.load()
MODELS = {'right': RIGHT, 'left': RIGHT.mirrored()}


def hand(side, score=0.9):
    posed = MODELS[side].forward(np.zeros(48), np.zeros(10), np.array([0, 0, 0.5]))
    return HandEstimate(
        side,
        1,
        score,
        posed.keypoints + [0, 0, 0.01],
        np.ones(21),
        np.zeros(48),
        np.zeros(10),
        np.array([0, 0, 0.5]),
        posed.vertices,
    )


def test_the_left_hand_comes_first_and_a_hand_that_is_not_there_is_at_the_camera():
    message = openxr_poses(HEADER, [hand('right')], MODELS)
    assert message.header == HEADER and len(message.poses) == len(TELEOPERATION_NAMES) == 50
    for pose in message.poses[:25]:
        assert not position_of(pose).any() and orientation_of(pose).tolist() == [0, 0, 0, 1]
    both = openxr_poses(HEADER, [hand('right'), hand('left')], MODELS).poses
    for side in ('left', 'right'):
        for joint, keypoint in (('WRIST', 'wrist'), ('INDEX_TIP', 'index_tip'), ('LITTLE_PROXIMAL', 'little_mcp')):
            place = position_of(both[TELEOPERATION_NAMES.index(f'{side}_{joint}')])
            np.testing.assert_allclose(place, hand(side).joints[KEYPOINT_NAMES.index(keypoint)], atol=1e-6)


def test_the_surest_hand_of_a_side_is_taken():
    unsure = dataclasses.replace(hand('left', 0.3), joints=hand('left').joints + 1)
    sure = openxr_poses(HEADER, [hand('left'), unsure], MODELS)
    assert sure == openxr_poses(HEADER, [hand('left')], MODELS)
    assert len(openxr_poses(HEADER, [], MODELS).poses) == 50


def test_of_two_alike_the_one_that_was_there_first_is_taken():
    first, second = (dataclasses.replace(hand('left', 0.98), track_id=track) for track in (3, 7))
    for other in (dataclasses.replace(second, score=0.99), dataclasses.replace(second, score=0.97)):
        assert surest_by_side([other, first])['left'] is first
    # A hand that is likely of the other side does not count as much.
    assert surest_by_side([second, dataclasses.replace(first, side_score=0.55)])['left'] is second
