# SPDX-License-Identifier: Apache-2.0
"""From recorded hands, objects and thermal maps to records of `contact`.

A record has a right hand: left hands and their objects are mirrored, x → −x, in the object's frame. The hand is the
project's model, fitted to the 21 joints of the data set as `replay --grasps` fits it. Where that model is a converted
MANO (docs/hand_model.md), the data set's own MANO parameters are taken, if they put the joints within 1 cm of the
labelled ones.

Thermal maps exist on objects alone. The contact of a hand's vertex is that of the object where it is nearest to the
vertex and faces it. It fades from TOUCHING (4 mm) to 0 at REACH, since the skin of a hand that is fitted to joints is
some millimetres off. ContactOpt (Grady et al., CVPR 2021) computes the hand's contact from distances alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.hand.annotated import AnnotatedHandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.mesh.sampling import even_places
from hoi_ros.resources import model_dir
from training.data.object_mesh import ObjectMesh
from training.data.public import dataset_files
from training.data.synthetic.contact.records import contact_dtype
from training.data.synthetic.contact.records import OBJECT_POINTS
from training.hand.mano import PoseSpace

REACH = 0.01
"""Distance to the object from which on a hand vertex has no contact, metres."""
FLIP = np.array([-1.0, 1.0, 1.0])
"""Mirrors points."""
_COLDEST, _HOTTEST = 0.05, 0.95
"""Contact of the least and of the greatest heat of a map."""


class HandParameters(NamedTuple):
    """A right hand of the hand model: pose (48,) radians, shape (10,), translation (3,) metres; float32."""

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray


class ManoParameters(NamedTuple):
    """A right hand of MANO, as ContactPose and ContactOpt write it.

    Attributes:
        pose: (3 + n,) the wrist's axis-angle and coefficients of the first n principal components about the mean pose.
        shape: (10,).
        transform: (4, 4) from the frame of the posed MANO to the object's, metres.
    """

    pose: np.ndarray
    shape: np.ndarray
    transform: np.ndarray


class RecordedHands:
    """Turns recorded hands into parameters and records of a hand model.

    Args:
        path: file of the right hand; the installed model by default.

    Attributes:
        model: the right hand.
        dtype: of the records.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.model = HandModel.load(path)
        self.dtype = contact_dtype(len(self.model.template))
        self._space = PoseSpace.load(path or model_dir('hand_model') / 'hand.npz')
        self._fitter = AnnotatedHandFitter(self.model)

    @property
    def is_mano(self) -> bool:
        """Whether the model is a converted MANO, so that MANO's parameters pose it."""
        return self._space is not None

    def parameters(self, keypoints: np.ndarray, mano: ManoParameters | None = None) -> HandParameters:
        """The right hand of labelled joints.

        Args:
            keypoints: (21, 3) in the order of `KEYPOINT_NAMES`, metres, of a right or mirrored left hand.
            mano: parameters of the same hand, if the data set has them.

        Raises:
            ValueError: the keypoints are not finite or span no palm.
        """
        if mano is not None and self._space is not None:
            posed = self._of_mano(mano, self._space)
            if dataset_files.agree(self.model.forward(*posed, vertices=False).keypoints, keypoints):
                return posed
        fit = self._fitter(keypoints, 'right')
        return HandParameters(fit.pose, fit.shape, fit.translation)

    def vertices(self, keypoints: np.ndarray, side: str) -> np.ndarray:
        """(V, 3) vertices of a hand of either side that is fitted to its keypoints (21, 3), metres."""
        flip = FLIP if side == 'left' else np.ones(3)
        return self.model.forward(*self.parameters(keypoints * flip)).vertices * flip

    def record(self, hand: HandParameters, mesh: ObjectMesh, contact: np.ndarray, index: int) -> np.ndarray:
        """One record of `dtype`.

        Args:
            hand: in the object's frame.
            mesh: of the object.
            contact: (M,) of the mesh's vertices, 0 to 1.
            index: of the stream.
        """
        places = even_places(mesh.vertices, mesh.faces, OBJECT_POINTS)
        on_points = (contact[mesh.faces[places.triangles]] * places.weights).sum(1)
        vertices = self.model.forward(*hand).vertices
        on_hand = contact_of_hand(vertices, vertex_normals(vertices, self.model.faces), mesh, contact)
        surface = places.points(mesh.vertices, mesh.faces), places.normals(mesh.vertices, mesh.faces)
        return np.array((*hand, *surface, on_hand, on_points, index), self.dtype)

    def _of_mano(self, mano: ManoParameters, space: PoseSpace) -> HandParameters:
        written = np.zeros(48)
        written[: len(mano.pose)] = mano.pose
        pose = space.pose(written, principal=True)
        turn, shift = mano.transform[:3, :3], mano.transform[:3, 3]
        pose[:3] = (Rotation.from_matrix(turn) * Rotation.from_rotvec(pose[:3])).as_rotvec()
        wrist = self.model.wrist(mano.shape)
        parts = pose, mano.shape, turn @ wrist + shift - wrist
        return HandParameters(*(np.asarray(part, np.float32) for part in parts))


