# SPDX-License-Identifier: Apache-2.0
"""The contact node: hands and the objects in them, as another node publishes them, in; contact and grasps out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.agreement import faces_of_objects
from hoi_ros.nodes.messages.agreement import refuse_unfit
from hoi_ros.nodes.messages.contact_markers import contact_markers
from hoi_ros.nodes.messages.grasps import grasp_transforms
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.runtime.engine_settings import engine_arguments
from hoi_ros.nodes.runtime.engine_settings import ENGINE_SETTINGS
from hoi_ros.nodes.runtime.grasp_outputs import GraspOutputs
from hoi_ros.nodes.runtime.hand_outputs import hand_output_settings
from hoi_ros.nodes.runtime.hand_outputs import HandOutputs
from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import Input
from hoi_ros.nodes.runtime.inputs import INPUT_SETTINGS
from hoi_ros.nodes.runtime.inputs import Role
from hoi_ros.nodes.runtime.managed_node import LIFECYCLE_SETTINGS
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.worker_node import OUTPUT_QOS_SETTINGS
from hoi_ros.nodes.runtime.worker_node import WorkerNode
from hoi_ros.stages.parts.contact_points import VOXEL
from hoi_ros.systems import system_of

_SYSTEM = system_of('contact')
_HANDS, _OBJECTS, _TOPOLOGY = (f'{_SYSTEM.stands_on}/{topic}' for topic in ('hands', 'objects', 'mesh_topology'))
_NO_FACES = np.zeros((0, 3), np.uint32)
_MILLISECOND = 1e-3

SETTINGS = {
    'Lifecycle': LIFECYCLE_SETTINGS,
    'Networks': ENGINE_SETTINGS,
    'Refinement': (
        Setting(
            'refine',
            True,
            'Move the object by millimetres until it touches the hand as estimated, and let it give way where the hand '
            'is; with hold_object, move the hand. Otherwise contact is estimated and both stay where they are.',
            live=True,
        ),
        Setting(
            'budget',
            60.0,
            'Longest time that the refinement of the hands of a frame takes, ms: more is more accurate.',
            1.0,
            10000.0,
            live=True,
        ),
        Setting('hold_object', False, 'Move the hand instead of the object.', live=True),
        Setting(
            'restarts',
            1,
            'Starts of the refinement, of which the best is taken; they share the budget.',
            1,
            16,
            live=True,
        ),
    ),
    'Inputs': INPUT_SETTINGS,
    'Outputs': (*hand_output_settings('grasps'), *OUTPUT_QOS_SETTINGS),
}


class ContactNode(WorkerNode[Any, Frame, list[HandEstimate]]):
    """Topics around `ContactStage`.

    Args:
        create_stage: creates the stage from its arguments.
    """

    def __init__(self, create_stage: Callable[..., Any] = _SYSTEM.load_stage) -> None:
        self._create_stage = create_stage
        self._inputs = FrameInputs(self._list_inputs)
        self._hand_outputs = HandOutputs(
            markers=contact_markers,
            transforms=lambda header, hands, models, prefix: grasp_transforms(header, hands, prefix),
        )
        self._grasp_outputs = GraspOutputs(VOXEL)
        super().__init__('contact', SETTINGS, (self._inputs, self._hand_outputs, self._grasp_outputs))

    def load_stage(self) -> Any:
        stage = self._create_stage(**engine_arguments(self.settings))
        self.tune(stage)
        stage.warm_up()
        self._models = {side: stage.hand_model(side) for side in ('right', 'left')}
        self._hand_outputs.create(self._models, _NO_FACES)
        self._grasp_outputs.create(self._models)
        self._topology: MeshTopology | None = None
        self._object_faces = _NO_FACES
        return stage

    def tune(self, stage: Any) -> None:
        stage.refine, stage.hold_object = self.settings['refine'], self.settings['hold_object']
        stage.budget, stage.restarts = self.settings['budget'] * _MILLISECOND, self.settings['restarts']

    def process(self, stage: Any, frame: Frame) -> list[HandEstimate]:
        hands, objects, topology = (frame.messages[name] for name in ('hands', 'objects', 'topology'))
        node = self._inputs.topic('hands').rpartition('/')[0]
        if topology is not self._topology:
            self._object_faces = faces_of_objects(topology, self._models, node)
            self._topology = topology
            stage.reset()
        refuse_unfit(hands, objects, topology, node)
        refined = stage(hand_estimates(hands, objects), self._object_faces, frame.seconds)
        sides = {hand.track_id: hand.side for hand in refined}
        for track, reason in stage.reasons.items():
            self.caution(f'{sides.get(track, "")} hand {track} is published as it came, without contact: {reason}')
        return refined

    def publish(self, frame: Frame, result: list[HandEstimate], session: int) -> None:
        header = frame.messages['hands'].header
        self._hand_outputs.renew_objects(self._object_faces)
        self._hand_outputs.publish(header, result, session)
        self._grasp_outputs.publish(header, result)

    def _list_inputs(self) -> Sequence[Input]:
        return (
            Input('hands', HandArray, _HANDS, Role.LEADER),
            Input('objects', HeldObjectArray, _OBJECTS, Role.PARTNER),
            Input('topology', MeshTopology, _TOPOLOGY, Role.LATEST),
        )


def main() -> int:
    """Runs the node until the process is told to end."""
    return run(ContactNode, (_HANDS, _OBJECTS, _TOPOLOGY))


if __name__ == '__main__':
    sys.exit(main())
