# SPDX-License-Identifier: Apache-2.0
"""Contact by distance, by depth, and unknown inside an open mesh."""

import numpy as np
import trimesh

from hoi_ros.mesh.contact import in_contact
from hoi_ros.mesh.surface import Surface


def test_contact_by_distance_by_depth_and_unknown() -> None:
    mesh = trimesh.creation.box(extents=(0.1, 0.1, 0.1))
    held = Surface(mesh.vertices, mesh.faces)
    lid_off = Surface(held.vertices, held.faces[1:])
    near, far, deep = np.array([[0, 0, 0.0535]]), np.array([[0, 0, 0.0545]]), np.array([[0.0, 0, 0]])
    assert in_contact(near, held) is True and in_contact(near, lid_off) is True
    assert in_contact(far, held) is False and in_contact(far, held, within=0.005) is True
    assert in_contact(deep, held) is True
    assert in_contact(far, lid_off) is None and in_contact(deep, lid_off) is None
