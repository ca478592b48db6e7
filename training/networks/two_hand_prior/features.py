# SPDX-License-Identifier: Apache-2.0
"""The network whose features compare made pairs of hands with given ones (InterHandGen, supplement S.4.1).

PointNet++ (Qi et al., NeurIPS 2017) regresses the poses and the roots of two hands from their surfaces as one cloud of
points; the layer before the last is the feature. As in the paper there are 108 outputs. The paper names two poses, a
rotation of six numbers and a translation; 45 + 6 + 3 for each of the two hands are 108: its pose, and the other hand's
root about its wrist, or its own root about the object where there is one.

The network sees a pair twice, about the left wrist and, mirrored, about the right one, and estimates 54 numbers each
time: those of the left hand of what it sees. So both hands are in the same frame and have the same weights, and the
mirror image of a pair has the two halves of its features exchanged.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import POSE
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import SHAPE
from training.networks.contact.layers import PointMlp
from training.networks.contact.pointnet2 import farthest_points
from training.networks.contact.pointnet2 import SetAbstraction
from training.networks.two_hand_prior.posing import of_vertices
from training.networks.two_hand_prior.posing import posed
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights
from training.networks.weights_file import require_hand

FEATURES = 64
"""Numbers of the feature of a view; that of a pair has twice as many."""
POINTS = 256
"""Points of each hand: vertices that are far from each other at rest."""
OUTPUTS = 54
"""Of a view."""
_UNIT = 0.1
"""Metres of a unit of the network's coordinates."""
_REGIONS, _REGION = 128, 0.03
"""Regions of the surface whose places are given to the dense layers, and metres of a unit of the points at rest."""
_COMMAND = 'train two_hand_features'
_BATCH = 256
"""Pairs of a batch at inference."""


class TwoHandFeatures(nn.Module):
    """PointNet++ on two hands, and on an object beside them.

    Its last layers are also given the mean places of regions of the surface, whose weights depend on where the points
    are on a hand at rest, so that it learns the poses in a short training.

    Args:
        with_object: whether there is an object.
        hand: the right hand of the pairs; the installed one by default.

    Attributes:
        with_object, hand: the same.
    """

    def __init__(self, with_object: bool = False, hand: HandModel | None = None) -> None:
        super().__init__()
        self.with_object = with_object
        self.hand = hand or HandModel.load()
        self._clouds: dict[torch.device, PairClouds] = {}
        self.fine = SetAbstraction(0.125, 0.03 / _UNIT, (5, 32, 64), 8)
        self.coarse = SetAbstraction(0.25, 0.08 / _UNIT, (64, 64, 128), 12)
        self.whole = PointMlp((128 + 3, 128, 256))
        self.region = nn.Sequential(nn.Linear(5, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, _REGIONS))
        self.regions_norm = nn.BatchNorm1d(3 * _REGIONS)
        self.object = ObjectCloud() if with_object else None
        self.dense = PointMlp((512 + 3 * _REGIONS + (ObjectCloud.WIDTH if with_object else 0), 256, FEATURES))
        self.last = nn.Linear(FEATURES, OUTPUTS)
        self.register_buffer('rest', PairClouds(self.hand).rest / _REGION)
        self.register_buffer('mean', torch.zeros(OUTPUTS))
        self.register_buffer('deviation', torch.ones(OUTPUTS))

    def forward(self, points: Tensor, object_points: Tensor | None = None) -> Tensor:
        """(B, 54) outputs as of `targets`.

        Args:
            points: (B, 2 N, 3) metres, the right hand's points and then as many of the left hand, in the frame of the
                left wrist or of the object.
            object_points: (B, M, 3) metres, if the network has seen objects.
        """
        return self.last(self.features(points, object_points)) * self.deviation + self.mean

    def clouds(self, device: torch.device) -> PairClouds:
        """What makes the points of pairs."""
        if device not in self._clouds:
            self._clouds[device] = PairClouds(self.hand, device)
        return self._clouds[device]

    def features(self, points: Tensor, object_points: Tensor | None = None) -> Tensor:
        """(B, 64); arguments as of `forward`."""
        points, half = points / _UNIT, points.shape[1] // 2
        side = torch.eye(2, device=points.device).repeat_interleave(half, 0)
        places, x = self.coarse(*self.fine(points, torch.cat([points, side.expand(len(points), -1, -1)], -1)))
        x = self.whole(torch.cat([x, places], -1))
        weights = self.region(torch.cat([side, self.rest.repeat(2, 1)], 1))
        regions = (weights.T @ points / len(weights)).flatten(1)
        x = torch.cat([x.amax(1), x.mean(1), self.regions_norm(regions)], -1)
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
        self.rest = self._hand.template

    def __call__(self, right: Tensor, left: Tensor) -> Tensor:
        """(B, 2 N, 3) points of right and left hands (B, 64), metres, in the frame of the vectors."""
        return torch.cat([posed(self._hand, right).vertices, posed(self._hand, left, True).vertices], 1)


