# SPDX-License-Identifier: Apache-2.0
"""Colours of contact, in pictures and in RViz."""

from __future__ import annotations

import numpy as np

_TOUCHED, _TOUCHED_COLOUR = 0.4, (250, 205, 50)
"""The contact from which on a vertex touches is yellow."""
_FIRM_COLOUR = (205, 20, 30)


def contact_colours(contact: np.ndarray, own: tuple[float, float, float]) -> np.ndarray:
    """The colour of a surface by contact: its own at 0, yellow at 0.4, red at 1.

    Args:
        contact: (N,) 0 to 1.
        own: RGB of the surface, 0 to 255.

    Returns:
        (N, 3) RGB, 0 to 255.
    """
    stops = np.array([own, _TOUCHED_COLOUR, _FIRM_COLOUR], float)
    return np.stack([np.interp(contact, [0, _TOUCHED, 1], channel) for channel in stops.T], -1)
