# SPDX-License-Identifier: Apache-2.0
"""When two surfaces touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from hoi_ros.mesh.surface import Surface

TOUCHING = 0.004
"""Metres within which two surfaces are in contact, as in the contact labels of HO-3D (Hampali et al., CVPR 2020). The
one threshold of the package: estimates, messages and the simulated truth."""


def in_contact(points: np.ndarray, surface: Surface, within: float = TOUCHING) -> bool | None:
    """Whether a point is inside a surface or within a distance (≤) of it.

    Args:
        points: (N, 3) metres.
        surface: the other mesh; only a closed one has an inside.
        within: metres.

    Returns:
        None if no point is that near and the surface is not closed: points may be inside or not.
    """
    if (surface.distances(points) <= within).any():
        return True
    return bool(surface.contains(points).any()) if surface.closed else None
