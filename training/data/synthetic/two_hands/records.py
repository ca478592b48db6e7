# SPDX-License-Identifier: Apache-2.0
"""Records of two hands, with and without an object."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.pair import SIZE

OBJECT_POINTS = 512
"""Points of the object in a record."""

PAIR_DTYPE = np.dtype(
    [
        ('right', np.float32, (SIZE,)),
        ('left', np.float32, (SIZE,)),
        ('kind', np.uint8),
        ('penetration', np.float32),
        ('gap', np.float32),
        ('index', np.int64),
    ]
)
"""Two hands in the frame of the left wrist, so that the left hand's rotation and place are the identity and zero.
`right`, `left`: vectors of `hoi_ros.hand.pair`, metres; `kind`: number of the interaction in its module's list;
`penetration`: depth of the deepest vertex of one hand in the other, metres; `gap`: least distance of their surfaces,
metres, 0 where they pass through each other; `index`: that of the stream."""

OBJECT_PAIR_DTYPE = np.dtype(
    [
        *PAIR_DTYPE.descr,
        ('object_points', np.float32, (OBJECT_POINTS, 3)),
        ('object_normals', np.float32, (OBJECT_POINTS, 3)),
    ]
)
"""Two hands and an object, in the object's own frame: its axes, and the centre of its bounding box in them."""
