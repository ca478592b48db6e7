# SPDX-License-Identifier: Apache-2.0
"""Errors of predicted hand and object meshes, and the contact and intersection of hand and object.

The protocol of Tse et al., "Collaborative Learning for Hand and Object Reconstruction with Attention-guided Graph
Convolution" (CVPR 2022), section 4, Tables 1 and 2. Inputs are metres; the names of
figures end with their unit.

Table 1 gives the object error in "mm" (641.5 → 385.7), and equation 3 halves two sums over points. The column is
neither: half a sum over 600 points would mean distances of 1 mm, below the spacing of 600 points on an object. The code
of ObMan (Hasson et al., CVPR 2019), the table's baseline, adds the mean squared distances of the two directions, in
mm², for 600 points on the true surface: `chamfer_mm2`. ObMan compares them with the 642 predicted vertices; here both
surfaces are sampled, as in the paper. `chamfer_mm` is a mean distance, a length.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.mesh.surface import Surface
from hoi_ros.mesh.volumes import penetration_depth
from hoi_ros.mesh.volumes import shared_volume
from training.evaluation.metrics import align_rigid
from training.evaluation.metrics import align_similarity
from training.evaluation.metrics import mean_joint_error

CHAMFER_POINTS = 600
"""Points per surface for the Chamfer distance, as in ObMan."""

VOXEL_MM = 5.0
"""Edge of the voxels of the intersection volume, as in the paper."""


class HandMeshErrors(NamedTuple):
    """Mean distances between predicted and true vertices, mm."""

    raw_mm: float
    root_relative_mm: float | None
    """With both roots at the same place; None without roots."""
    rigid_mm: float
    """After rigid alignment."""
    similarity_mm: float
    """After alignment with scale (Procrustes): the paper's mesh error on HO-3D."""


def hand_mesh_errors(
    predicted: np.ndarray, truth: np.ndarray, roots: tuple[np.ndarray, np.ndarray] | None = None
) -> HandMeshErrors:
    """The four errors of a hand.

    Args:
        predicted: (V, 3) metres.
        truth: (V, 3) metres, vertices of the same hand model.
        roots: (3,) metres each, the predicted and the true wrist, or another joint.

    Raises:
        ValueError: the shapes differ or a number is not finite.
    """
    return HandMeshErrors(
        mean_joint_error(predicted, truth),
        None if roots is None else mean_joint_error(predicted - roots[0], truth - roots[1]),
        mean_joint_error(align_rigid(predicted, truth), truth),
        mean_joint_error(align_similarity(predicted, truth), truth),
    )


def f_score(predicted: np.ndarray, truth: np.ndarray, threshold_mm: float) -> float:
    """F-score of hand vertices as in the FreiHAND and HO-3D challenges: the harmonic mean of the share of predicted
    points within the threshold (<) of a true point and the share of true points within it of a predicted one.

    Args:
        predicted: (N, 3) metres.
        truth: (M, 3) metres.
        threshold_mm: 5 and 15 in the challenges.

    Returns:
        0 to 1.
    """
    to_truth, to_predicted = _nearest_mm(predicted, truth)
    precision, recall = (to_truth < threshold_mm).mean(), (to_predicted < threshold_mm).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall > 0 else 0.0


