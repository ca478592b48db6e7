# SPDX-License-Identifier: Apache-2.0
"""Hands in pixels of their image."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import HandInImage
from hoi_ros.hand.estimates import Region


class Camera(Protocol):
    """What projects points into an image: `hoi_ros.camera.Pinhole` or `hoi_ros.camera.lens.Lens`."""

    @property
    def width(self) -> int:
        """Of the image, pixels."""

    @property
    def height(self) -> int:
        """Of the image, pixels."""

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3), metres → pixels (..., 2)."""


def in_image(hand: HandEstimate, camera: Camera) -> HandEstimate:
    """The hand with its keypoints and its box in pixels of the camera's image."""
    pixels = camera.project(np.concatenate([hand.joints, hand.vertices]))
    joints = len(hand.joints)
    outline = pixels[joints if len(hand.vertices) else 0 :]
    # The image reaches half a pixel beyond the centres of its outermost pixels.
    (left, right), (top, bottom) = (
        (min(max(float(along.min()), -0.5), end), min(max(float(along.max()), -0.5), end))
        for along, end in zip(outline.T, (camera.width - 0.5, camera.height - 0.5))
    )
    box = Region(left, top, right - left, bottom - top, hand.side)
    return dataclasses.replace(hand, in_image=HandInImage(pixels[:joints].astype(np.float32), box))
