# SPDX-License-Identifier: Apache-2.0
"""Grasps with their contact maps: training data of `contact`."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.sampling import even_places
from training.data.object_mesh import ObjectMesh
from training.data.real.scans import ScannedObjects
from training.data.synthetic.contact.labels import soft_contact
from training.data.synthetic.grasps import GraspGenerator

OBJECT_POINTS = 2048
"""Points on an object: S²Contact, Section 3.1."""


def contact_dtype(vertices: int) -> np.dtype:
    """The record of a hand of so many vertices: a right hand and the object it holds in the object's own frame, metres;
    `index` is that of the stream."""
    return np.dtype(
        [
            ('pose', np.float32, (48,)),
            ('shape', np.float32, (10,)),
            ('translation', np.float32, (3,)),
            ('object_points', np.float32, (OBJECT_POINTS, 3)),
            ('object_normals', np.float32, (OBJECT_POINTS, 3)),
            ('hand_contact', np.float16, (vertices,)),
            ('object_contact', np.float16, (OBJECT_POINTS,)),
            ('index', np.int64),
        ]
    )


CONTACT_DTYPE = contact_dtype(1159)
"""Of the default hand model."""


class ContactGrasps:
    """A stream of grasps with their contact maps: index → record.

    The same index gives the same record on every machine. All hands hold their object: the generator's hands before
    their grasp are left out, since a refinement to no contact has nothing to learn from.

    Args:
        seed, split, scans: as of `GraspGenerator`.
        hand: the right hand; the default model if None.
    """

    def __init__(
        self, seed: int = 0, split: str = 'train', scans: ScannedObjects | None = None, hand: HandModel | None = None
    ) -> None:
        hand = hand or HandModel.load()
        self._grasps = GraspGenerator(hand, seed, split, scans, pregrasps=0.0)
        self._faces = close_holes(hand.faces)
        self.dtype = contact_dtype(len(hand.template))

    def __getitem__(self, index: int) -> np.ndarray:
        """One record of `dtype`."""
        grasp = self._grasps[index]
        mesh = grasp.object.vertices, grasp.object.faces
        places = even_places(*mesh, OBJECT_POINTS)
        points, normals = places.points(*mesh), places.normals(*mesh)
        contact = soft_contact((grasp.vertices, self._faces), mesh, points, normals)
        values = grasp.pose, grasp.shape, grasp.translation, points, normals, contact.hand, contact.object, index
        return np.array(values, self.dtype)

    def mesh(self, index: int) -> ObjectMesh:
        """The object's mesh of a record, on which its points lie; as slow as the record."""
        shape = self._grasps[index].object
        return ObjectMesh(shape.vertices, shape.faces)
