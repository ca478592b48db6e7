# SPDX-License-Identifier: Apache-2.0
"""Hands that are given as 21 annotated joints: the hand model is fitted to them, and they follow its motion.

Annotations differ in where a fingertip is: inside the finger, as the model's own keypoints, or where the skin ends, as
the tips of MANO. Each hand is fitted with several places of the tips, and the best fit counts.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandGeometry
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.skeleton import KEYPOINT_PARENTS
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES
from hoi_ros.hand.skeleton import TIP_JOINTS

TIP_PLACES = 0.0, 0.25, 0.5, 0.75, 1.0
"""Places of the fingertips that are tried: 0 the model's own, 1 where the skin ends."""
_STEPS = 30
"""Steps of a fit at most: there is time."""
_FLIP = np.array([-1, 1, 1], np.float32)
_CARRIERS = np.array([0, *(KEYPOINT_SOURCES[parent] for parent in KEYPOINT_PARENTS[1:])])
"""The articulated joint whose bone ends at each keypoint; of the wrist, the wrist."""


class AnnotatedHandFitter:
    """Fits a hand model, its shape too, to annotated joints of either side."""

    def __init__(self, right: HandModel) -> None:
        """Takes the right hand, in NumPy arrays."""
        self._fitters = [HandFitter(with_tips(right, place)) for place in TIP_PLACES]

    def __call__(self, joints: np.ndarray, side: str) -> HandFit:
        """The hand of annotated joints.

        Args:
            joints: (21, 3) metres, in the order of KEYPOINT_NAMES.
            side: 'right' or 'left'.

        Returns:
            The fit of the model of that side. `keypoints` are those of the annotation: the tips are where it has them.

        Raises:
            ValueError: the joints have another shape, are not finite, or their palm has no direction.
        """
        flip = _FLIP if side == 'left' else np.ones(3, np.float32)
        given = np.asarray(joints, float)
        fits = [fitter.fit(given * flip, steps=_STEPS) for fitter in self._fitters]
        best = min(fits, key=lambda fit: fit.residual)
        return dataclasses.replace(
            best,
            pose=mirror_pose(best.pose) if side == 'left' else best.pose,
            translation=best.translation * flip,
            keypoints=best.keypoints * flip,
        )


def carried(joints: np.ndarray, before: HandGeometry, after: HandGeometry) -> np.ndarray:
    """Annotated joints as a hand carries them: each stays where it is in the frame of the bone that ends at it.

    Args:
        joints: (21, 3) metres, in the frame of the hand.
        before, after: the posed hand that was fitted to them, and the same hand moved.

    Returns:
        (21, 3); the given ones where nothing moves.
    """
    first, second = before.transforms[_CARRIERS].astype(float), after.transforms[_CARRIERS].astype(float)
    own = np.swapaxes(first[:, :3, :3], 1, 2) @ (joints - first[:, :3, 3])[..., None]
    return (second[:, :3, :3] @ own)[..., 0] + second[:, :3, 3]


def with_tips(model: HandModel, place: float) -> HandModel:
    """The hand with fingertips between its own, 0, and the ends of the skin, 1."""
    last = list(TIP_JOINTS)
    bones = model.tips - model.joints[last]
    length = np.linalg.norm(bones, axis=1, keepdims=True)
    owners = model.weights.argmax(1)
    reach = np.array(
        [
            ((model.template[owners == joint] - model.joints[joint]) @ (bone / size)).max()
            for joint, bone, size in zip(last, bones, length)
        ]
    )
    scale = 1 + place * (reach[:, None] / length - 1)
    basis = model.joint_shape_basis[last]
    return dataclasses.replace(
        model,
        tips=(model.joints[last] + scale * bones).astype(np.float32),
        tip_shape_basis=(basis + scale[..., None] * (model.tip_shape_basis - basis)).astype(np.float32),
    )
