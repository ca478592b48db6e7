# SPDX-License-Identifier: Apache-2.0
"""The topics of a node that publishes contact and grasps beside its hands."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

from geometry_msgs.msg import PoseArray
from std_msgs.msg import Header

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.msg import ContactArray
from hoi_ros.msg import GraspArray
from hoi_ros.nodes.messages.contacts import contact_array
from hoi_ros.nodes.messages.grasps import grasp_array
from hoi_ros.nodes.messages.openxr import openxr_poses
from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.worker_node import AnyWorkerNode


class GraspOutputs(Part[AnyWorkerNode]):
    """Publishes `~/contacts`, `~/grasps` and `~/openxr_joints`.

    Args:
        voxel: edge of the voxels with which the stage measures intersections, metres.
    """

    def __init__(self, voxel: float) -> None:
        self._voxel = voxel
        self._contacts_count = self._grasps_count = 0

    def create(self, hand_models: Mapping[str, HandModel]) -> None:
        """Creates the publishers; the node calls it once its stage is loaded.

        Args:
            hand_models: by side.
        """
        self._models = hand_models
        every_frame = qos_profile(self.node.settings, 'output_qos')
        self._contacts = self.node.create_output(ContactArray, '~/contacts', every_frame)
        self._grasps = self.node.create_output(GraspArray, '~/grasps', every_frame)
        self._openxr = self.node.create_output(PoseArray, '~/openxr_joints', every_frame)

    def start(self) -> None:
        self._contacts_count = self._grasps_count = 0

    def values(self) -> dict[str, object]:
        idle = bool(self.node.idle_reason)
        return {
            'contacts': 0 if idle else self._contacts_count,
            'grasps': 0 if idle else self._grasps_count,
        }

    def publish(self, header: Header, hands: Sequence[HandEstimate]) -> None:
        """Publishes contact, grasps and joints of the hands of one image under its header; on the worker's thread."""
        self._contacts_count = sum(hand.contact is not None for hand in hands)
        self._grasps_count = sum(hand.grasp is not None for hand in hands)
        if self._contacts.get_subscription_count():
            self._contacts.publish(contact_array(header, hands, self._voxel))
        if self._grasps.get_subscription_count():
            self._grasps.publish(grasp_array(header, hands))
        if self._openxr.get_subscription_count():
            self._openxr.publish(openxr_poses(header, hands, self._models))
