# SPDX-License-Identifier: Apache-2.0
"""The distribution of scenes."""

from __future__ import annotations

import dataclasses

SPLITS = {'train': 0, 'validation': 1, 'test': 2}


@dataclasses.dataclass(frozen=True)
class SceneConfig:
    """What the scenes contain."""

    hands: tuple[float, float, float] = (0.0, 0.7, 0.3)
    """Probability of 0, 1 and 2 hands."""
    nearest: float = 0.25
    farthest: float = 1.2
    """Depth of the hands' centres, metres."""
    person: float = 0.5
    """Probability of a visible body at an arm."""
    desk: float = 0.0
    """Probability of a desk, most often with a keyboard, under a hand that faces down; there is no other table then."""
    table: float = 0.5
    wall: float = 0.7
    clutter: float = 4.0
    """Mean number of other objects."""
    held: float = 0.25
    """Probability of an object in or at a hand."""
    handling: float = 0.0
    """Probability of a scene in which people hold things, reach for them or let go of them."""
    worn: float = 0.5
    """Share of these scenes that a camera on the person's head or chest shows."""
    shared: float = 0.0
    """Share of these scenes with two hands on one thing."""
    typing: float = 0.0
    """Share of these scenes with both hands of one person on a desk, most often on its keyboard."""
    handled_nearest: float = 0.2
    """Least depth of the hands' centres in these scenes, metres."""
    real: float = 0.3
    """Share of scenes with a real background, where there are any."""
    sizes: tuple[tuple[int, int], ...] = ((640, 480),)
    """Sizes of the camera's image, width and height in pixels, each as probable as the others."""
    focal: tuple[float, float] = (0.59375, 1.0)
    """Bounds of the focal length, as a share of the image's width."""
