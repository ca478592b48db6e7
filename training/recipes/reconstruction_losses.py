# SPDX-License-Identifier: Apache-2.0
"""Losses of `reconstruction` (Tse et al., CVPR 2022, equations 1-3 and 9-13)."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.networks.reconstruction import Reconstruction
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import VOTED_DEPTH
from training.networks.reconstruction_estimators import HandPrediction

_BELL = 0.7
"""Standard deviation of a keypoint's bell, cells."""
_R2 = 0.7548776662466927, 0.5698402909980532
"""1/ρ and 1/ρ² of the plastic number ρ, the steps of the R₂ sequence."""
_SQUARE_CENTIMETRES = 1e4
"""Square centimetres in a square metre; in cm² the distances are of the order of the associative loss."""
_NEAREST = 0.03
"""Metres; depths below it are taken for it where keypoints are projected."""
_NO_DISTANCE = 1e-4
"""Added under the root of a distance, cm² (0.1 mm squared), so that its gradient is finite at 0."""


@dataclasses.dataclass(frozen=True)
class ReconstructionLosses:
    """Weights of the terms. Equation 13 weighs all terms alike, ObMan with 0.167."""

    vertices: float = 0.167
    """L_V, equation 1."""
    joints: float = 0.167
    """L_J, equation 2."""
    distance: float = 2.0
    """Mean distance of the keypoints, cm: the measure of the evaluation. The squared terms of the paper are dominated
    by the few hands with large errors."""
    chamfer: float = 0.167
    """L_obj, equation 3, between points sampled on both surfaces, as the paper evaluates objects. On the mesh's own
    vertices an unsure network gathers most of them in the middle and stretches a few triangles around them."""
    laplacian: float = 0.5
    """Distance of the object's vertices from the mean of their neighbours, ObMan's regulariser. With 0 (the paper's
    equation 3 alone) an unsure network folds the mesh."""
    association: float = 0.167
    """L_asso, equation 12; 0 omits it."""
    place: float = 2.5
    """Translation, which the paper's root-relative losses do not constrain."""
    votes: float = 30.0
    """Keypoints of the voting readout in half crops and 10 cm; not in the paper. The weight is large because the
    squared terms, which an untrained network can hardly reduce, otherwise dominate the start of a training."""
    voters: float = 8.0
    """Vote weights, which should be large near their keypoint: positions alone train them slowly."""
    reprojection: float = 15.0
    """Keypoints of the mesh in the crop, half crops, of hands that are located but not measured: those of photos."""
    shape: float = 0.02
    """Mean square of the shape's coefficients, as ObMan has it. The paper leaves it out; then they grow to several
    standard deviations whose effects cancel, and a robot that reads the shape reads nothing."""
    side: float = 8.0
    """Right hand or left hand."""
    holds: float = 4.0
    """Object or no object."""
    hand: float = 4.0
    """Hand or no hand."""
    earlier: float = 0.5
    """Weight of the mean over the earlier iterations' meshes relative to the last; 0 trains the last only. The paper
    does not specify it."""
    classes: int = 8
    """O of equation 12: object classes of the data; less than the batch."""


class ReconstructionTargets(NamedTuple):
    """A batch of labels in metres from the hand's root, camera axes. Flags are 0 or 1; labels with flag 0 may hold any
    finite number."""

    keypoints: Tensor
    """(B, 21, 3)."""
    place: Tensor
    """(B, 3), see `HandPrediction.place`."""
    pixels: Tensor
    """(B, 21, 2) keypoints in half crops right and down of the crop's centre."""
    vertices: Tensor
    """(B, V, 3)."""
    has_vertices: Tensor
    """(B,)."""
    surface: Tensor
    """(B, M, 3) points sampled uniformly on the object's surface."""
    has_object: Tensor
    """(B,)."""
    told: Tensor
    """(B,) whether has_object is known."""
    right: Tensor
    """(B,) right hands; the meshes of left hands do not count."""
    measured: Tensor
    """(B,) whether keypoints, place, vertices and surface are known; of photos they are not."""
    located: Tensor
    """(B,) whether pixels and side are known."""
    shows: Tensor
    """(B,) crops of hands; the others have no other label."""
    focal: Tensor
    """(B,) as `ViewCrop.focal`."""


