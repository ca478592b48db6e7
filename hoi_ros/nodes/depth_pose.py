# SPDX-License-Identifier: Apache-2.0
"""The depth_pose node: depth images in, hands with joints, pose and mesh out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Sequence

from sensor_msgs.msg import Image

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.messages.images import known_depth_of
from hoi_ros.nodes.runtime.camera_frames import CALIBRATION
from hoi_ros.nodes.runtime.camera_frames import CAMERA_SETTINGS
from hoi_ros.nodes.runtime.camera_frames import CameraFrames
from hoi_ros.nodes.runtime.camera_frames import DEPTH_TRANSPORT
from hoi_ros.nodes.runtime.camera_frames import image_input
from hoi_ros.nodes.runtime.engine_settings import engine_arguments
from hoi_ros.nodes.runtime.engine_settings import ENGINE_SETTINGS
from hoi_ros.nodes.runtime.hand_outputs import HAND_OUTPUT_SETTINGS
from hoi_ros.nodes.runtime.hand_outputs import HandOutputs
from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import Input
from hoi_ros.nodes.runtime.inputs import INPUT_SETTINGS
from hoi_ros.nodes.runtime.inputs import Role
from hoi_ros.nodes.runtime.managed_node import LIFECYCLE_SETTINGS
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.regions import REGION_SETTINGS
from hoi_ros.nodes.runtime.regions import Regions
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.tracking_settings import tracking_arguments
from hoi_ros.nodes.runtime.tracking_settings import TRACKING_SETTINGS
from hoi_ros.nodes.runtime.tracking_settings import tune_tracking
from hoi_ros.nodes.runtime.worker_node import OUTPUT_QOS_SETTINGS
from hoi_ros.nodes.runtime.worker_node import WorkerNode
from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.stages.depth_pose import VARIANTS

SETTINGS = {
    'Lifecycle': LIFECYCLE_SETTINGS,
    'Networks': (
        *ENGINE_SETTINGS,
        Setting(
            'variant',
            VARIANTS[0],
            "The network: the stronger one, or the paper's, which `models` has to hold.",
            choices=VARIANTS,
        ),
        Setting(
            'following_views',
            1,
            'Rolled views of a tracked hand that are averaged: more are steadier, and each costs a run of the network.',
            1,
            6,
            live=True,
        ),
    ),
    'Results': TRACKING_SETTINGS,
    'Inputs': (DEPTH_TRANSPORT, *CAMERA_SETTINGS, *REGION_SETTINGS, *INPUT_SETTINGS),
    'Outputs': (*HAND_OUTPUT_SETTINGS, *OUTPUT_QOS_SETTINGS),
}


class DepthPoseNode(WorkerNode[DepthPoseStage, Frame, list[HandEstimate]]):
    """Topics around `DepthPoseStage`.

    Args:
        create_stage: creates the stage from its arguments.
    """

    def __init__(self, create_stage: Callable[..., DepthPoseStage] = DepthPoseStage) -> None:
        self._create_stage = create_stage
        self._inputs = FrameInputs(self._list_inputs)
        self._camera, self._regions = CameraFrames(self._inputs), Regions(self._inputs)
        self._hand_outputs = HandOutputs(self._camera, self._regions)
        super().__init__('depth_pose', SETTINGS, (self._inputs, self._regions, self._hand_outputs))

    def load_stage(self) -> DepthPoseStage:
        stage = self._create_stage(
            **engine_arguments(self.settings), **tracking_arguments(self.settings), variant=self.settings['variant']
        )
        stage.warm_up()
        self._hand_outputs.create({side: stage.hand_model(side) for side in ('right', 'left')})
        return stage

    def tune(self, stage: DepthPoseStage) -> None:
        tune_tracking(stage, self.settings)
        stage.following_views = self.settings['following_views']

    def process(self, stage: DepthPoseStage, frame: Frame) -> list[HandEstimate]:
        depth = known_depth_of(
            frame.messages['depth'], lambda text: self.caution(f'{self._inputs.where("depth")}: {text}')
        )
        rectifier = self._camera.rectifier(frame, depth)
        return stage(rectifier.depth(depth), rectifier.camera, frame.seconds, self._regions.within(rectifier))

    def publish(self, frame: Frame, result: list[HandEstimate], session: int) -> None:
        self._hand_outputs.publish(frame.messages['depth'].header, result, session)

    def _list_inputs(self) -> Sequence[Input]:
        transport = self.settings['depth_transport']
        return (
            image_input('depth', self.resolve_topic_name('depth'), Role.LEADER, transport),
            CALIBRATION,
            Input('image', Image, 'image', Role.HINT),
        )


def main() -> int:
    """Runs the node until the process is told to end."""
    return run(DepthPoseNode, ('depth', 'camera_info', 'region', 'regions'))


if __name__ == '__main__':
    sys.exit(main())
