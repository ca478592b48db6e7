# SPDX-License-Identifier: Apache-2.0
"""Records what the node of a system publishes for each frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time

from hoi_ros.msg import ContactArray
from hoi_ros.msg import GraspArray
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.playback.recording import Answer
from hoi_ros.systems import System

ALL = QoSProfile(depth=1000)
"""Reliable: a message lost here would count as dropped by the node."""
_BESIDE = {'objects': HeldObjectArray, 'contacts': ContactArray, 'grasps': GraspArray}
"""Topics of one image beside its hands, in the order of the arguments of `hand_estimates`."""


class AnswerLog:
    """Stores messages as they are; `answers` converts them afterwards.

    Args:
        node: subscribes.
        system: whose topics are stored.
    """

    def __init__(self, node: Node, system: System) -> None:
        self._topics = [topic for topic in _BESIDE if topic in system.outputs]
        self.start()
        node.create_subscription(HandArray, f'/{system.name}/hands', self.take_hands, ALL)
        for topic in self._topics:
            node.create_subscription(_BESIDE[topic], f'/{system.name}/{topic}', self.taker(topic), ALL)

    def start(self) -> None:
        """Discards everything stored."""
        self._hands: list[tuple[int, HandArray]] = []
        self._beside: dict[str, dict[int, Any]] = {topic: {} for topic in self._topics}

    def take_hands(self, message: HandArray) -> None:
        """Stores the hands of an image and when they arrived."""
        self._hands.append((time.time_ns(), message))

    def taker(self, topic: str) -> Callable[[Any], None]:
        """Stores the messages of a topic beside the hands."""
        return lambda message: self._beside[topic].update({stamp_of(message): message})

    @property
    def stamps(self) -> set[int]:
        """Of the frames with hands, nanoseconds."""
        return {stamp_of(message) for _, message in self._hands}

    def answer_to(self, stamp: int) -> Answer | None:
        """What was published for a frame; None as long as a part of it is missing."""
        for arrival, message in self._hands:
            if stamp_of(message) == stamp and all(stamp in beside for beside in self._beside.values()):
                return self._answer(arrival, message)
        return None

    def answers(self, first: int, last: int) -> list[Answer]:
        """What was published for the frames of a span of stamps, nanoseconds."""
        return [
            self._answer(arrival, message) for arrival, message in self._hands if first <= stamp_of(message) <= last
        ]

    def _answer(self, arrival: int, message: HandArray) -> Answer:
        stamp = stamp_of(message)
        beside = {topic: messages.get(stamp) for topic, messages in self._beside.items()}
        return Answer(stamp, arrival, hand_estimates(message, **beside))


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message with a header."""
    return Time.from_msg(message.header.stamp).nanoseconds
