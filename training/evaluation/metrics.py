# SPDX-License-Identifier: Apache-2.0
"""Errors of predicted joints.

Joints (..., J, 3) are in metres, errors in millimetres. Predictions must be finite: the caller counts missed hands.
"""

from __future__ import annotations

import dataclasses

import numpy as np


def joint_errors(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of each joint, mm.

    Args:
        predicted: (..., J, 3) metres.
        truth: (..., J, 3) metres.

    Returns:
        (..., J) millimetres.

    Raises:
        ValueError: the shapes differ, are not (..., J, 3) or are empty, or a number is not finite.
    """
    predicted, truth = _pair(predicted, truth)
    return np.linalg.norm(predicted - truth, axis=-1) * 1e3


def mean_joint_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance over all joints of all frames, mm. Arguments and errors as `joint_errors`."""
    return float(joint_errors(predicted, truth).mean())


def per_joint_error(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(J,) mean distance of each joint over all frames, mm. Arguments and errors as `joint_errors`."""
    errors = joint_errors(predicted, truth)
    return errors.reshape(-1, errors.shape[-1]).mean(0)


def share_within(errors_mm: np.ndarray, bound_mm: float | np.ndarray) -> float | np.ndarray:
    """Share of the frames whose largest joint error is within a bound (≤).

    Args:
        errors_mm: (..., J) errors, mm.
        bound_mm: one bound, or (T,) bounds.

    Returns:
        0 to 1; (T,) for several bounds.
    """
    worst = np.asarray(errors_mm).max(-1)
    return pck(worst, bound_mm)


def pck(errors_mm: np.ndarray, threshold_mm: float | np.ndarray) -> float | np.ndarray:
    """Share of correct keypoints: those with an error within the threshold (≤).

    Args:
        errors_mm: errors of any shape, mm.
        threshold_mm: one threshold, or (T,) thresholds of a curve.

    Returns:
        0 to 1; (T,) for several thresholds.
    """
    ordered = np.sort(np.asarray(errors_mm), axis=None)
    share = np.searchsorted(ordered, threshold_mm, side='right') / ordered.size
    return float(share) if np.ndim(share) == 0 else share


def pck_auc(errors_mm: np.ndarray, lowest_mm: float, highest_mm: float) -> float:
    """Area under the PCK curve between two thresholds, divided by their difference.

    The curve is a step function, so the area is exact.

    Args:
        errors_mm: errors of any shape, mm.
        lowest_mm: lower end, 20 or 0 in the literature.
        highest_mm: upper end, 50 in the literature.

    Raises:
        ValueError: the range is empty.
    """
    if not lowest_mm < highest_mm:
        raise ValueError(f'the range {lowest_mm} to {highest_mm} mm is empty, expected lowest_mm < highest_mm')
    width = highest_mm - lowest_mm
    return float(np.clip(highest_mm - np.asarray(errors_mm), 0, width).mean() / width)


def align_rigid(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Aligns each frame's prediction with its truth by a rotation and a translation, least squares (Kabsch 1976).

    Args:
        predicted: (..., J, 3).
        truth: (..., J, 3), the same unit.

    Returns:
        (..., J, 3) in the frame of the truth, without reflection.

    Raises:
        ValueError: as `joint_errors`.
    """
    return _align(predicted, truth, scaled=False)


def align_similarity(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """As `align_rigid`, with a scale of each frame (Umeyama 1991)."""
    return _align(predicted, truth, scaled=True)


@dataclasses.dataclass(frozen=True)
class JointMetrics:
    """The figures of a set of frames: errors in mm, shares and areas 0 to 1."""

    frames: int
    mean_mm: float
    median_mm: float
    rigid_mm: float
    """Mean after rigid alignment of each frame."""
    similarity_mm: float
    """Mean after rigid alignment and scaling of each frame."""
    auc_0_50: float
    similarity_auc_0_50: float
    """After rigid alignment and scaling of each frame, as in the challenge of HO-3D."""
    auc_20_50: float
    within_20: float
    """Share of frames with every joint within 20 mm."""
    within_40: float
    per_joint_mm: tuple[float, ...]


def evaluate_joints(predicted: np.ndarray, truth: np.ndarray) -> JointMetrics:
    """All figures of a set of frames.

    Args:
        predicted: (N, J, 3) metres.
        truth: (N, J, 3) metres.

    Raises:
        ValueError: as `joint_errors`.
    """
    errors = joint_errors(predicted, truth)
    aligned = joint_errors(align_similarity(predicted, truth), truth)
    return JointMetrics(
        frames=int(np.prod(errors.shape[:-1])),
        mean_mm=float(errors.mean()),
        median_mm=float(np.median(errors)),
        rigid_mm=mean_joint_error(align_rigid(predicted, truth), truth),
        similarity_mm=float(aligned.mean()),
        auc_0_50=pck_auc(errors, 0, 50),
        similarity_auc_0_50=pck_auc(aligned, 0, 50),
        auc_20_50=pck_auc(errors, 20, 50),
        within_20=share_within(errors, 20),
        within_40=share_within(errors, 40),
        per_joint_mm=tuple(per_joint_error(predicted, truth).tolist()),
    )


def _align(predicted: np.ndarray, truth: np.ndarray, scaled: bool) -> np.ndarray:
    predicted, truth = _pair(predicted, truth)
    centre = truth.mean(-2, keepdims=True)
    source, target = predicted - predicted.mean(-2, keepdims=True), truth - centre
    left, singular, right = np.linalg.svd(np.swapaxes(target, -1, -2) @ source)
    # Umeyama's S flips the smallest direction if the best orthogonal matrix is a reflection.
    signs = np.ones_like(singular)
    signs[..., 2] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = (left * signs[..., None, :]) @ right
    turned = source @ np.swapaxes(rotation, -1, -2)
    if scaled:
        spread = (source**2).sum((-1, -2))
        scale = np.divide((singular * signs).sum(-1), spread, out=np.ones_like(spread), where=spread > 0)
        turned = turned * scale[..., None, None]
    return turned + centre


def _pair(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or truth.ndim < 2 or truth.shape[-1] != 3 or truth.size == 0:
        raise ValueError(
            f'predicted has shape {predicted.shape} and truth {truth.shape}, expected the same '
            '(..., J, 3) with at least one joint'
        )
    for name, array in (('predicted', predicted), ('truth', truth)):
        if not np.isfinite(array).all():
            bad = int((~np.isfinite(array).all(-1)).sum())
            raise ValueError(f'{name} has {bad} joints that are not finite: count missed hands separately')
    return predicted, truth
