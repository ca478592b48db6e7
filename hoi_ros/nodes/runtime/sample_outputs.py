# SPDX-License-Identifier: Apache-2.0
"""The topics of a node that samples hands and says what became of two observed ones."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from std_msgs.msg import Header

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.msg import HandArray
from hoi_ros.msg import HandInteraction as HandInteractionMessage
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.sample_markers import sample_markers
from hoi_ros.nodes.messages.two_hands import interaction_message
from hoi_ros.nodes.runtime.hand_outputs import HandOutputs
from hoi_ros.nodes.runtime.marker_lifetime import MarkerLifetime
from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.worker_node import AnyWorkerNode
from hoi_ros.stages.parts.sample_request import HandInteraction

_DRAWN = 8
"""Most sampled hands that are drawn."""


class SampleOutputs(Part[AnyWorkerNode]):
    """Publishes `~/interaction` and `~/samples`, and draws samples beside the hands.

    Args:
        hand_outputs: with the markers of the node.
    """

    def __init__(self, hand_outputs: HandOutputs) -> None:
        self._hand_outputs = hand_outputs
        self._regularised = self._sampled = 0
        self._reason = ''
        self._lifetime = MarkerLifetime()

    def create(self, faces: Mapping[str, np.ndarray]) -> None:
        """Creates the publishers; the node calls it once its stage is loaded.

        Args:
            faces: (F, 3) of a hand by side.
        """
        self._faces = faces
        every_frame = qos_profile(self.node.settings, 'output_qos')
        self._interaction = self.node.create_output(HandInteractionMessage, '~/interaction', every_frame)
        self._samples = self.node.create_output(HandArray, '~/samples', every_frame)

    def start(self) -> None:
        self._regularised = self._sampled = 0
        self._reason = ''

    def values(self) -> dict[str, object]:
        idle = bool(self.node.idle_reason)
        return {
            'frames_regularised': self._regularised,
            'passed_through': '' if idle else self._reason,
            'samples_published': self._sampled,
        }

    @property
    def wanted(self) -> bool:
        """Whether somebody subscribes to samples or markers."""
        return self._samples.get_subscription_count() > 0 or self._hand_outputs.wants_markers()

    def publish_interaction(self, header: Header, interaction: HandInteraction) -> None:
        """Publishes what became of the hands of one image under its header; on the worker's thread."""
        self._regularised += interaction.regularised
        self._reason = '' if interaction.regularised else interaction.reason
        if self._interaction.get_subscription_count():
            self._interaction.publish(interaction_message(header, interaction))

    def publish_samples(self, header: Header, hands: Sequence[HandEstimate], session: int) -> None:
        """Publishes sampled hands; on the worker's thread.

        Args:
            header: of the image of the hand beside which they are sampled, or the time of the sampling.
            hands: the samples.
            session: the activation.
        """
        self._sampled += 1
        if self._samples.get_subscription_count():
            self._samples.publish(hand_array(header, hands, self.node.settings['publish_mesh']))
        drawn = list(hands[:_DRAWN])
        self._hand_outputs.mark(lambda: sample_markers(header, drawn, self._faces, self._lasting()), session)

    def _lasting(self) -> float:
        """Seconds that the markers last which are drawn now; on their own thread."""
        settings = self.node.settings
        return self._lifetime.next(min(settings['sample_rate'], settings['marker_rate']))
