# SPDX-License-Identifier: Apache-2.0
"""Given grasps as estimates of a stage: the hand model fitted to the joints, and the object's mesh placed."""

from __future__ import annotations

import collections
import dataclasses
import math
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.annotated import AnnotatedHandFitter
from hoi_ros.hand.annotated import carried
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.boxes import oriented_box
from hoi_ros.mesh.mending import MendedMesh
from hoi_ros.mesh.object_files import read_object
from hoi_ros.mesh.sampling import even_places
from hoi_ros.playback.grasp_lines import GivenGrasp

POINTS = 2048
"""Points on an object whose contact is written, as in S²Contact (Tse et al., ECCV 2022)."""
_WORST_FIT = 0.02
"""Mean distance of the joints from those of the fitted hand beyond which they are no hand, metres."""
_DOUBTFUL_FIT, _BETTER = 0.008, 0.6
"""Mean distance from which the other side is tried, metres, and the share of it at which that side is better."""
_KEPT = 8
"""Objects that are kept in memory."""
_OTHER = {'right': 'left', 'left': 'right'}
_FLIP = np.array([-1, 1, 1])


@dataclasses.dataclass(frozen=True)
class PreparedGrasp:
    """A given grasp, ready for a stage."""

    given: GivenGrasp
    hand: HandEstimate
    """The fitted hand, which holds the object; the last `POINTS` of the object's vertices are points spread over it,
    to which no triangle belongs."""
    mesh: MendedMesh
    """The object in the frame of its file."""
    fit_error: float
    """Mean distance of the given joints from those of the hand, metres."""
    notes: tuple[str, ...]
    """What was done to the mesh, and doubts."""


class GraspPreparation:
    """Prepares given grasps.

    Args:
        models: the right and the left hand by side.
    """

    def __init__(self, models: dict[str, HandModel]) -> None:
        self._models = models
        self._fit = AnnotatedHandFitter(models['right'])
        self._objects: collections.OrderedDict[tuple[Path, str], tuple[MendedMesh, np.ndarray]] = (
            collections.OrderedDict()
        )

    def __call__(self, given: GivenGrasp, number: int) -> PreparedGrasp:
        """Fits the hand and reads the object.

        Args:
            given: the grasp.
            number: of the estimate.

        Raises:
            ObjectFileError, ValueError: the mesh or the joints cannot be used.
        """
        fit = self._fit(given.joints, given.side)
        notes = []
        if fit.residual > _DOUBTFUL_FIT:
            other = _OTHER[given.side]
            if (error := self._fit(given.joints, other).residual) < _BETTER * fit.residual:
                notes.append(
                    f'the joints fit a {other} hand better ({1e3 * error:.1f} mm) than a {given.side} one '
                    f'({1e3 * fit.residual:.1f} mm): check side'
                )
        if fit.residual > _WORST_FIT:
            raise ValueError(
                f'the joints are no {given.side} hand: the nearest one is {1e3 * fit.residual:.0f} mm off on average'
                f'; check the order of the joints{"".join(f"; {note}" for note in notes)}'
            )
        mesh, points = self._object(given.object, given.side)
        posed = self._models[given.side].forward(fit.pose, fit.shape, fit.translation)
        placed = _moved(np.concatenate([mesh.vertices, points]), given.object_pose)
        held = ObjectEstimate(1.0, placed, *oriented_box(placed), gap=math.nan, touching=False)
        hand = HandEstimate(
            side=given.side,
            track_id=number,
            score=1.0,
            joints=posed.keypoints,
            joint_scores=np.ones(21, np.float32),
            pose=fit.pose,
            shape=fit.shape,
            translation=fit.translation,
            vertices=posed.vertices,
            held=held,
        )
        return PreparedGrasp(given, hand, mesh, fit.residual, (*notes, *mesh.notes))

    def _object(self, path: Path, side: str) -> tuple[MendedMesh, np.ndarray]:
        """A mesh and points (N, 3) spread over it; for a left hand, mirrored from those of the mirrored file, so that a
        mirrored scene gives the mirrored result."""
        key = path, side
        if key not in self._objects:
            mesh = read_object(path, mirrored=side == 'left')
            points = even_places(mesh.vertices, mesh.faces, POINTS).points(mesh.vertices, mesh.faces)
            if side == 'left':
                mesh = dataclasses.replace(mesh, vertices=mesh.vertices * _FLIP, faces=mesh.faces[:, ::-1])
                points = points * _FLIP
            self._objects[key] = mesh, points
        self._objects.move_to_end(key)
        if len(self._objects) > _KEPT:
            self._objects.popitem(last=False)
        return self._objects[key]

    def joints(self, prepared: PreparedGrasp, refined: HandEstimate) -> np.ndarray:
        """(21, 3) the given joints as the refined hand carries them; the given ones where it has not moved."""
        model, hand = self._models[refined.side], prepared.hand
        before, after = (model.forward(each.pose, each.shape, each.translation, False) for each in (hand, refined))
        return carried(prepared.given.joints, before, after)


def motion_of(before: ObjectEstimate, after: ObjectEstimate) -> np.ndarray:
    """(4, 4) motion of an object between two estimates with boxes."""
    turn = Rotation.from_quat(after.orientation) * Rotation.from_quat(before.orientation).inv()
    motion: np.ndarray = np.eye(4)
    motion[:3, :3], motion[:3, 3] = turn.as_matrix(), after.position - turn.apply(before.position)
    return motion


def wrist_in_object(grasp: GraspEstimate, object_pose: np.ndarray) -> np.ndarray:
    """(7,) position and quaternion of a grasp's wrist in the frame of a mesh of a pose (4, 4)."""
    turn = Rotation.from_matrix(object_pose[:3, :3]).inv()
    orientation = turn * Rotation.from_quat(grasp.orientation)
    return np.concatenate([turn.apply(grasp.position - object_pose[:3, 3]), orientation.as_quat()])


def _moved(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    return points @ motion[:3, :3].T + motion[:3, 3]
