# SPDX-License-Identifier: Apache-2.0
"""Which pseudo-labels of contact are kept: the constraints of S²Contact (Tse et al., ECCV 2022, section 3.2).

The paper gives thresholds without units: 0.7 for the Chamfer distance, 6 for the penetration and 0.25 for the picture.
Here lengths of the first are decimetres, so that a grasp of a household object has 0.1 to 0.5 dm² and a hand beside it
more than 0.7. The penetration is the sum over the object's points in centimetres, 60 mm in all.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.mesh.contact import winding
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.simulation.raycast import Raycaster

SIZE = 96
"""Side of the pictures, pixels."""
_DISTANCE, _FILLED = 0.7, 0.9
"""Distance of the camera of a view, metres, and share of the picture that hand and object fill."""
_SKIN, _THING = 1.0, 0.6
"""Brightness of hand and object in full light."""
_AMBIENT = 0.35
_LIGHT = np.array([-0.45, -0.55, -0.7])
"""Towards the light, in the camera's frame."""
_WINDOW, _DEVIATION = 11, 1.5
"""Side and standard deviation of the Gaussian window of the structural similarity, pixels."""
_STABLE = 0.01**2, 0.03**2
"""Its constants, for pictures in [0, 1]."""


@dataclasses.dataclass(frozen=True)
class FilterConfig:
    """Thresholds of the pseudo-labels; `inf` switches a filter off."""

    chamfer: float = 0.7
    """t_dist: largest Chamfer distance of hand and object, dm²."""
    penetration: float = 6.0
    """t_pen: largest sum of the depths of the object's points in the hand, centimetres."""
    dissimilarity: float = 0.25
    """t_SSIM: largest 1 − SSIM of the rendered hand and object and the picture of them."""


class Verdict(NamedTuple):
    """What the filters measure of a refined grasp, see `FilterConfig`."""

    chamfer: float
    penetration: float
    dissimilarity: float

    def kept(self, config: FilterConfig) -> bool:
        """Whether the pseudo-label passes all filters."""
        return all(found <= most for found, most in zip(self, dataclasses.astuple(config), strict=True))


class Mesh(NamedTuple):
    """Vertices (V, 3) in metres and faces (F, 3), counter-clockwise from outside."""

    vertices: np.ndarray
    faces: np.ndarray


def chamfer(hand: np.ndarray, thing: np.ndarray) -> float:
    """Equation 4, dm²: the mean squared distance of object points (M, 3) to the hand (V, 3) plus the reverse, metres
    in."""
    squared = [(cKDTree(one).query(other)[0] ** 2).mean() for one, other in ((hand, thing), (thing, hand))]
    return float(100 * sum(squared))


def penetration(hand: Mesh, points: np.ndarray) -> float:
    """The sum of the depths of the object's points (M, 3) in a closed hand, centimetres."""
    points = np.asarray(points, np.float64)
    inside = points[winding(points, *hand) != 0]
    return float(100 * TriangleScene(*hand).distances(inside).sum()) if len(inside) else 0.0


def dissimilarity(picture: np.ndarray, rendered: np.ndarray) -> float:
    """Equation 5: 1 − SSIM of two pictures (H, W) in [0, 1], black outside of hand and object.

    The mean of the structural similarity (Wang et al., "Image quality assessment", 2004) over the pixels.
    """

    def smoothed(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _DEVIATION)

    first, second = picture.astype(np.float64), rendered.astype(np.float64)
    mean, other = smoothed(first), smoothed(second)
    variance, spread = smoothed(first**2) - mean**2, smoothed(second**2) - other**2
    shared = smoothed(first * second) - mean * other
    like = (2 * mean * other + _STABLE[0]) * (2 * shared + _STABLE[1])
    return 1 - float((like / ((mean**2 + other**2 + _STABLE[0]) * (variance + spread + _STABLE[1]))).mean())


@dataclasses.dataclass(frozen=True)
class View:
    """A camera that sees hands and objects of one frame.

    Attributes:
        turn: (3, 3) rotation from the frame into the camera's.
        shift: (3,) metres, behind the rotation.
        camera: intrinsics; the picture has its size.
    """

    turn: np.ndarray
    shift: np.ndarray
    camera: Pinhole

    @classmethod
    def of(cls, hand: Mesh, thing: Mesh, turn: Rotation) -> View:
        """The view whose picture a hand and an object fill, from a direction."""
        points = turn.apply(np.concatenate([hand.vertices, thing.vertices]))
        middle = (points.min(0) + points.max(0)) / 2
        focal = _FILLED * SIZE * _DISTANCE / np.ptp(points[:, :2], axis=0).max()
        camera = Pinhole(SIZE, SIZE, focal, focal, (SIZE - 1) / 2, (SIZE - 1) / 2)
        return cls(turn.as_matrix(), np.array([0, 0, _DISTANCE]) - middle, camera)

    def picture(self, hand: Mesh, thing: Mesh) -> np.ndarray:
        """(H, W) float32 in [0, 1]: hand and object in the light of a lamp, black elsewhere."""
        vertices = np.concatenate([hand.vertices, thing.vertices])
        joined = np.concatenate([hand.faces, np.asarray(thing.faces) + len(hand.vertices)])
        placed = vertices @ self.turn.T + self.shift
        hits = Raycaster(placed, joined).look(self.camera)
        seen = hits.triangles >= 0
        shares = hits.shares[seen]
        weights = np.concatenate([1 - shares.sum(1, keepdims=True), shares], 1)[..., None]
        normals = (vertex_normals(placed, joined)[joined[hits.triangles[seen]]] * weights).sum(1)
        lengths = np.maximum(np.linalg.norm(normals, axis=1), 1e-12) * np.linalg.norm(_LIGHT)
        light = _AMBIENT + (1 - _AMBIENT) * np.clip(normals @ _LIGHT / lengths, 0, 1)
        image = np.zeros(seen.shape, np.float32)
        image[seen] = light * np.where(hits.triangles[seen] < len(hand.faces), _SKIN, _THING)
        return image