def views(right: np.ndarray, left: np.ndarray, about_object: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Right and left hands (N, 64) of the mirror images of pairs (N, 64), in the frame of the left wrist again.

    Args:
        right, left: in the frame of the left wrist, or of an object.
        about_object: whether the frame is that of an object, which stays.
    """
    other_right, other_left = mirrored(left), mirrored(right)
    if about_object:
        return other_right, other_left
    return about_anchor(other_right, other_left), anchored(other_left)


def targets(right: np.ndarray, left: np.ndarray, about_object: bool = False) -> np.ndarray:
    """(N, 54) outputs of a perfect network for pairs of hands (N, 64), float32: the pose of the left hand, and the root
    of the right hand about its wrist, or that of the left hand about the object.

    Args:
        right, left: vectors in the frame of the left wrist, or of an object.
        about_object: whether the frame is that of an object.
    """
    root = left if about_object else right
    return np.concatenate([left[:, POSE], root[:, ROOT]], 1).astype(np.float32)


def with_outputs(right: Tensor, left: Tensor, outputs: Tensor, about_object: bool = False) -> tuple[Tensor, Tensor]:
    """Right and left hands (B, 64) with the numbers that the network estimates (B, 54) for them, in place of theirs."""
    pose, root = outputs[:, : POSE.stop], outputs[:, POSE.stop :]
    if about_object:
        return right, torch.cat([pose, left[:, SHAPE], root], 1)
    return torch.cat([right[:, : ROOT.start], root], 1), torch.cat([pose, left[:, POSE.stop :]], 1)


def keypoints_of(hand: HandModel, right: Tensor, left: Tensor) -> Tensor:
    """(B, 42, 3) keypoints of right and left hands (B, 64), metres.

    Args:
        hand: the right hand in tensors.
        right, left: the hands.
    """
    return torch.cat([posed(hand, right, False, False).keypoints, posed(hand, left, True, False).keypoints], 1)


def load_features(path: Path, hand: HandModel | None = None) -> TwoHandFeatures:
    """The network of a training's weights.pt, in evaluation mode.

    Args:
        path: the file.
        hand: the right hand of the pairs; the installed one by default.

    Raises:
        WeightsError: the file is missing, of another training, or of another hand.
    """
    kept = read_weights(path, _COMMAND, 'with_object')
    network = TwoHandFeatures(bool(kept['with_object']), hand)
    require_hand(kept, network.hand, path)
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
    flipped = views(right, left, object_points is not None)
    own, other = [right, left], [*flipped]
    if object_points is not None:
        own.append(object_points)
        other.append(object_points * np.array([-1, 1, 1], np.float32))
    return np.concatenate([_of_view(network, *own), _of_view(network, *other)], 1)


def _of_view(network: TwoHandFeatures, *parts: np.ndarray) -> np.ndarray:
    """(N, 64) features of right and left hands (N, 64), and points of objects (N, M, 3) if there are any."""
    device = next(network.parameters()).device
    clouds, found = network.clouds(device), []
    with torch.inference_mode():
        for start in range(0, len(parts[0]), _BATCH):
            some = (np.ascontiguousarray(part[start : start + _BATCH], np.float32) for part in parts)
            right, left, *things = (torch.from_numpy(part).to(device) for part in some)
            found.append(network.features(clouds(right, left), *things).numpy(force=True))
    return np.concatenate(found).astype(float)