def chamfer_mm2(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Symmetric Chamfer distance of the paper's tables, mm²: the mean squared distance of predicted points to the
    nearest true point plus that of true points to the nearest predicted point.

    Two independent samples of n points on a surface of area A differ by 2 A / (π n), the least value of any prediction:
    33 mm² for 600 points on a ball of 10 cm.

    Args:
        predicted: (N, 3) metres, sampled on the predicted surface.
        truth: (M, 3) metres, sampled on the true surface.
    """
    to_truth, to_predicted = _nearest_mm(predicted, truth)
    return float((to_truth**2).mean() + (to_predicted**2).mean())


def chamfer_mm(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Symmetric Chamfer distance as a length, mm: the average of the mean distances of the two directions.

    Two samples of the same surface differ by √(A / n) / 2. Arguments as in `chamfer_mm2`.
    """
    to_truth, to_predicted = _nearest_mm(predicted, truth)
    return float((to_truth.mean() + to_predicted.mean()) / 2)


class HandAndObject(NamedTuple):
    """A hand and the object it holds, in the same frame, metres; None for unknown parts."""

    keypoints: np.ndarray | None
    """(21, 3)."""
    hand: Surface | None
    held: Surface | None


@dataclasses.dataclass(frozen=True)
class MeshFigures:
    """All figures of a sample; None for undefined figures, such as those without a label."""

    hand_raw_mm: float | None
    """As in `HandMeshErrors`, like the next three; undefined between hand models of different vertex counts."""
    hand_root_relative_mm: float | None
    hand_rigid_mm: float | None
    hand_similarity_mm: float | None
    hand_f_5mm: float | None
    """F-score of the hand's vertices after similarity alignment, 0 to 1."""
    hand_f_15mm: float | None
    object_chamfer_mm2: float | None
    """Of the objects relative to the root of their hand: includes shape, size and place."""
    object_chamfer_mm: float | None
    penetration_mm: float | None
    """Predicted hand in predicted object; undefined if the object is not closed."""
    intersection_cm3: float | None
    """Undefined if the hand or the object is not closed."""
    contact: bool | None
    true_penetration_mm: float | None
    """The same three figures of the labels, which penetrate too."""
    true_intersection_cm3: float | None
    true_contact: bool | None
    contact_told: bool | None
    """Whether prediction and truth agree about contact."""
    not_closed: tuple[str, ...]
    """The meshes without an inside, among 'predicted hand', 'predicted object', 'true hand', 'true object'."""


def evaluate_meshes(
    predicted: HandAndObject,
    truth: HandAndObject,
    rng: np.random.Generator,
    root: int = 0,
    points: int = CHAMFER_POINTS,
    voxel_mm: float = VOXEL_MM,
) -> MeshFigures:
    """Computes all figures of a sample.

    Args:
        predicted: the prediction; at least what the truth has.
        truth: the labels.
        rng: samples the surfaces of the objects; seed it per sample.
        root: the keypoint of root-relative figures.
        points: per surface, for the Chamfer distances.
        voxel_mm: edge of a voxel.

    Raises:
        ValueError: the prediction lacks something that the truth has, or is not finite: count the sample as a failure.
    """
    for name, known in truth._asdict().items():
        if known is not None and getattr(predicted, name) is None:
            raise ValueError(f'the truth has {name} and the prediction has none: count the sample as a failure')
    rooted = truth.keypoints is not None
    errors: tuple[float | None, ...] = (None,) * 4
    scores: tuple[float | None, ...] = (None,) * 2
    if truth.hand is not None:
        ours, theirs = predicted.hand.vertices, truth.hand.vertices
        aligned = None
        if len(ours) == len(theirs):
            roots = (predicted.keypoints[root], truth.keypoints[root]) if rooted else None
            errors = hand_mesh_errors(ours, theirs, roots)
            aligned = align_similarity(ours, theirs)
        elif rooted:
            aligned = _carried(ours, predicted.keypoints, align_similarity(predicted.keypoints, truth.keypoints))
        if aligned is not None:
            scores = tuple(f_score(aligned, theirs, threshold) for threshold in (5, 15))
    chamfer: tuple[float | None, ...] = (None,) * 2
    if truth.held is not None and rooted:
        sampled = [side.held.sample(points, rng) - side.keypoints[root] for side in (truth, predicted)]
        chamfer = chamfer_mm2(*sampled[::-1]), chamfer_mm(*sampled[::-1])
    not_closed = tuple(
        f'{side} {name}'
        for side, pair in (('predicted', predicted), ('true', truth))
        for name, mesh in (('hand', pair.hand), ('object', pair.held))
        if mesh and not mesh.closed
    )
    ours, theirs = (_interaction(pair, voxel_mm) for pair in (predicted, truth))
    told = None if ours[-1] is None or theirs[-1] is None else ours[-1] == theirs[-1]
    return MeshFigures(*errors, *scores, *chamfer, *ours, *theirs, told, not_closed)


@dataclasses.dataclass(frozen=True)
class MeshSummary:
    """The figures of a set, by their names in `MeshFigures`."""

    samples: int
    mean: dict[str, float | None]
    """Means over the samples that define a figure, shares for booleans; None if no sample defines it."""
    undefined: dict[str, int]
    """Number of samples that each mean leaves out."""
    not_closed: dict[str, int]
    """Number of samples with a mesh without an inside, by mesh."""


def summarise(figures: Sequence[MeshFigures]) -> MeshSummary:
    """Means over a set of samples, and the number of undefined figures."""
    names = [field.name for field in dataclasses.fields(MeshFigures) if field.name != 'not_closed']
    known = {name: [value for sample in figures if (value := getattr(sample, name)) is not None] for name in names}
    return MeshSummary(
        len(figures),
        {name: float(np.mean(values)) if values else None for name, values in known.items()},
        {name: len(figures) - len(values) for name, values in known.items()},
        dict(Counter(mesh for sample in figures for mesh in sample.not_closed)),
    )


def _interaction(pair: HandAndObject, voxel_mm: float) -> tuple[float | None, float | None, bool | None]:
    """Penetration in mm, shared volume in cm³, and contact."""
    hand, held = pair.hand, pair.held
    if hand is None or held is None:
        return None, None, None
    depth = 1e3 * penetration_depth(hand.vertices, held) if held.closed else None
    volume = 1e6 * shared_volume(hand, held, voxel_mm / 1e3) if hand.closed and held.closed else None
    return depth, volume, held.touches(hand.vertices)


def _carried(points: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Points moved by the similarity that maps source to target exactly."""
    start, end = source.mean(0), target.mean(0)
    rotation, _ = Rotation.align_vectors(target - end, source - start)
    scale = np.linalg.norm(target - end) / np.linalg.norm(source - start)
    return scale * rotation.apply(points - start) + end


def _nearest_mm(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    to_truth, to_predicted = cKDTree(truth).query(predicted)[0], cKDTree(predicted).query(truth)[0]
    return to_truth * 1e3, to_predicted * 1e3
