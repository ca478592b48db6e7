# SPDX-License-Identifier: Apache-2.0
"""The network whose features compare made pairs of hands with given ones (InterHandGen, supplement S.4.1).

PointNet++ (Qi et al., NeurIPS 2017) regresses the poses and the roots of two hands from their surfaces as one cloud of
points; the layer before the last is the feature. It has 108 outputs as in the paper, which names two poses, a rotation
of six numbers and a translation: here 45 + 6 + 3 of each hand, the root about the wrist of the other hand, or about the
object where there is one.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import POSE
from hoi_ros.hand.pair import ROOT
from training.networks.contact.layers import PointMlp
from training.networks.contact.pointnet2 import farthest_points
from training.networks.contact.pointnet2 import SetAbstraction
from training.networks.two_hand_prior.posing import of_vertices
from training.networks.two_hand_prior.posing import posed
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights

FEATURES = 128
"""Numbers of a feature."""
POINTS = 256
"""Points of each hand: vertices that are far from each other at rest."""
OUTPUTS = 108
_UNIT = 0.1
"""Metres of a unit of the network's coordinates."""
_COMMAND = 'train two_hand_features'
_BATCH = 256
"""Pairs of a batch at inference."""


class TwoHandFeatures(nn.Module):
    """PointNet++ on two hands, and on an object beside them.

    Args:
        with_object: whether there is an object.
    """

    def __init__(self, with_object: bool = False) -> None:
        super().__init__()
        self.fine = SetAbstraction(0.125, 0.03 / _UNIT, (5, 32, 64), 8)
        self.coarse = SetAbstraction(0.25, 0.08 / _UNIT, (64, 64, 128), 12)
        self.whole = PointMlp((128 + 3, 128, 256))
        self.object = ObjectCloud() if with_object else None
        self.dense = PointMlp((256 + (ObjectCloud.WIDTH if with_object else 0), 256, FEATURES))
        self.last = nn.Linear(FEATURES, OUTPUTS)
        self.register_buffer('mean', torch.zeros(OUTPUTS))
        self.register_buffer('deviation', torch.ones(OUTPUTS))

    def forward(self, points: Tensor, object_points: Tensor | None = None) -> Tensor:
        """(B, 108) outputs of `targets`: the right hand's 54 numbers and the left's.

        Args:
            points: (B, 2 N, 3) metres, the right hand's points and then as many of the left hand, in the frame of the
                left wrist or of the object.
            object_points: (B, M, 3) metres, if the network has seen objects.
        """
        return self.last(self.features(points, object_points)) * self.deviation + self.mean

    def features(self, points: Tensor, object_points: Tensor | None = None) -> Tensor:
        """(B, 128); arguments as of `forward`."""
        points, half = points / _UNIT, points.shape[1] // 2
        side = torch.zeros_like(points[..., :2])
        side[:, :half, 0], side[:, half:, 1] = 1, 1
        places, x = self.coarse(*self.fine(points, torch.cat([points, side], -1)))
        x = self.whole(torch.cat([x, places], -1)).amax(1)
        if self.object is not None:
            x = torch.cat([x, self.object(object_points)], -1)
        return self.dense(x)


class ObjectCloud(nn.Module):
    """PointNet++ on the surface of an object."""

    WIDTH = 128

    def __init__(self) -> None:
        super().__init__()
        self.fine = SetAbstraction(0.125, 0.05 / _UNIT, (3, 32, 32, 64), 16)
        self.whole = PointMlp((64 + 3, 64, 128, self.WIDTH))

    def forward(self, points: Tensor) -> Tensor:
        """(B, 128) of points (B, M, 3), metres."""
        places, x = self.fine(points / _UNIT, points / _UNIT)
        return self.whole(torch.cat([x, places], -1)).amax(1)


class PairClouds:
    """Makes clouds of points of pairs of hands.

    Args:
        hand: the right hand.
        device: of the clouds.
    """

    def __init__(self, hand: HandModel | None = None, device: torch.device | str = 'cpu') -> None:
        model = (hand or HandModel.load()).to_torch(device)
        rows = farthest_points(model.template[None], min(POINTS, len(model.template)))[0]
        self._hand = of_vertices(model, rows)

    def __call__(self, right: Tensor, left: Tensor) -> Tensor:
        """(B, 2 N, 3) points of right and left hands (B, 64), metres, in the frame of the vectors."""
        return torch.cat([posed(self._hand, right).vertices, posed(self._hand, left, True).vertices], 1)


def targets(right: np.ndarray, left: np.ndarray, about_object: bool = False) -> np.ndarray:
    """(N, 108) outputs of a perfect network for pairs of hands (N, 64), float32.

    Args:
        right, left: vectors in the frame of the left wrist, or of an object.
        about_object: whether the roots are about the object, and not about the other hand's wrist.
    """
    roots = (right, left) if about_object else (about_anchor(right, left), about_anchor(left, right))
    parts = [(hand[:, POSE], root[:, ROOT]) for hand, root in zip((right, left), roots)]
    return np.concatenate([number for part in parts for number in part], 1).astype(np.float32)


def keypoints_of(
    hand: HandModel, outputs: Tensor, right: Tensor, left: Tensor, about_object: bool = False
) -> tuple[Tensor, Tensor]:
    """Predicted and true keypoints (B, 42, 3) of right and left hands, metres, with the true shapes.

    Args:
        hand: the right hand in tensors.
        outputs: (B, 108) of the network.
        right, left: (B, 64) the true hands. About the wrist of the left hand, its root is known.
        about_object: as of `targets`.
    """
    found = [truth.clone() for truth in (right, left)]
    for side, vector in enumerate(found):
        numbers = outputs[:, 54 * side : 54 * side + 54]
        vector[:, POSE] = numbers[:, :45]
        if side == 0 or about_object:
            vector[:, ROOT] = numbers[:, 45:]
    predicted, true = (
        torch.cat([posed(hand, pair[0], False, False).keypoints, posed(hand, pair[1], True, False).keypoints], 1)
        for pair in (found, (right, left))
    )
    return predicted, true


def load_features(path: Path) -> TwoHandFeatures:
    """The network of a training's weights.pt, in evaluation mode.

    Raises:
        WeightsError: the file is missing or of another training.
    """
    kept = read_weights(path, _COMMAND, 'with_object')
    network = TwoHandFeatures(bool(kept['with_object']))
    fill(network, kept, path, _COMMAND)
    return network.eval()


def features_of(
    network: TwoHandFeatures,
    right: np.ndarray,
    left: np.ndarray,
    object_points: np.ndarray | None = None,
) -> np.ndarray:
    """(N, 128) features of pairs of hands (N, 64), float64.

    Args:
        network: in evaluation mode.
        right, left: vectors in the frame of the left wrist, or of an object.
        object_points: (N, M, 3) points of the objects, metres.
    """
    device = next(network.parameters()).device
    clouds, found = _clouds(device), []
    with torch.inference_mode():
        for start in range(0, len(right), _BATCH):
            parts = [right, left] if object_points is None else [right, left, object_points]
            some = (np.ascontiguousarray(part[start : start + _BATCH], np.float32) for part in parts)
            hands_and_object = [torch.from_numpy(part).to(device) for part in some]
            cloud = clouds(*hands_and_object[:2])
            found.append(network.features(cloud, *hands_and_object[2:]).numpy(force=True))
    return np.concatenate(found).astype(float)


@functools.cache
def _clouds(device: torch.device) -> PairClouds:
    return PairClouds(device=device)