def reconstruction_loss(
    result: Reconstruction, targets: ReconstructionTargets, losses: ReconstructionLosses, faces: Tensor
) -> dict[str, Tensor]:
    """Equation 13: the weighted terms by name; the training minimises their sum.

    Distances are means over the points, in cm², where the paper has sums, so that the size of a mesh does not matter.

    Args:
        result: of the network.
        targets: labels of the batch.
        losses: weights.
        faces: (F, 3) triangles of the object meshes.
    """
    last, right = result.hands[-1], targets.right * targets.measured
    terms = {
        'vertices': _over_iterations([_vertex_loss(hand, targets) for hand in result.hands], losses.earlier),
        'joints': _over_iterations(
            [_mean_where(_squared(hand.keypoints, targets.keypoints).mean(1), right) for hand in result.hands],
            losses.earlier,
        ),
        'distance': _over_iterations(
            [_mean_where(_distance(hand.keypoints, targets.keypoints).mean(1), right) for hand in result.hands],
            losses.earlier,
        ),
        'place': _mean_where(F.smooth_l1_loss(last.place, targets.place, beta=0.1, reduction='none').mean(1), right),
    }
    if losses.shape:
        hands = targets.right * targets.shows
        terms['shape'] = _over_iterations(
            [_mean_where(hand.shape.square().mean(1), hands) for hand in result.hands], losses.earlier
        )
    if result.objects:
        terms['chamfer'] = _over_iterations(
            [_object_loss(thing, faces, targets) for thing in result.objects], losses.earlier
        )
        if losses.laplacian:
            terms['laplacian'] = _over_iterations(
                [
                    _mean_where(laplacian_error(thing, faces) * _SQUARE_CENTIMETRES, targets.has_object * right)
                    for thing in result.objects
                ],
                losses.earlier,
            )
    if result.votes is not None:
        # Left hands count here too: locating the fingers of both sides teaches the difference between them.
        across = (result.votes.places[..., :2] - targets.pixels).abs().sum(-1).mean(1)
        behind = (result.votes.places[..., 2] - targets.keypoints[..., 2] / VOTED_DEPTH).abs().mean(1)
        terms['votes'] = _mean_where(across, targets.located) + _mean_where(behind, targets.measured)
        terms['voters'] = vote_weight_loss(result.votes.weights, targets.pixels, targets.located)
        terms['side'] = _balanced_cross_entropy(result.right, targets.right, targets.located)
    if result.holds is not None:
        terms['holds'] = _balanced_cross_entropy(result.holds, targets.has_object, targets.shows * targets.told)
    if not targets.shows.all():
        terms['hand'] = _balanced_cross_entropy(result.hand, targets.shows, torch.ones_like(targets.shows))
    photographed = targets.located * (1 - targets.measured) * targets.right
    if photographed.any():
        terms['reprojection'] = _over_iterations(
            [
                _mean_where((reprojected(hand, targets.focal) - targets.pixels).abs().sum(-1).mean(1), photographed)
                for hand in result.hands
            ],
            losses.earlier,
        )
    if losses.association and result.hand_messages:
        terms['association'] = torch.stack(
            [
                associative_loss(hand, thing, losses.classes)
                for hand, thing in zip(result.hand_messages, result.object_messages)
            ]
        ).mean()
    return {name: getattr(losses, name) * value for name, value in terms.items()}


def chamfer_distance(first: Tensor, second: Tensor, chunk: int = 256) -> Tensor:
    """Equation 3 with means for sums: half the sum of both directions' mean squared distance to the nearest point.

    Args:
        first: (B, N, 3).
        second: (B, M, 3).
        chunk: points whose distances to all others are computed at once.

    Returns:
        (B,) in squared units of the points.
    """
    return (_to_nearest(first, second, chunk) + _to_nearest(second, first, chunk)) / 2


def surface_points(vertices: Tensor, faces: Tensor, count: int) -> Tensor:
    """Points distributed evenly over the surfaces of meshes, the same at every call.

    Each point represents the same area, accumulated from triangle to triangle. Its position within the triangle follows
    the R₂ sequence (Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018).

    Args:
        vertices: (B, N, 3).
        faces: (F, 3).
        count: M.

    Returns:
        (B, M, 3); the gradient treats each point as fixed in its triangle.
    """
    number = torch.arange(count, dtype=vertices.dtype, device=vertices.device)
    with torch.no_grad():
        a, b, c = vertices[:, faces].unbind(2)
        covered = torch.linalg.cross(b - a, c - a).norm(dim=-1).cumsum(-1)
        chosen = torch.searchsorted(covered, (number + 0.5) / count * covered[:, -1:]).clamp(max=len(faces) - 1)
    outward, along = (number * _R2[0] + 0.5).frac().sqrt(), (number * _R2[1] + 0.5).frac()
    shares = torch.stack([1 - outward, outward * (1 - along), outward * along], -1)
    corners = vertices.gather(1, faces[chosen].flatten(1)[..., None].expand(-1, -1, 3)).unflatten(1, (count, 3))
    return (corners * shares[..., None]).sum(2)


def laplacian_error(vertices: Tensor, faces: Tensor) -> Tensor:
    """Mean squared uniform Laplacian (B,) of closed meshes: the squared distance of their vertices (B, N, 3) from the
    mean of the neighbours."""
    # In a closed mesh each neighbour of a vertex belongs to two of its triangles.
    beside = vertices[:, faces[:, [1, 2, 0]].flatten()] + vertices[:, faces[:, [2, 0, 1]].flatten()]
    middle = torch.zeros_like(vertices).index_add(1, faces.flatten(), beside)
    count = 2 * torch.bincount(faces.flatten(), minlength=vertices.shape[1])
    return (middle / count[:, None] - vertices).square().sum(-1).mean(1)


