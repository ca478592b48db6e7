# SPDX-License-Identifier: Apache-2.0
"""Beside an image with hands: their contact on open hands, and both of the truth where it is known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hoi_ros.drawing.hands import draw_hands
from hoi_ros.drawing.open_hand import OpenHand
from hoi_ros.drawing.text import caption
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.playback.contact_agreement import TouchMeasure
from hoi_ros.playback.contact_agreement import true_contact
from hoi_ros.playback.recording import Hands
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording

_SHAPE = 3 / 4
"""Width of an open hand, of the image's height."""


class ContactPictures:
    """Extends the pictures of a recording whose hands have contact.

    Args:
        recording: whose pictures have one size.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        hands = [hand for answer in recording.answers for hand in answer.hands]
        self._sides = [side for side in ('left', 'right') if any(hand.side == side for hand in hands)]
        self._measure = None
        if recording.truth and recording.true_object_faces is not None:
            self._measure = TouchMeasure(recording.faces, recording.true_object_faces)
        self._open: dict[int, dict[str, OpenHand]] = {}

    def __call__(self, kept: Picture, image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """A picture with what belongs beside it, and the truth below.

        Args:
            kept: of the recording.
            image: (H, W, 3) uint8 RGB, its image.
            drawn: the same with the published hands.
        """
        rows = [
            np.hstack(
                [
                    drawn,
                    *self._maps(
                        self._recording.hands_at(kept.stamp), len(image), 'contact: yellow touches, red firmly'
                    ),
                ]
            )
        ]
        if self._measure is not None:
            hands = [true_contact(hand, self._measure) for hand in self._recording.truth.get(kept.stamp, ())]
            faces, objects = self._recording.faces, self._recording.true_object_faces
            true = caption(draw_hands(image, hands, kept.camera, faces, objects), 'truth')
            rows.append(np.hstack([true, *self._maps(hands, len(image), 'true contact: red touches')]))
        return np.vstack(rows)

    def _maps(self, hands: Hands, height: int, title: str) -> list[np.ndarray]:
        """The contact of the surest hand of each side."""
        if height not in self._open:
            right, width = HandModel.load(), round(_SHAPE * height)
            models = {'right': right, 'left': right.mirrored()}
            self._open[height] = {side: OpenHand(models[side], width, height) for side in self._sides}
        maps = []
        for side, draw in self._open[height].items():
            own = [hand for hand in hands if hand.side == side and hand.contact is not None]
            surest = max(own, key=lambda hand: hand.score, default=None)
            maps.append(caption(draw(surest.contact.hand if surest and surest.contact else None), title))
        return maps


def has_contact(hands: Iterable[HandEstimate]) -> bool:
    """Whether the contact of one of the hands is known."""
    return any(hand.contact is not None for hand in hands)
