# SPDX-License-Identifier: Apache-2.0
"""What `reconstruction` minimises (Tse et al., CVPR 2022, equations 1-3 and 9-13)."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.networks.reconstruction import HandEstimate
from training.networks.reconstruction import Reconstruction
from training.networks.reconstruction import VOTED_DEPTH

_BELL = 0.7
"""Standard deviation of a keypoint's bell, cells."""
_R2 = 0.7548776662466927, 0.5698402909980532
"""1/ρ and 1/ρ² of the plastic number ρ."""
_SQUARE_CENTIMETRES = 1e4
"""In a square metre: in this unit the distances are of the order of the associative loss."""
_NO_DISTANCE = 1e-4
"""Square of a tenth of a millimetre, cm²."""


@dataclasses.dataclass(frozen=True)
class ReconstructionLosses:
    """Weights of the terms. Equation 13 gives all the same one, ObMan 0.167."""

    vertices: float = 0.167
    """L_V, equation 1."""
    joints: float = 0.167
    """L_J, equation 2."""
    distance: float = 2.0
    """Of the keypoints' mean distance, cm, which is how they are evaluated: the squares of the paper's losses are
    mostly those of the few hands that are far off."""
    chamfer: float = 0.167
    """L_obj, equation 3, between points drawn on both surfaces, as the paper evaluates objects. With the mesh's own
    vertices instead a network that is unsure gathers most of them in the middle and stretches a few triangles around
    them: vertices at half of the true distance from their centre, in a box five times too large."""
    laplacian: float = 0.5
    """Of how far the object's vertices lie from the middle of their neighbours, as ObMan regularises its meshes; 0
    leaves the paper's equation 3 alone, under which a network that is unsure folds the mesh to fill the room."""
    association: float = 0.167
    """L_asso, equation 12; 0 leaves it out."""
    place: float = 2.5
    """Of the translation, which the paper's root-relative losses leave free."""
    votes: float = 30.0
    """Of the keypoints that the voting readout sees, half crops and 10 cm; the paper has none. While a network tells
    little of a pose, the squares above, which it can hardly reduce, must not drown what it can learn: with a weight of
    2 a network reached in 600 steps the loss of its votes that it reached in 100 with the squares at a sixteenth (one
    run each, on the same samples)."""
    voters: float = 8.0
    """Of the cells whose votes count, which are to be those near a keypoint: from where all cells count alike, places
    alone teach slowly."""
    side: float = 8.0
    """Of whether a right hand is seen."""
    holds: float = 4.0
    """Of whether an object is."""
    earlier: float = 0.5
    """What the mean over the earlier iterations' meshes counts beside those of the last; 0: only the last learns. The
    paper does not say."""
    classes: int = 8
    """O of equation 12: classes of objects in the data; less than the batch."""


class ReconstructionTargets(NamedTuple):
    """A batch of labels: metres from the hand's root, the camera's axes. Flags are 0 or 1, and what they switch off
    may hold anything finite."""

    keypoints: Tensor
    """(B, 21, 3)."""
    place: Tensor
    """(B, 3) as `HandEstimate.place`."""
    pixels: Tensor
    """(B, 21, 2) the keypoints, half crops right and down of the crop's centre."""
    vertices: Tensor
    """(B, V, 3)."""
    has_vertices: Tensor
    """(B,)."""
    surface: Tensor
    """(B, M, 3) points drawn uniformly on the object's surface."""
    has_object: Tensor
    """(B,)."""
    right: Tensor
    """(B,) whether the crop shows a right hand. Of a left one the meshes are not learned."""


def reconstruction_loss(
    result: Reconstruction, targets: ReconstructionTargets, losses: ReconstructionLosses, faces: Tensor
) -> dict[str, Tensor]:
    """Equation 13: the weighted terms by name, whose sum is minimised; `faces` (F, 3) are those of the objects.

    Distances are means over the points, in cm², where the paper writes sums: a mesh of more vertices must not count
    for more.
    """
    last, right = result.hands[-1], targets.right
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
    if result.objects:
        terms['chamfer'] = _over_iterations(
            [_object_loss(thing, faces, targets) for thing in result.objects], losses.earlier
        )
        if losses.laplacian:
            terms['laplacian'] = _over_iterations(
                [
                    _mean_where(unevenness(thing, faces) * _SQUARE_CENTIMETRES, targets.has_object * right)
                    for thing in result.objects
                ],
                losses.earlier,
            )
    if result.votes is not None:
        seen = torch.cat([targets.pixels, targets.keypoints[..., 2:] / VOTED_DEPTH], -1)
        # Those of left hands too: whoever names the fingers of both has learned what tells the sides apart.
        terms['votes'] = (result.votes.places - seen).abs().sum(-1).mean()
        terms['voters'] = voters_loss(result.votes.weights, targets.pixels)
        terms['side'] = _doubt(result.right, right)
    if result.holds is not None:
        terms['holds'] = _doubt(result.holds, targets.has_object)
    if losses.association and result.hand_messages:
        terms['association'] = torch.stack(
            [
                associative_loss(hand, thing, losses.classes)
                for hand, thing in zip(result.hand_messages, result.object_messages)
            ]
        ).mean()
    return {name: getattr(losses, name) * value for name, value in terms.items()}


def chamfer_distance(first: Tensor, second: Tensor, chunk: int = 256) -> Tensor:
    """Equation 3 with means for sums: half of the mean squared distances to the other set's nearest point.

    Args:
        first: (B, N, 3).
        second: (B, M, 3).
        chunk: points whose distances to all others are held at once.

    Returns:
        (B,) squared units of the points.
    """
    return (_to_nearest(first, second, chunk) + _to_nearest(second, first, chunk)) / 2


