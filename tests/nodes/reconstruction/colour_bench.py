# SPDX-License-Identifier: Apache-2.0
"""A bench that sends colour and depth frames to the reconstruction node with a stand-in for its stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.nodes.messages.images import image_message

from ..bench import Bench
from ..bench import good_depth
from ..bench import good_info
from ..bench import HEIGHT
from ..bench import stamp_of
from ..bench import WIDTH

Message = TypeVar('Message')

NODE = '/reconstruction'
STAND_IN = (str(Path(__file__).with_name('stand_in.py')),)
DEPTH, IMAGE = '/camera/depth', '/camera/image'
SIZE = (HEIGHT, WIDTH)
COLOUR = (200, 100, 50)


def colours(header: Header, size: tuple[int, int] = SIZE) -> Image:
    return image_message(np.full((*size, 3), COLOUR, np.uint8), header)


class ColourBench(Bench):
    """Good frames are an image, its depth and its camera_info."""

    def send_good(self) -> int:
        header = self.next_header()
        self.send(good_depth(header), good_info(header), colours(header))
        return stamp_of(header)

    def send_without_depth(self) -> int:
        header = self.next_header()
        self.send(None, good_info(header), colours(header))
        return stamp_of(header)

    def until_answer(
        self, send: Callable[[], int], accept: Callable[[HandArray], bool] = lambda hands: True, what: str = 'an answer'
    ) -> HandArray:
        """Sends frames until the answer to one of them is as it should be."""
        sent: set[int] = set()

        def answer() -> HandArray | None:
            return next(
                (hands for hands in reversed(self.hands) if stamp_of(hands.header) in sent and accept(hands)), None
            )

        self.until(answer, lambda: sent.add(send()), what)
        return answer()


def located_by(kind: int) -> Callable[[HandArray], bool]:
    return lambda hands: bool(hands.hands) and hands.hands[0].located_by == kind


by_depth, by_hand_size = located_by(Hand.LOCATED_BY_DEPTH), located_by(Hand.LOCATED_BY_HAND_SIZE)


def with_fields(message: Message, **fields: object) -> Message:
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def restart(bench: ColourBench) -> None:
    """The node forgets what it received."""
    for transition in ('deactivate', 'cleanup', 'configure', 'activate'):
        assert bench.change_state(transition)
    bench.hands.clear()
