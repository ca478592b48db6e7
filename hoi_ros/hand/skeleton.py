# SPDX-License-Identifier: Apache-2.0
"""Names and topology of the 21 keypoints and the 16 articulated joints."""

import numpy as np

FINGERS = ('thumb', 'index', 'middle', 'ring', 'little')

KEYPOINT_NAMES = (
    'wrist',
    'thumb_cmc',
    'thumb_mcp',
    'thumb_ip',
    'thumb_tip',
    'index_mcp',
    'index_pip',
    'index_dip',
    'index_tip',
    'middle_mcp',
    'middle_pip',
    'middle_dip',
    'middle_tip',
    'ring_mcp',
    'ring_pip',
    'ring_dip',
    'ring_tip',
    'little_mcp',
    'little_pip',
    'little_dip',
    'little_tip',
)
KEYPOINT_PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
FINGERTIPS = (4, 8, 12, 16, 20)

# The articulated joints follow the order of MANO (Romero et al. 2017): wrist, then three a finger.
JOINT_NAMES = (
    'wrist',
    'index_mcp',
    'index_pip',
    'index_dip',
    'middle_mcp',
    'middle_pip',
    'middle_dip',
    'little_mcp',
    'little_pip',
    'little_dip',
    'ring_mcp',
    'ring_pip',
    'ring_dip',
    'thumb_cmc',
    'thumb_mcp',
    'thumb_ip',
)
JOINT_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)

# Source of each keypoint: an articulated joint (0-15), or 16 + the finger for a tip.
KEYPOINT_SOURCES = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
# The joint that carries each finger's tip, in the order of FINGERS.
TIP_JOINTS = (15, 3, 6, 12, 9)

FINGER_JOINTS = np.array(
    [
        [joint, joint + 1, joint + 2]
        for joint in (
            JOINT_NAMES.index(name) for name in ('thumb_cmc', 'index_mcp', 'middle_mcp', 'ring_mcp', 'little_mcp')
        )
    ]
)
"""(5, 3) articulated joints of each finger, in the order of FINGERS, from the palm outwards."""
