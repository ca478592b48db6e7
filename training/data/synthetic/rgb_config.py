# SPDX-License-Identifier: Apache-2.0
"""The distribution of generated colour images."""

from __future__ import annotations

import dataclasses
from typing import get_args
from typing import Literal

RELEASED, LOOSE = 0.2, 0.6
"""`released` and `loose` of training images."""


@dataclasses.dataclass(frozen=True)
class RgbConfig:
    """The distribution of images."""

    window: int | None = None
    """Side of a square window around the hand, pixels; None for the whole frame."""
    width: int = 640
    height: int = 480
    """Size of the whole frame, pixels."""
    hands: tuple[float, float, float] = (0.05, 0.75, 0.2)
    """Probability of 0, 1 and 2 hands in a whole frame; a window is around one hand."""
    free: float = 0.25
    """Share of hands without an object."""
    worn: float = 0.3
    """Share of images of a camera that the person wears, whose hands are 0.2 to 0.75 m away."""
    shared: float = 0.12
    """Share of windows and of frames with two hands in which they hold one thing, if hands hold things at all."""
    typing: float = 0.08
    """Share of windows and of frames with two hands in which both lie on a desk, most often on its keyboard."""
    desk: float = 0.3
    """Share of images with a desk below a hand that faces down."""
    gloved: float = 0.08
    """Share of people who wear gloves."""
    nearest: float = 0.3
    farthest: float = 0.9
    """Depth of the hands' centres, metres."""
    field_of_view: tuple[float, float] = (45.0, 80.0)
    """Horizontal, degrees."""
    visible: float = 0.5
    """Least visible share of a hand's silhouette."""
    margin: tuple[float, float] = (1.25, 1.7)
    """Side of a window, a multiple of the square around the hand and its object."""
    samples: int = 4
    """Rays through each pixel at an edge."""
    photographed: float = 0.5
    """Share of photographed surfaces, where there are any."""
    scenery: float = 0.4
    """Share of images with a photo instead of table and wall, where there are any. A photo has no depth: 0 there."""
    measured: float = 0.35
    """Share of images in the light of a real room, where there are any."""
    released: float = 0.0
    """Share of the grasps that hold nothing any more: their thing is gone, or beside the hand."""
    loose: float = 0.0
    """Mean number of things that no hand holds."""
    widened: float = 0.0
    """Share of windows about empty hands that are as wide as those about a held thing."""
    repeats: int = 1
    """Successive images that show the same grasp, each from another side: to find one takes longer than an image."""


Kind = Literal['plain', 'worn', 'shared', 'typing', 'desk', 'gloved']
"""A kind of scene: the field of `RgbConfig` by which the mixture shows it; 'plain' is none of them."""


def scenes_of(kind: Kind | None) -> RgbConfig:
    """Scenes of one kind alone; None for the mixture."""
    if kind is None:
        return RgbConfig()
    shares = {name: float(name == kind) for name in get_args(Kind) if name != 'plain'}
    return RgbConfig(**shares, hands=(0.0, 0.0, 1.0) if kind in ('shared', 'typing') else RgbConfig.hands)
