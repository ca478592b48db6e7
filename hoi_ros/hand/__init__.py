# SPDX-License-Identifier: Apache-2.0
"""The parametric hand: skeleton, mesh and kinematic fitting."""

from hoi_ros.hand.model import HandGeometry
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.skeleton import KEYPOINT_NAMES
from hoi_ros.hand.skeleton import KEYPOINT_PARENTS

__all__ = ['KEYPOINT_NAMES', 'KEYPOINT_PARENTS', 'HandGeometry', 'HandModel', 'mirror_pose']
