# SPDX-License-Identifier: Apache-2.0
"""Generated grasps as estimates, with contact that fades over a few millimetres."""

from __future__ import annotations

import functools

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.mesh.boxes import oriented_box
from hoi_ros.mesh.surface import Surface
from training.data.synthetic.grasps import Grasp
from training.data.synthetic.grasps import GraspGenerator

FLIP = np.array([-1.0, 1, 1])


@functools.cache
def hand_model() -> HandModel:
    return HandModel.load()


@functools.cache
def generated(index: int) -> Grasp:
    return GraspGenerator(hand_model(), 0, 'test')[index]


def contact_of(points: np.ndarray, surface: Surface) -> np.ndarray:
    """(N,) contact of points (N, 3): 1 inside, 0.4 at 4 mm."""
    distance = np.where(surface.contains(points), 0, surface.distances(points))
    return 1 / (1 + 1.5 * np.exp((distance - 0.004) / 0.001))


def estimates(grasp: Grasp) -> tuple[HandEstimate, ObjectEstimate]:
    vertices = grasp.object.vertices.astype(float)
    held = ObjectEstimate(0.9, vertices, *oriented_box(vertices), gap=0.0, touching=True)
    hand = HandEstimate(
        'right',
        1,
        0.8,
        grasp.keypoints.astype(float),
        np.ones(21),
        grasp.pose,
        grasp.shape,
        grasp.translation,
        grasp.vertices.astype(float),
    )
    return hand, held


def mirrored(hand: HandEstimate, held: ObjectEstimate) -> tuple[HandEstimate, ObjectEstimate]:
    """The mirror image, x → −x."""
    frame = np.diag(FLIP) @ Rotation.from_quat(held.orientation).as_matrix() @ np.diag(FLIP)
    left = HandEstimate(
        'left',
        hand.track_id,
        hand.score,
        hand.joints * FLIP,
        hand.joint_scores,
        mirror_pose(hand.pose),
        hand.shape,
        (hand.translation * FLIP).astype(np.float32),
        hand.vertices * FLIP,
    )
    thing = ObjectEstimate(
        held.score,
        held.vertices * FLIP,
        held.position * FLIP,
        Rotation.from_matrix(frame).as_quat(),
        held.size,
        held.gap,
        held.touching,
    )
    return left, thing
