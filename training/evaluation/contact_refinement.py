# SPDX-License-Identifier: Apache-2.0
"""How near the truth grasps are before and after their refinement to a contact map.

Joint error, intersection and contact coverage are those of S²Contact (Tse et al., ECCV 2022, section 4): the volume is
counted in voxels of 5 mm, and a hand vertex is covered within 2 mm of the object's surface.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.surface import Surface
from hoi_ros.mesh.volumes import grid_volume
from hoi_ros.stages.contact import contact_of_vertices
from hoi_ros.stages.parts.contact_energy import ObjectSurfacePoints
from hoi_ros.stages.parts.contact_points import ContactMeasure
from hoi_ros.stages.parts.contact_points import PALM
from hoi_ros.stages.parts.contact_points import parts_of_vertices
from hoi_ros.stages.parts.contact_points import touching_fingers
from hoi_ros.stages.parts.contact_points import VOXEL
from hoi_ros.stages.parts.contact_refinement import ContactRefiner
from hoi_ros.stages.parts.contact_refinement import RefinedGrasp
from training.data.object_mesh import ObjectMesh
from training.evaluation.contact_maps import ContactMaps
from training.evaluation.contact_maps import f1

_COVERED = 0.002
"""Distance to the object within which a hand vertex counts as covered, metres."""


@dataclasses.dataclass(frozen=True)
class RefinementOptions:
    """How grasps are refined."""

    restarts: int = 1
    """Starts of each refinement."""
    hold_object: bool = True
    """Whether the object stays where it is: only the hand is noisy."""
    budget: float = math.inf
    """Seconds of each refinement; without an end the figures do not depend on the machine."""


@dataclasses.dataclass(frozen=True)
class PlacedHand:
    """A right hand in the frame of its object: vertices (V, 3) and keypoints (21, 3), metres."""

    vertices: np.ndarray
    keypoints: np.ndarray


class GraspFigures:
    """Figures of hands at objects, collected one by one.

    Args:
        model: the right hand.
    """

    def __init__(self, model: HandModel) -> None:
        self._parts, self._faces = parts_of_vertices(model), close_holes(model.faces)
        self._measure = ContactMeasure(model)
        self._rows: list[dict[str, float]] = []
        self._near: list[tuple[np.ndarray, np.ndarray]] = []
        self._told: list[np.ndarray] = []

    def add(
        self,
        hand: PlacedHand,
        truth: PlacedHand,
        mesh: ObjectMesh,
        contact: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Measures a hand.

        Args:
            hand: estimated.
            truth: the true hand.
            mesh: of the object.
            contact: of the hand's vertices and of the mesh's; tells the fingers that touch as the node does.
        """
        solid = Surface(mesh.vertices, mesh.faces)
        distances = solid.distances(hand.vertices)
        volume = math.nan
        if solid.closed:
            volume = grid_volume(hand.vertices, self._faces, mesh.vertices, mesh.faces, VOXEL)
        self._rows.append(
            {
                'joint_error_mm': 1e3 * float(np.linalg.norm(hand.keypoints - truth.keypoints, axis=1).mean()),
                'mesh_error_mm': 1e3 * float(np.linalg.norm(hand.vertices - truth.vertices, axis=1).mean()),
                'intersection_cm3': 1e6 * volume,
                'coverage': float((distances <= _COVERED).mean()),
            }
        )
        true = self._touching(solid, truth.vertices, solid.distances(truth.vertices))
        self._near.append((self._touching(solid, hand.vertices, distances), true))
        if contact is not None:
            told = self._measure(hand.vertices, contact[0], mesh.vertices, mesh.faces, contact[1]).fingers
            self._told.append(np.isin(np.arange(PALM), told))

    @property
    def joint_errors(self) -> np.ndarray:
        """(H,) of the hands, mm."""
        return np.array([row['joint_error_mm'] for row in self._rows])

    def means(self) -> dict[str, float]:
        """Means over the hands, and F1 of the fingers of all hands: of those within TOUCHING of the object or inside it
        and, where contact was given, of those that the node tells.

        The intersection is the mean of those objects whose mesh is closed; there is `open_meshes` where some are not,
        and inside those no finger touches.
        """
        near, true = (np.stack(part) for part in zip(*self._near))
        figures = {name: float(np.mean([row[name] for row in self._rows])) for name in self._rows[0]}
        volumes = np.array([row['intersection_cm3'] for row in self._rows])
        if opened := int(np.isnan(volumes).sum()):
            figures['open_meshes'] = float(opened)
            figures['intersection_cm3'] = (
                float(volumes[~np.isnan(volumes)].mean()) if opened < len(volumes) else math.nan
            )
        figures['fingers_near_f1'] = f1(near, true)
        if self._told:
            figures['fingers_f1'] = f1(np.stack(self._told), true)
        return figures

    def _touching(self, solid: Surface, vertices: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """(5,) whether a finger touches with vertices within TOUCHING of the object or inside it."""
        touching = distances <= TOUCHING
        if solid.closed:
            touching[~touching] = solid.contains(vertices[~touching])
        return touching_fingers(touching, self._parts)


def refinement_figures(
    records: np.ndarray,
    noisy: tuple[np.ndarray, np.ndarray],
    maps: ContactMaps,
    meshes: Sequence[ObjectMesh],
    options: RefinementOptions,
) -> dict[str, dict[str, float]]:
    """Figures of hands before and after their refinement, in the frame of their object.

    Args:
        records: (G,) true grasps.
        noisy: pose (G, 48) and translation (G, 3) of the hands before.
        maps: contact of their points.
        meshes: of their objects.
        options: of the refinement.

    Returns:
        The figures of the true hands, of those before and of those after; `joint_change_se_mm` is the standard error of
        the mean change of the joint error.
    """
    model = HandModel.load()
    refiner = ContactRefiner(model)
    figures = {state: GraspFigures(model) for state in ('truth', 'before', 'after')}
    seconds = []
    for number, (record, mesh) in enumerate(zip(records, meshes, strict=True)):
        shape, pose, translation = record['shape'], noisy[0][number], noisy[1][number]
        truth = placed(model, record['pose'], shape, record['translation'])
        figures['truth'].add(truth, truth, mesh)
        figures['before'].add(placed(model, pose, shape, translation), truth, mesh)
        surface = surface_of(record)
        on_hand, on_object = maps.hand[number], maps.object[number]
        refined = refiner(
            pose,
            shape,
            translation,
            surface,
            on_hand,
            on_object,
            hold_object=options.hold_object,
            budget=options.budget,
            restarts=options.restarts,
        )
        seconds.append(refined.seconds)
        contact = on_hand, contact_of_vertices(mesh.vertices, mesh.faces, surface, on_object)
        figures['after'].add(from_object(refined), truth, mesh, contact)
    means = {state: of_state.means() for state, of_state in figures.items()}
    change = figures['after'].joint_errors - figures['before'].joint_errors
    means['after']['joint_change_se_mm'] = float(change.std() / math.sqrt(len(change)))
    means['after']['refinement_ms'] = 1e3 * float(np.mean(seconds))
    return means


def surface_of(record: np.ndarray) -> ObjectSurfacePoints:
    """The points of a record's object."""
    return ObjectSurfacePoints(*(record[name].astype(np.float64) for name in ('object_points', 'object_normals')))


def placed(model: HandModel, pose: np.ndarray, shape: np.ndarray, translation: np.ndarray) -> PlacedHand:
    """A posed hand."""
    geometry = model.forward(pose, shape, translation)
    return PlacedHand(geometry.vertices, geometry.keypoints)


def from_object(refined: RefinedGrasp) -> PlacedHand:
    """A refined hand, seen from its object: where a moved object is put back."""
    turn, shift = refined.object_motion[:3, :3], refined.object_motion[:3, 3]
    return PlacedHand(*((part - shift) @ turn for part in (refined.vertices, refined.keypoints)))