def reprojected(hand: HandPrediction, focal: Tensor) -> Tensor:
    """The keypoints of a predicted hand in its crop, (B, 21, 2) half crops right and down of the centre.

    Args:
        hand: the prediction.
        focal: (B,) as `ViewCrop.focal`.
    """
    width = CROP_WIDTH * hand.place[:, 2:].exp()
    across = hand.keypoints[..., :2] + (hand.place[:, :2] * width / 2)[:, None]
    depth = hand.keypoints[..., 2] + width * focal[:, None] / 2
    return focal[:, None, None] * across / depth.clamp(min=_NEAREST)[..., None]


def associative_loss(hand_messages: Tensor, object_messages: Tensor, classes: int) -> Tensor:
    """Equations 9 to 12: a walk from Φ_i = [φ_hand; φ_obj] to a similar Φ and back should end at its start.

    The diagonal of U is the paper's 1/O, where O is the number of classes in the data. Without similarities a walker
    returns with probability 1/B, so U separates the embeddings of a batch only if 1/O is larger: O < B (the paper:
    O ≪ B). With 1/B in U the same embedding for everything would be nearly optimal.

    Args:
        hand_messages: (B, C) φ_hand of a batch.
        object_messages: (B, C) φ_obj.
        classes: O.

    Returns:
        The squared Frobenius norm.

    Raises:
        ValueError: there are at least as many classes as samples.
    """
    batch = len(hand_messages)
    if classes >= batch:
        raise ValueError(
            f'{classes} classes in a batch of {batch}: the associative loss needs fewer classes than '
            'samples; increase the batch, or set its weight to 0'
        )
    embedding = torch.cat([hand_messages, object_messages], -1)
    step = torch.softmax(embedding @ embedding.mT, -1)
    target = torch.eye(batch, dtype=step.dtype, device=step.device) / classes
    return (target - step @ step).square().sum()


def vote_weight_loss(weights: Tensor, pixels: Tensor, located: Tensor) -> Tensor:
    """Cross-entropy between the vote weights and a bell around each keypoint inside the crop.

    Args:
        weights: (B, J, cells²) log weights of a square of cells, row by row.
        pixels: (B, J, 2) half crops right and down of the centre.
        located: (B,) whether the pixels are known.
    """
    cells = round(weights.shape[-1] ** 0.5)
    line = (torch.arange(cells, device=weights.device) + 0.5) * 2 / cells - 1
    # One cell is 2 / cells half crops wide.
    across, down = (-((line - pixels[..., k : k + 1]) * (cells / 2)).square() / (2 * _BELL**2) for k in (0, 1))
    bell = torch.softmax((down[..., :, None] + across[..., None, :]).flatten(-2), -1)
    inside = (pixels.abs() < 1).all(-1) * located[:, None]
    return _mean_where(-(bell * torch.log_softmax(weights, -1)).sum(-1), inside)


def _over_iterations(values: list[Tensor], earlier: float) -> Tensor:
    last = values[-1]
    return last + earlier * torch.stack(values[:-1]).mean() if earlier and len(values) > 1 else last


def _vertex_loss(hand: HandPrediction, targets: ReconstructionTargets) -> Tensor:
    return _mean_where(_squared(hand.vertices, targets.vertices).mean(1), targets.has_vertices * targets.right)


def _object_loss(vertices: Tensor, faces: Tensor, targets: ReconstructionTargets) -> Tensor:
    points = surface_points(vertices, faces, targets.surface.shape[1])
    return _mean_where(
        chamfer_distance(points, targets.surface) * _SQUARE_CENTIMETRES,
        targets.has_object * targets.right * targets.measured,
    )


def _squared(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square().sum(-1) * _SQUARE_CENTIMETRES


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """Centimetres; with a finite gradient at 0."""
    return (_squared(first, second) + _NO_DISTANCE).sqrt()


def _balanced_cross_entropy(log_odds: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy with both classes weighted alike, so that the output does not depend on their frequency. A batch of
    one class, as in most public data sets, has no loss.

    Args:
        log_odds: (B, 1).
        true: (B,) labels.
        known: (B,) whether the label is known.
    """
    entropy = F.binary_cross_entropy_with_logits(log_odds[:, 0].float(), true, reduction='none')
    yes, no = true * known, (1 - true) * known
    return yes.any() * no.any() * (_mean_where(entropy, yes) + _mean_where(entropy, no)) / 2


def _mean_where(values: Tensor, counted: Tensor) -> Tensor:
    return (values * counted).sum() / counted.sum().clamp(min=1)


def _to_nearest(points: Tensor, others: Tensor, chunk: int) -> Tensor:
    """(B,) mean squared distance of the points to the nearest of the others."""
    with torch.no_grad():
        # Half of the squared distances, without the term that is the same for all others.
        beyond = others.square().sum(-1)[:, None] / 2
        nearest = torch.cat(
            [torch.baddbmm(beyond, part, others.mT, alpha=-1).min(-1).indices for part in points.split(chunk, 1)], 1
        )
    return (points - others.gather(1, nearest[..., None].expand(-1, -1, 3))).square().sum(-1).mean(1)
