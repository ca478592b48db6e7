# SPDX-License-Identifier: Apache-2.0
"""The two_hand_prior node: two hands of another node in, the same regularised out; samples of hands on request."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from std_msgs.msg import Header

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.placing import before_camera
from hoi_ros.msg import HandArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.agreement import faces_of_objects
from hoi_ros.nodes.messages.agreement import refuse_unfit_hands
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.messages.hands import hand_transforms
from hoi_ros.nodes.messages.two_hands import sample_arrays
from hoi_ros.nodes.messages.two_hands import sample_request
from hoi_ros.nodes.runtime.camera_topics import FRAME
from hoi_ros.nodes.runtime.engine_settings import engine_arguments
from hoi_ros.nodes.runtime.engine_settings import ENGINE_SETTINGS
from hoi_ros.nodes.runtime.hand_outputs import hand_output_settings
from hoi_ros.nodes.runtime.hand_outputs import HandOutputs
from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import Input
from hoi_ros.nodes.runtime.inputs import INPUT_SETTINGS
from hoi_ros.nodes.runtime.inputs import Role
from hoi_ros.nodes.runtime.managed_node import LIFECYCLE_SETTINGS
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.sample_outputs import SampleOutputs
from hoi_ros.nodes.runtime.service import ServiceTrigger
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.timer import TimerTrigger
from hoi_ros.nodes.runtime.worker_node import OUTPUT_QOS_SETTINGS
from hoi_ros.nodes.runtime.worker_node import WorkerNode
from hoi_ros.srv import SampleTwoHands
from hoi_ros.stages.parts.sample_request import HandInteraction
from hoi_ros.stages.parts.sample_request import HandSamples
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.systems import system_of

_SYSTEM = system_of('two_hand_prior')
_HANDS, _TOPOLOGY = (f'{_SYSTEM.stands_on}/{topic}' for topic in ('hands', 'mesh_topology'))
_NO_FACES = np.zeros((0, 3), np.uint32)
_PREFIX = 'two_hands_'
"""Of the frames on /tf: the other node's frames have the names without it."""
_MOST_CALLS = 4
"""Calls of the service that wait or are answered at a time."""

SETTINGS = {
    'Lifecycle': LIFECYCLE_SETTINGS,
    'Networks': ENGINE_SETTINGS,
    'Regularisation': (
        Setting('regularise', True, 'Regularise two hands that interact; otherwise all pass through.', live=True),
        Setting(
            'nearness',
            0.02,
            'Two hands interact where their surfaces are nearer than this, m; others pass through untouched.',
            0.0,
            0.5,
            live=True,
        ),
    ),
    'Sampling': (
        Setting('guidance', 0.1, 'Strength of the classifier-free guidance.', 0.0, 3.0, live=True),
        Setting('anti_penetration', 4.0, 'Strength of the guidance against penetration.', 0.0, 100.0, live=True),
        Setting(
            'steps',
            0,
            "Denoising steps: more are slower and nearer to the distribution; 0 for those of the model's card.",
            0,
            256,
            live=True,
        ),
        Setting(
            'sample_rate',
            0.0,
            'Messages a second on ~/samples while somebody subscribes to them or to the markers; 0 for none.',
            0.0,
            30.0,
            live=True,
        ),
        Setting('sample_count', 4, 'Samples of a message on ~/samples.', 1, 64, live=True),
        Setting(
            'condition',
            'observed',
            'What ~/samples are. observed: hands beside the observed hand with the highest score, of the other side. '
            'free: pairs of hands.',
            choices=('observed', 'free'),
            live=True,
        ),
        Setting(
            'seed', 0, 'Seed of ~/samples; each message has another one, counted from it.', 0, 2**31 - 1, live=True
        ),
        Setting('frame_id', FRAME, 'Frame of free samples.', live=True),
        Setting(
            'distance', 0.5, 'Distance of free samples from the origin of that frame along z, m.', 0.0, 5.0, live=True
        ),
        Setting(
            'time_limit',
            30.0,
            'Longest time until a call of ~/sample is answered, its waiting included, s; later it is refused. A '
            'message of ~/samples that takes longer is left out.',
            0.1,
            3600.0,
            live=True,
        ),
    ),
    'Inputs': INPUT_SETTINGS,
    'Outputs': (*hand_output_settings('wrists and fingertips'), *OUTPUT_QOS_SETTINGS),
}


class _Call(NamedTuple):
    """A request of the service, its header, and when it is given up, on the clock of `time.monotonic`."""

    wanted: SampleRequest
    header: Header
    until: float


class _Regularised(NamedTuple):
    """The hands of one image, and what became of them."""

    hands: list[HandEstimate]
    interaction: HandInteraction


@dataclasses.dataclass(frozen=True)
class _Observed:
    """The hands of the newest image, and when they came."""

    header: Header
    hands: list[HandEstimate]
    at: float


