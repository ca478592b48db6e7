# SPDX-License-Identifier: Apache-2.0
"""One image of a hand and of the object that it holds: the common type of all data sets and of the generator."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal
from typing import Protocol

import numpy as np

from hoi_ros.camera.pinhole import Pinhole


@dataclasses.dataclass(frozen=True)
class Texture:
    """The colours of a scanned object.

    Attributes:
        image: file of the picture.
        vertices: (T,) the vertex of the shape that each corner with a place of its own stands on.
        faces: (F, 3) int32, the shape's triangles as corners.
        places: (T, 2) places of the corners in the picture, right and up from its lower left, 0 to 1.
        reflection: (4, 4), in the shape's frame, that maps the shape to itself but not its colours; None if it has no
            such symmetry.
    """

    image: Path
    vertices: np.ndarray
    faces: np.ndarray
    places: np.ndarray
    reflection: np.ndarray | None = None

    def mirrored(self) -> Texture:
        """Of the mirror image of the shape, whose triangles have the opposite order."""
        return dataclasses.replace(self, faces=np.ascontiguousarray(self.faces[:, ::-1]))


@dataclasses.dataclass(frozen=True)
class ObjectLabel:
    """The object of an image: a mesh in its own frame, and its pose in the camera's optical frame; metres."""

    name: str
    """Its name in the data set, or its family in generated data."""
    vertices: np.ndarray
    """(M, 3) float32, the object's own frame."""
    faces: np.ndarray
    """(F, 3) int32."""
    pose: np.ndarray
    """(4, 4) from the object's frame to the camera's."""
    texture: Texture | None = None
    """Of a scanned object in generated data."""

    @property
    def placed(self) -> np.ndarray:
        """(M, 3) vertices in the camera's frame."""
        return self.vertices @ self.pose[:3, :3].T + self.pose[:3, 3]


@dataclasses.dataclass(frozen=True)
class HandObjectSample:
    """An image with its labels; None for labels that a data set lacks. Metres, camera's optical frame."""

    name: str
    """Identifies the image in its data set."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    camera: Pinhole
    side: Literal['left', 'right']
    keypoints: np.ndarray | None
    """(21, 3) wrist, then thumb, index, middle, ring, little, each from the palm to the tip."""
    pose: np.ndarray | None = None
    """(48,) axis-angle pose of the data set's hand model, the mean pose included."""
    shape: np.ndarray | None = None
    """(10,)."""
    hand_vertices: np.ndarray | None = None
    """(V, 3); MANO's 778 in the public data sets."""
    held: ObjectLabel | None = None
    contact: np.ndarray | None = None
    """(V,) bool: the hand vertices that touch the object."""
    depth: np.ndarray | None = None
    """(H, W) float32 metres, 0 invalid."""


class HandObjectSamples(Protocol):
    """A split of a data set: index → sample. Picklable, so that workers can hold it.

    Attributes:
        recordings: (N,) which recording each sample belongs to, whatever camera saw it: samples of one show the same
            person, thing and place, and often the same moment.
    """

    recordings: np.ndarray

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> HandObjectSample: ...