def spread_over(vertices: Tensor, faces: Tensor, count: int) -> Tensor:
    """Points spread evenly over the surfaces of meshes, the same at every call.

    Each stands for the same area, counted from triangle to triangle; within its triangle it lies where the R₂
    sequence puts it (Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018).

    Args:
        vertices: (B, N, 3).
        faces: (F, 3).
        count: M.

    Returns:
        (B, M, 3); the gradient is that of points fixed to their triangles.
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


def unevenness(vertices: Tensor, faces: Tensor) -> Tensor:
    """Mean squared distance of the vertices (B, N, 3) of closed meshes from the middle of their neighbours, which is
    the uniform Laplacian's → (B,)."""
    # In a closed mesh each neighbour of a vertex is in two of its triangles.
    beside = vertices[:, faces[:, [1, 2, 0]].flatten()] + vertices[:, faces[:, [2, 0, 1]].flatten()]
    middle = torch.zeros_like(vertices).index_add(1, faces.flatten(), beside)
    count = 2 * torch.bincount(faces.flatten(), minlength=vertices.shape[1])
    return (middle / count[:, None] - vertices).square().sum(-1).mean(1)


def associative_loss(hand_messages: Tensor, object_messages: Tensor, classes: int) -> Tensor:
    """Equations 9 to 12: a walk from Φ_i = [φ_hand; φ_obj] to a similar Φ and back should end where it began.

    U has the paper's 1/O on its diagonal, O the classes of the data. A walker that no similarity guides returns with
    probability 1/B; U draws the embeddings of a batch apart only where 1/O is more than that, hence O < B (the paper:
    O ≪ B). With 1/B in U one embedding for everything would nearly be optimal.

    Args:
        hand_messages: (B, C) φ_hand of a batch.
        object_messages: (B, C) φ_obj.
        classes: O.

    Returns:
        The squared Frobenius norm.

    Raises:
        ValueError: there are not fewer classes than samples.
    """
    batch = len(hand_messages)
    if classes >= batch:
        raise ValueError(
            f'{classes} classes in a batch of {batch}: the associative loss needs fewer classes than '
            'samples; make the batch larger, or set its weight to 0'
        )
    embedding = torch.cat([hand_messages, object_messages], -1)
    step = torch.softmax(embedding @ embedding.mT, -1)
    target = torch.eye(batch, dtype=step.dtype, device=step.device) / classes
    return (target - step @ step).square().sum()


def voters_loss(weights: Tensor, pixels: Tensor) -> Tensor:
    """Cross-entropy between the cells whose votes count and a bell about each keypoint inside the crop.

    Args:
        weights: (B, J, cells²) logarithms, of a square of cells row by row.
        pixels: (B, J, 2) half crops right and down of the centre.
    """
    cells = round(weights.shape[-1] ** 0.5)
    line = (torch.arange(cells, device=weights.device) + 0.5) * 2 / cells - 1
    # One cell is 2 / cells half crops wide.
    across, down = (-((line - pixels[..., k : k + 1]) * (cells / 2)).square() / (2 * _BELL**2) for k in (0, 1))
    bell = torch.softmax((down[..., :, None] + across[..., None, :]).flatten(-2), -1)
    inside = (pixels.abs() < 1).all(-1)
    return _mean_where(-(bell * torch.log_softmax(weights, -1)).sum(-1), inside)


def _over_iterations(values: list[Tensor], earlier: float) -> Tensor:
    last = values[-1]
    return last + earlier * torch.stack(values[:-1]).mean() if earlier and len(values) > 1 else last


def _vertex_loss(hand: HandEstimate, targets: ReconstructionTargets) -> Tensor:
    return _mean_where(_squared(hand.vertices, targets.vertices).mean(1), targets.has_vertices * targets.right)


def _object_loss(vertices: Tensor, faces: Tensor, targets: ReconstructionTargets) -> Tensor:
    points = spread_over(vertices, faces, targets.surface.shape[1])
    return _mean_where(
        chamfer_distance(points, targets.surface) * _SQUARE_CENTIMETRES, targets.has_object * targets.right
    )


def _squared(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square().sum(-1) * _SQUARE_CENTIMETRES


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """Centimetres; that of a point to itself has a gradient, too."""
    return (_squared(first, second) + _NO_DISTANCE).sqrt()


def _doubt(log_odds: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy as if both cases were as frequent: what is said is evidence, not what the batch holds more of. A
    batch that shows one case alone, as those of most public data sets, teaches nothing."""
    doubt = F.binary_cross_entropy_with_logits(log_odds[:, 0].float(), true, reduction='none')
    return true.any() * (1 - true).any() * (_mean_where(doubt, true) + _mean_where(doubt, 1 - true)) / 2


def _mean_where(values: Tensor, counted: Tensor) -> Tensor:
    return (values * counted).sum() / counted.sum().clamp(min=1)


def _to_nearest(points: Tensor, others: Tensor, chunk: int) -> Tensor:
    """(B,) mean squared distance from each point to the nearest of the others."""
    with torch.no_grad():
        # Half of the squared distances without what all others have in common.
        beyond = others.square().sum(-1)[:, None] / 2
        nearest = torch.cat(
            [torch.baddbmm(beyond, part, others.mT, alpha=-1).min(-1).indices for part in points.split(chunk, 1)], 1
        )
    return (points - others.gather(1, nearest[..., None].expand(-1, -1, 3))).square().sum(-1).mean(1)