class TwoHandPriorNode(WorkerNode[Any, Frame, _Regularised]):
    """Topics and the service around `TwoHandPriorStage`.

    Sampling gives way to hands: between two steps, a frame that waits is regularised and published.

    Args:
        create_stage: creates the stage from its arguments.
    """

    def __init__(self, create_stage: Callable[..., Any] = _SYSTEM.load_stage) -> None:
        self._create_stage = create_stage
        self._inputs = FrameInputs(self._list_inputs)
        self._hand_outputs = HandOutputs(
            transforms=lambda header, hands, models, prefix: list(
                hand_transforms(header, hands, models, f'{prefix}{_PREFIX}').transforms
            )
        )
        self._sample_outputs = SampleOutputs(self._hand_outputs)
        self._observed: _Observed | None = None
        self._turn = 0
        sampling = TimerTrigger('sample_rate', self._publish_samples)
        service = ServiceTrigger(SampleTwoHands, '~/sample', self._answer_call, self._checked, _MOST_CALLS)
        super().__init__(
            'two_hand_prior', SETTINGS, (self._inputs, self._hand_outputs, self._sample_outputs, sampling, service)
        )

    def load_stage(self) -> Any:
        stage = self._create_stage(**engine_arguments(self.settings))
        self._own_steps = stage.steps
        self.tune(stage)
        stage.warm_up()
        self._models = {side: stage.hand_model(side) for side in ('right', 'left')}
        self._hand_outputs.create(self._models)
        self._sample_outputs.create({side: np.asarray(model.faces) for side, model in self._models.items()})
        self._topology: MeshTopology | None = None
        return stage

    def start(self) -> None:
        self._observed, self._turn = None, 0
        super().start()

    def tune(self, stage: Any) -> None:
        stage.regularise, stage.nearness = self.settings['regularise'], self.settings['nearness']
        stage.steps = self.settings['steps'] or self._own_steps

    def process(self, stage: Any, frame: Frame) -> _Regularised:
        message, topology = frame.messages['hands'], frame.messages['topology']
        node = self._inputs.topic('hands').rpartition('/')[0]
        if topology is not self._topology:
            faces_of_objects(topology, self._models, node)
            self._topology = topology
            stage.reset()
        refuse_unfit_hands(message, topology, node)
        hands = hand_estimates(message)
        self._observed = _Observed(message.header, hands, time.monotonic())
        return _Regularised(stage(hands, _NO_FACES, frame.seconds), stage.interaction)

    def publish(self, frame: Frame, result: _Regularised, session: int) -> None:
        header = frame.messages['hands'].header
        self._hand_outputs.publish(header, result.hands, session)
        self._sample_outputs.publish_interaction(header, result.interaction)

    def _list_inputs(self) -> Sequence[Input]:
        return (
            Input('hands', HandArray, _HANDS, Role.LEADER),
            Input('topology', MeshTopology, _TOPOLOGY, Role.LATEST),
        )

    # The service:

    def _checked(self, request: SampleTwoHands.Request) -> _Call:
        wanted = sample_request(request, self._models, self.settings['guidance'], self.settings['anti_penetration'])
        return _Call(wanted, request.header, time.monotonic() + self.settings['time_limit'])

    def _answer_call(self, stage: Any, call: _Call, response: SampleTwoHands.Response) -> SampleTwoHands.Response:
        samples = self._sampled(stage, call.wanted, call.until)
        if not self.give_way():
            raise FrameRefused(f'{self.get_name()} was deactivated or disabled')
        if samples is None:
            raise FrameRefused(
                f'{call.wanted.count} samples took longer than time_limit, {self.settings["time_limit"]:g} s, with the '
                'calls before: ask for fewer at a time'
            )
        response.samples = sample_arrays(call.header, samples, self.settings['publish_mesh'], self.give_way)
        response.scores = np.asarray(samples.scores, np.float32)
        response.intersections = np.asarray(samples.intersections, np.float32)
        response.success = True
        return response

    def _sampled(self, stage: Any, wanted: SampleRequest, until: float) -> HandSamples | None:
        """Samples; None where a moment of `time.monotonic` comes before, or the node was deactivated or disabled."""
        samples: HandSamples | None = stage.sample(wanted, lambda: not self.give_way() or time.monotonic() > until)
        return samples if self.give_way() else None

    # The topic:

    def _publish_samples(self, stage: Any) -> None:
        """Publishes samples; as a request, at a rate."""
        settings, session = self.settings, self.requested_session
        if not settings['sample_rate'] or not self._sample_outputs.wanted:
            return
        header, anchor = Header(stamp=self.get_clock().now().to_msg(), frame_id=settings['frame_id']), None
        if settings['condition'] == 'observed':
            observed = self._observed
            if observed is None or time.monotonic() - observed.at > settings['input_timeout']:
                return
            header, anchor = observed.header, max(observed.hands, key=lambda hand: hand.score, default=None)
            if anchor is None:
                self._publish_within(session, header, [])
                return
        wanted = SampleRequest(
            settings['sample_count'],
            (settings['seed'] + self._turn) % 2**32,
            'both' if anchor is None else 'left' if anchor.side == 'right' else 'right',
            anchor,
            guidance=settings['guidance'],
            anti_penetration=settings['anti_penetration'],
        )
        self._turn += 1
        try:
            samples = self._sampled(stage, wanted, time.monotonic() + settings['time_limit'])
        except FrameRefused as error:
            self.caution(f'no samples beside the observed hand: {error}')
            return
        if samples is None:
            if self.give_way():
                self.caution(
                    f'no ~/samples: {wanted.count} took longer than time_limit, {settings["time_limit"]:g} s: lower '
                    'sample_count or steps, or raise time_limit'
                )
            return
        if anchor is None:
            placed = [before_camera(hands, self._models, settings['distance']) for hands in samples.hands]
        else:
            placed = samples.hands
        self._publish_within(session, header, [hand for hands in placed for hand in hands])

    def _publish_within(self, session: int, header: Header, hands: list[HandEstimate]) -> None:
        self.publish_within(session, lambda: self._sample_outputs.publish_samples(header, hands, session))


def main() -> int:
    """Runs the node until the process is told to end."""
    return run(TwoHandPriorNode, (_HANDS, _TOPOLOGY))


if __name__ == '__main__':
    sys.exit(main())
