# SPDX-License-Identifier: Apache-2.0
"""The node of a system that does not exist, assembled from the package's parts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.messages.images import known_depth_of
from hoi_ros.nodes.runtime.camera_frames import CALIBRATION
from hoi_ros.nodes.runtime.camera_frames import CAMERA_SETTINGS
from hoi_ros.nodes.runtime.camera_frames import CameraFrames
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
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.worker_node import OUTPUT_QOS_SETTINGS
from hoi_ros.nodes.runtime.worker_node import WorkerNode
from hoi_ros.stages.nearest_point import NearestPointStage

SETTINGS = {
    'Lifecycle': LIFECYCLE_SETTINGS,
    'Networks': ENGINE_SETTINGS,
    'Inputs': (*CAMERA_SETTINGS, *INPUT_SETTINGS),
    'Outputs': (*HAND_OUTPUT_SETTINGS, *OUTPUT_QOS_SETTINGS),
}


class NearestPointNode(WorkerNode[NearestPointStage, Frame, list[HandEstimate]]):
    """Topics around `NearestPointStage`."""

    def __init__(self) -> None:
        self._inputs = FrameInputs(self._list_inputs)
        self._camera = CameraFrames(self._inputs)
        self._hand_outputs = HandOutputs(self._camera)
        super().__init__('nearest_point', SETTINGS, (self._inputs, self._hand_outputs))

    def load_stage(self) -> NearestPointStage:
        stage = NearestPointStage(**engine_arguments(self.settings))
        self._hand_outputs.create({side: stage.hand_model(side) for side in ('right', 'left')})
        return stage

    def process(self, stage: NearestPointStage, frame: Frame) -> list[HandEstimate]:
        depth = known_depth_of(frame.messages['depth'])
        rectifier = self._camera.rectifier(frame, depth)
        return stage(rectifier.depth(depth), rectifier.camera, frame.seconds)

    def publish(self, frame: Frame, result: list[HandEstimate], session: int) -> None:
        self._hand_outputs.publish(frame.messages['depth'].header, result, session)

    def _list_inputs(self) -> Sequence[Input]:
        return image_input('depth', self.resolve_topic_name('depth'), Role.LEADER, 'raw'), CALIBRATION


def main() -> int:
    """Runs the node until the process is told to end."""
    return run(NearestPointNode)


if __name__ == '__main__':
    sys.exit(main())