def contact_of_heat(heat: np.ndarray) -> np.ndarray:
    """Contact of the thermal maps of ContactPose: a sigmoid that takes the least heat to 0.05, the greatest to 0.95.

    It belongs to the data set (Brahmbhatt et al., "ContactDB", CVPR 2019): a vertex touches from 0.4 after it.

    Args:
        heat: (M,) of the vertices, 0 to 1; 0 where the camera has not seen the vertex.

    Returns:
        (M,) contact, 0 where the heat is 0.

    Raises:
        ValueError: fewer than two vertices differ in their heat.
    """
    seen = heat > 0
    if not seen.any() or np.ptp(heat[seen]) == 0:
        raise ValueError('no thermal map: all vertices have one colour')
    low, high = heat[seen].min(), heat[seen].max()
    steepness = np.log(_HOTTEST / _COLDEST)
    return np.where(seen, 1 / (1 + np.exp(steepness * (1 - 2 * (heat - low) / (high - low)))), 0)


def completed(vertices: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """(M,) contact of vertices (M, 3), those that no camera has seen (0) with that of the nearest seen one."""
    seen = contact > 0
    if seen.all() or not seen.any():
        return contact
    filled = contact.copy()
    filled[~seen] = contact[seen][cKDTree(vertices[seen]).query(vertices[~seen])[1]]
    return filled


def contact_of_one(vertices: np.ndarray, contact: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Contact (M,) of an object's vertices (M, 3) that two hands have touched, 0 where the other one is nearer.

    Args:
        vertices: (M, 3) metres.
        contact: (M,) of both hands.
        own, other: (V, 3) vertices of the hands.
    """
    own_gap, other_gap = (cKDTree(hand).query(vertices)[0] for hand in (own, other))
    return np.where(own_gap <= other_gap, contact, 0)


def contact_of_hand(vertices: np.ndarray, normals: np.ndarray, mesh: ObjectMesh, contact: np.ndarray) -> np.ndarray:
    """(V,) contact of a hand at an object of known contact, see above.

    Args:
        vertices: (V, 3) of the hand, metres.
        normals: (V, 3) outward unit normals there.
        mesh: of the object.
        contact: (M,) of its vertices.
    """
    nearest, facing = TriangleScene(*mesh).nearest(vertices)
    outside = ((vertices - nearest) * facing).sum(1) > 0
    gap = np.where(outside, np.linalg.norm(vertices - nearest, axis=1), 0)
    share = np.clip((REACH - gap) / (REACH - TOUCHING), 0, 1) * ((facing * normals).sum(1) < 0)
    return share * contact[cKDTree(mesh.vertices).query(nearest)[1]]


def mirrored(mesh: ObjectMesh) -> ObjectMesh:
    """The mirror image, x → −x; its triangles face outwards too."""
    return ObjectMesh((mesh.vertices * FLIP).astype(np.float32), np.ascontiguousarray(mesh.faces[:, ::-1]))


def read_heat(path: Path, mend: str) -> tuple[ObjectMesh, np.ndarray]:
    """A mesh and the grey value (M,) of its vertices, 0 to 1.

    Raises:
        DatasetError: the file is missing, holds no mesh, or its vertices have no colours.
    """
    dataset_files.require_file(path, mend)
    try:
        mesh = trimesh.load_mesh(path, process=False)
        found = ObjectMesh(np.array(mesh.vertices, np.float32), np.array(mesh.faces, np.int32))
        visual: Any = mesh.visual
        coloured = visual.kind == 'vertex'
        heat = np.array(visual.vertex_colors[:, 0], float) / 255 if coloured else np.zeros(0)
    except Exception as error:  # trimesh raises almost any exception for a damaged file
        raise dataset_files.DatasetError(f'{path}: not a readable mesh ({error}). {mend}') from error
    if not len(found.faces):
        raise dataset_files.DatasetError(f'{path}: a mesh without triangles. {mend}')
    if not coloured:
        raise dataset_files.DatasetError(f'{path}: a mesh without vertex colours, which are its thermal map. {mend}')
    return found, heat
