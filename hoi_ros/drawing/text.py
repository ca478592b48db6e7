# SPDX-License-Identifier: Apache-2.0
"""Text that can be read on any picture, and captions."""

from __future__ import annotations

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def text_size(text: str, size: float) -> tuple[int, int, int]:
    """Width, height above the base line and depth below it of a text, pixels."""
    (width, height), base = cv2.getTextSize(_drawable(text), _FONT, size, 1)
    return width, height, base


def draw_text(
    picture: np.ndarray, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int] = (255, 255, 255)
) -> None:
    """Draws a text with a dark rim into an RGB picture (H, W, 3).

    Args:
        picture: changed in place.
        text: one line.
        place: left end of its base line, pixels.
        size: scale of the font; 1 is about 20 pixels high.
        colour: RGB.
    """
    text = _drawable(text)
    # The rim is the text at the neighbouring pixels: a wider pen would also move the letters apart.
    for across, down in ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)):
        cv2.putText(picture, text, (place[0] + across, place[1] + down), _FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(picture, text, place, _FONT, size, colour, 1, cv2.LINE_AA)


def _drawable(text: str) -> str:
    """A text in the characters of OpenCV's fonts; it ends the process where a text is none in UTF-8."""
    return text.encode('ascii', 'replace').decode()


NO_HAND = 'no hand'
"""The caption of a picture without a hand."""


def caption(
    picture: np.ndarray, text: str, colour: tuple[int, int, int] = (240, 240, 240), border: bool = False
) -> np.ndarray:
    """A new picture with a text in its lower left corner and, if asked for, a border.

    Args:
        picture: (H, W, 3) uint8 RGB.
        text: one line; it shrinks until it fits the width.
        colour: RGB of the text and the border.
        border: whether to draw it.
    """
    drawn = picture.copy()
    height, width = drawn.shape[:2]
    if border:
        thickness = max(2, round(min(height, width) / 100))
        cv2.rectangle(drawn, (0, 0), (width - 1, height - 1), colour, 2 * thickness)
    size = max(0.5, width / 640)
    size *= min(1.0, 0.92 * width / max(text_size(text, size)[0], 1))
    draw_text(drawn, text, (round(0.04 * width), round(0.95 * height)), size, colour)
    return drawn
