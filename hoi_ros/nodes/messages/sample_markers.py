# SPDX-License-Identifier: Apache-2.0
"""Samples of hands as RViz markers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.messages.markers import marker_of

_COLOURS = {'right': ColorRGBA(r=0.75, g=0.45, b=0.90, a=0.3), 'left': ColorRGBA(r=0.45, g=0.85, b=0.55, a=0.3)}
"""Transparent, and other ones than those of observed hands."""


def sample_markers(
    header: Header, hands: Sequence[HandEstimate], faces: Mapping[str, np.ndarray], lifetime: float
) -> MarkerArray:
    """A transparent mesh a hand. The arguments are those of `hand_markers`."""
    return MarkerArray(
        markers=[
            marker_of(
                header,
                f'sampled_{hand.side}_mesh',
                hand.track_id,
                Marker.TRIANGLE_LIST,
                1.0,
                _COLOURS[hand.side],
                hand.vertices[faces[hand.side]].reshape(-1, 3),
                lifetime,
            )
            for hand in hands
        ]
    )
