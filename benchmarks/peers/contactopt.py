# SPDX-License-Identifier: Apache-2.0
"""ContactOpt's optimisation in PyTorch, to time the refinement beside it.

Grady et al., "ContactOpt: Optimizing Contact to Improve Grasps" (CVPR 2021): 250 iterations of Adam over 15 pose
components and the wrist. The nearest points are found by plain distance, which is faster than the published search
over all capsules.
"""

from __future__ import annotations

import numpy as np
import torch

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import rotation_matrices
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.poses import GESTURES

ITERATIONS = 250
_COMPONENTS = 15
_RATE, _PLACE_RATE = 0.01, 0.3
"""Adam's rate, and the share of it that the translation moves by."""
_HAND, _PENETRATION, _MISSING = 2.5, 320.0, 3.0
_RADIUS, _ABOVE, _BELOW, _TOLERANCE = 0.001, 0.0005, 0.001, 0.002


class ContactOpt:
    """Optimises hands of one model; the object stays where it is."""

    def __init__(self, model: HandModel) -> None:
        self._model = model.to_torch()
        angles = np.stack([gesture_angles(model, name) for name in GESTURES])
        poses = model.pose_of(angles)[:, 3:]
        basis = np.linalg.svd(poses - poses.mean(0), full_matrices=False)[2][:_COMPONENTS]
        self._basis = torch.as_tensor(basis, dtype=torch.float32)

    def __call__(
        self,
        pose: np.ndarray,
        shape: np.ndarray,
        translation: np.ndarray,
        points: np.ndarray,
        normals: np.ndarray,
        hand_contact: np.ndarray,
        object_contact: np.ndarray,
        iterations: int = ITERATIONS,
    ) -> np.ndarray:
        """(21, 3) keypoints after the optimisation; the arguments as in `ContactRefiner`."""
        pose_, shape_, place, points_, normals_, on_hand, on_object = (
            torch.as_tensor(array, dtype=torch.float32)
            for array in (pose, shape, translation, points, normals, hand_contact, object_contact)
        )
        start = pose_.clone()
        turn = rotation_matrices(pose_[:3])
        start[:3] = 0
        unknowns = torch.zeros(_COMPONENTS + 6, requires_grad=True)
        adam = torch.optim.Adam([unknowns], lr=_RATE, amsgrad=True)
        wrist = self._model.joints[0] + self._model.joint_shape_basis[0] @ shape_
        for step in range(iterations + 1):
            fingers = start + torch.cat([torch.zeros(3), unknowns[:_COMPONENTS] @ self._basis])
            posed = self._model.forward(fingers, shape_, -wrist)
            whole = rotation_matrices(unknowns[_COMPONENTS : _COMPONENTS + 3]) @ turn
            shift = place + wrist + _PLACE_RATE * unknowns[_COMPONENTS + 3 :]
            if step == iterations:
                return (posed.keypoints @ whole.T + shift).detach().numpy()
            vertices = posed.vertices @ whole.T + shift
            loss = self._loss(vertices, points_, normals_, on_hand, on_object)
            adam.zero_grad()
            loss.backward()
            adam.step()
        raise AssertionError('the last step returns')

    @staticmethod
    def _loss(
        vertices: torch.Tensor,
        points: torch.Tensor,
        normals: torch.Tensor,
        on_hand: torch.Tensor,
        on_object: torch.Tensor,
    ) -> torch.Tensor:
        with torch.no_grad():
            distances = torch.cdist(vertices, points)
            to_object, to_hand = distances.argmin(1), distances.argmin(0)
        # The capsules of both maps stand on the object.
        hand, object_ = (
            _missed(_contact(above, normal), target)
            for above, normal, target in (
                (vertices - points[to_object], normals[to_object], on_hand),
                (vertices[to_hand] - points, normals, on_object),
            )
        )
        depth = ((points[to_object] - vertices) * normals[to_object]).sum(1)
        return object_ + _HAND * hand + _PENETRATION * torch.relu(depth - _TOLERANCE).mean()


def _contact(offsets: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
    along = (offsets * normals).sum(1)
    aside = (offsets * offsets).sum(1) - along**2
    outside = torch.relu(along - _ABOVE) + torch.relu(-_BELOW - along)
    distance = torch.sqrt(outside**2 + torch.relu(aside) + 1e-12)
    return torch.clamp(_RADIUS / distance, max=1)


def _missed(contact: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    missing = target - contact
    return torch.where(missing > 0, _MISSING * missing, -missing).mean()
