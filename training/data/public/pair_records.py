# SPDX-License-Identifier: Apache-2.0
"""From two recorded hands to records of `two_hand_prior`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import HandParameters
from hoi_ros.hand.pair import in_frame
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import vector_of
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.contact import mutual_gap
from hoi_ros.mesh.sampling import even_places
from hoi_ros.resources import model_dir
from training.data.object_mesh import ObjectMesh
from training.data.public.dataset_files import DatasetError
from training.data.synthetic.two_hands.records import OBJECT_PAIR_DTYPE
from training.data.synthetic.two_hands.records import OBJECT_POINTS
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.hand.mano import PoseSpace

RECORDED = 255
"""`kind` of a recorded pair, whose interaction nobody has named."""
_FLIP = np.array([-1.0, 1.0, 1.0])
_MEND = 'Give --hand, the file that `python -m training.hand.mano` makes of your MANO_RIGHT.pkl'


class PairRecords:
    """Makes records of pairs of one hand model.

    Args:
        right: the right hand of the model.

    Attributes:
        right, left: its two sides.
    """

    def __init__(self, right: HandModel) -> None:
        self.right, self.left = right, right.mirrored()
        self._faces = {hand.side: close_holes(hand.faces) for hand in (self.right, self.left)}

    def pair(self, right: HandParameters, left: HandParameters, index: int) -> np.ndarray:
        """A record of PAIR_DTYPE.

        Args:
            right, left: the hands in one frame, metres.
            index: of the stream.
        """
        anchor = vector_of(self.left, left)
        vectors = about_anchor(vector_of(self.right, right), anchor), anchored(anchor)
        return np.array((*vectors, RECORDED, *self._meeting(*vectors), index), PAIR_DTYPE)

    def object_pair(
        self, right: HandParameters, left: HandParameters, mesh: ObjectMesh, axes: np.ndarray, index: int
    ) -> np.ndarray:
        """A record of OBJECT_PAIR_DTYPE.

        Args:
            right, left: the hands in one frame, metres.
            mesh: the object in that frame.
            axes: (3, 3) the object's own axes there, as columns.
            index: of the stream.
        """
        own = mesh.vertices @ axes
        centre = (own.min(0) + own.max(0)) / 2
        hands = (vector_of(self.right, right), vector_of(self.left, left))
        vectors = [in_frame(vector, axes, axes @ centre) for vector in hands]
        vertices = (own - centre).astype(np.float32)
        places = even_places(vertices, mesh.faces, OBJECT_POINTS)
        surface = places.points(vertices, mesh.faces), places.normals(vertices, mesh.faces)
        return np.array((*vectors, RECORDED, *self._meeting(*vectors), index, *surface), OBJECT_PAIR_DTYPE)

    def _meeting(self, right: np.ndarray, left: np.ndarray) -> tuple[float, float]:
        """Penetration and gap of two hands, metres."""
        first, second = (
            hand.forward(*parameters_of(hand, vector)).vertices.astype(float)
            for hand, vector in ((self.right, right), (self.left, left))
        )
        least = mutual_gap(first, self._faces['right'], second, self._faces['left'])
        return max(-least, 0.0), max(least, 0.0)


class ManoHands:
    """Hands that a data set gives as parameters of MANO with `flat_hand_mean=False` and `use_pca=False`.

    Args:
        path: of a converted MANO; the installed hand model by default.

    Attributes:
        right, left: its two sides.

    Raises:
        DatasetError: the hand model is no MANO.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.right = HandModel.load(path)
        self.left = self.right.mirrored()
        file = path or model_dir('hand_model') / 'hand.npz'
        space = PoseSpace.load(file)
        if space is None:
            raise DatasetError(f'{file}: the data set has parameters of MANO, and this is another hand model. {_MEND}')
        self._spaces = {'right': space, 'left': space.mirrored()}

    def hand(self, side: str, pose: np.ndarray, shape: np.ndarray, translation: np.ndarray) -> HandParameters:
        """The parameters for the hand model; each rotation is written as the shortest one.

        Args:
            side: 'right' or 'left'.
            pose: (48,) axis-angle, that of the fingers relative to MANO's mean pose.
            shape: (10,); of a left hand, for MANO's corrected shape space, the mirror image of the right hand's.
            translation: (3,) metres.
        """
        turns = Rotation.from_rotvec(self._spaces[side].pose(pose, principal=False).reshape(16, 3))
        parts = turns.as_rotvec().reshape(48), shape, translation
        return HandParameters(*(np.asarray(part, np.float32) for part in parts))

    def uncorrected_left(self, shape: np.ndarray, translation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shape and translation of a left hand that MANO_LEFT.pkl poses as its file is.

        The file has the right hand's shape space although its template is mirrored
        (https://github.com/vchoutas/smplx/issues/48). The shape (10,) becomes the one whose vertices are nearest, and
        the translation (3,), metres, leaves the wrist where it was.
        """
        basis = self.left.shape_basis.astype(float)
        nearest = np.linalg.lstsq(basis.reshape(-1, 10), ((basis * _FLIP[:, None]) @ shape).ravel(), rcond=None)[0]
        joint = self.left.joint_shape_basis[0].astype(float)
        return nearest, translation + (joint * _FLIP[:, None]) @ shape - joint @ nearest
