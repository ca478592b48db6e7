# SPDX-License-Identifier: Apache-2.0
"""Two nodes of the kinds that later systems need, made of the package's parts: one reads another node's messages, one
has no frames. `python small_nodes.py contact|prior` runs one of them."""

import sys
import time

import numpy as np
from std_msgs.msg import Float32MultiArray
from std_srvs.srv import Trigger

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import Input
from hoi_ros.nodes.runtime.inputs import INPUT_SETTINGS
from hoi_ros.nodes.runtime.inputs import Role
from hoi_ros.nodes.runtime.managed_node import LIFECYCLE_SETTINGS
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.service import ServiceTrigger
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.timer import TimerTrigger
from hoi_ros.nodes.runtime.worker_node import OUTPUT_QOS_SETTINGS
from hoi_ros.nodes.runtime.worker_node import WorkerNode


class Echo:
    """A stage that needs no network."""

    def __init__(self):
        self.timings, self.resets = {'total': 0.001}, 0

    def reset(self):
        self.resets += 1


class MessageNode(WorkerNode):
    """Reads hands and objects of one stamp and a latched topology; publishes the hands that hold something."""

    def __init__(self):
        self._inputs = FrameInputs(self._list_inputs)
        table = {'Lifecycle': LIFECYCLE_SETTINGS, 'Inputs': INPUT_SETTINGS, 'Outputs': OUTPUT_QOS_SETTINGS}
        super().__init__('message_node', table, (self._inputs,))

    def load_stage(self):
        self._output = self.create_output(HandArray, '~/hands', qos_profile(self.settings, 'output_qos'))
        return Echo()

    def process(self, stage, frame):
        topology = frame.messages['topology']
        hands = hand_estimates(frame.messages['hands'], frame.messages['objects'])
        if any(len(hand.held.vertices) != topology.object_vertex_count for hand in hands if hand.held):
            raise FrameRefused('the objects do not fit the topology: restart the node that publishes both')
        return [hand for hand in hands if hand.held is not None]

    def publish(self, frame, result, session):
        self._output.publish(hand_array(frame.messages['hands'].header, result, with_mesh=True))

    def _list_inputs(self):
        return (
            Input('hands', HandArray, '/other/hands', Role.LEADER),
            Input('objects', HeldObjectArray, '/other/objects', Role.PARTNER),
            Input('topology', MeshTopology, '/other/mesh_topology', Role.LATEST),
        )


class SamplingNode(WorkerNode):
    """Publishes a sample at a rate of its own and one on request, whose reply comes when it is done."""

    def __init__(self):
        table = {
            'Lifecycle': LIFECYCLE_SETTINGS,
            'Sampling': (
                Setting('rate', 5.0, 'Samples a second.', 0.0, 100.0, live=True),
                Setting('work', 1.0, 'Seconds that a requested sample takes.', 0.0, 100.0, live=True),
                Setting('tunable', True, 'Whether the stage takes parameters.', live=True),
            ),
            'Outputs': OUTPUT_QOS_SETTINGS,
        }
        super().__init__(
            'sampling_node', table, (TimerTrigger('rate'), ServiceTrigger(Trigger, '~/sample', self._sample))
        )

    def load_stage(self):
        self._output = self.create_output(Float32MultiArray, '~/samples', qos_profile(self.settings, 'output_qos'))
        return Echo()

    def tune(self, stage):
        if not self.settings['tunable']:
            raise ValueError('the stage cannot be tuned')

    def process(self, stage, tick):
        return np.zeros(3, np.float32)

    def publish(self, tick, result, session):
        self._output.publish(Float32MultiArray(data=result.tolist()))

    def _sample(self, stage, request, response):
        time.sleep(self.settings['work'])
        if self.settings['rate'] == 0:
            raise FrameRefused('the rate is 0: set it')
        response.success, response.message = True, f'sampled after {stage.resets} resets'
        return response


if __name__ == '__main__':
    sys.exit(run({'contact': MessageNode, 'prior': SamplingNode}[sys.argv.pop(1)]))
