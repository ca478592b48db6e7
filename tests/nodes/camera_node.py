# SPDX-License-Identifier: Apache-2.0
"""A node that publishes the camera of each depth image, undistorted: fx, fy, cx, cy, and whether it was distorted."""

import sys

from std_msgs.msg import Float32MultiArray

from hoi_ros.nodes.messages.images import known_depth_of
from hoi_ros.nodes.runtime.camera_frames import CALIBRATION
from hoi_ros.nodes.runtime.camera_frames import CAMERA_SETTINGS
from hoi_ros.nodes.runtime.camera_frames import CameraFrames
from hoi_ros.nodes.runtime.camera_frames import image_input
from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import INPUT_SETTINGS
from hoi_ros.nodes.runtime.inputs import Role
from hoi_ros.nodes.runtime.managed_node import LIFECYCLE_SETTINGS
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.worker_node import OUTPUT_QOS_SETTINGS
from hoi_ros.nodes.runtime.worker_node import WorkerNode


class NoStage:
    """A stage that does nothing."""

    def __init__(self):
        self.timings = {}

    def reset(self):
        pass


class CameraNode(WorkerNode):
    def __init__(self):
        self._inputs = FrameInputs(self._list_inputs)
        self._camera = CameraFrames(self._inputs)
        inputs = (*CAMERA_SETTINGS, *INPUT_SETTINGS)
        table = {'Lifecycle': LIFECYCLE_SETTINGS, 'Inputs': inputs, 'Outputs': OUTPUT_QOS_SETTINGS}
        super().__init__('camera_node', table, (self._inputs,))

    def load_stage(self):
        self._output = self.create_output(Float32MultiArray, '~/camera', qos_profile(self.settings, 'output_qos'))
        return NoStage()

    def process(self, stage, frame):
        return self._camera.rectifier(frame, known_depth_of(frame.messages['depth']))

    def publish(self, frame, result, session):
        camera = result.camera
        distorted = float(result.calibration.distorted)
        self._output.publish(Float32MultiArray(data=[camera.fx, camera.fy, camera.cx, camera.cy, distorted]))

    def _list_inputs(self):
        return image_input('depth', self.resolve_topic_name('depth'), Role.LEADER, 'raw'), CALIBRATION


if __name__ == '__main__':
    sys.exit(run(CameraNode))
