# SPDX-License-Identifier: Apache-2.0
"""A hand that grasps a tetrahedron, with contact and grasp, every number its own."""

import numpy as np

from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate

FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
CORNERS = np.array([[0, 0, 0.5], [0.04, 0, 0.5], [0, 0.06, 0.5], [0, 0, 0.58]], np.float32)


def contact_of(generator, hand_vertices=7, points=3):
    return ContactEstimate(
        hand=generator.uniform(size=hand_vertices).astype(np.float32),
        object=generator.uniform(size=len(CORNERS)).astype(np.float32),
        points=generator.normal(size=(points, 3)).astype(np.float32),
        normals=generator.normal(size=(points, 3)).astype(np.float32),
        fingers=np.array([0, 1, 5], np.uint8)[:points],
        penetration=0.0025,
        intersection=1.5e-6,
    )


def grasp_of(generator, kind='precision'):
    touching = np.array([True, True, True, False, False])
    rows = np.where(touching[:, None], generator.normal(size=(5, 6)), np.nan).astype(np.float32)
    return GraspEstimate(
        type=kind,
        confidence=0.75,
        position=generator.normal(size=3),
        orientation=np.array([0, 0.6, 0, 0.8]),
        object_position=generator.normal(size=3),
        object_orientation=np.array([0.6, 0, 0, 0.8]),
        object_size=generator.uniform(size=3),
        wrist_in_object=generator.normal(size=7),
        approach=np.array([0, 0, 1.0]),
        aperture=0.0625,
        fingers=touching,
        centroids=rows[:, :3],
        normals=rows[:, 3:],
        force_closure=0.125,
    )


def grasping_hand(generator, side='left', track=5, vertices=None):
    """Its mesh has seven vertices, or those given."""
    vertices = generator.normal(size=(7, 3)).astype(np.float32) if vertices is None else vertices
    return HandEstimate(
        side=side,
        track_id=track,
        score=0.875,
        joints=generator.normal(size=(21, 3)).astype(np.float32),
        joint_scores=generator.uniform(size=21).astype(np.float32),
        pose=generator.normal(size=48).astype(np.float32),
        shape=generator.normal(size=10).astype(np.float32),
        translation=generator.normal(size=3).astype(np.float32),
        vertices=vertices,
        held=ObjectEstimate(
            0.75, CORNERS, generator.normal(size=3), np.array([0, 0.6, 0, 0.8]), generator.uniform(size=3), -0.002, True
        ),
        contact=contact_of(generator, len(vertices)),
        grasp=grasp_of(generator),
    )
