# SPDX-License-Identifier: Apache-2.0
"""Colours of contact, in pictures and in RViz."""

from __future__ import annotations

import numpy as np

_STOPS = (0.0, 0.15, 0.4, 0.7, 1.0)
_HEAT = ((250, 215, 60), (235, 110, 30), (200, 20, 25))
"""Colours from touching, 0.4, to firm contact; below 0.15 a surface has its own colour."""


def contact_colours(contact: np.ndarray, own: tuple[float, float, float]) -> np.ndarray:
    """The colour of a surface by contact: its own where there is none, yellow from 0.4 on, red at 1.

    Args:
        contact: (N,) 0 to 1.
        own: RGB of the surface, 0 to 255.

    Returns:
        (N, 3) RGB, 0 to 255.
    """
    stops = np.array([own, own, *_HEAT], float)
    return np.stack([np.interp(contact, _STOPS, channel) for channel in stops.T], -1)
