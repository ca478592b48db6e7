# SPDX-License-Identifier: Apache-2.0
"""From image features of `reconstruction` to a hand and an object mesh (Tse et al., CVPR 2022, sections 3.1 and 3.2).

Everything is in metres along the axes of the crop's camera (x right, y down, z forward), measured from the hand's root,
the knuckle of the middle finger.
"""

from __future__ import annotations

import dataclasses
from typing import Literal
from typing import NamedTuple

import numpy as np
import torch
import trimesh
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import rotation_matrices
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.skeleton import KEYPOINT_NAMES
from training.networks.blocks import ConvNormAct
from training.networks.blocks import vote_grid
from training.networks.blocks import voted_places
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_config import ROOT
from training.networks.reconstruction_config import VOTED_DEPTH

_INDEX, _LITTLE = (KEYPOINT_NAMES.index(f'{finger}_mcp') for finger in ('index', 'little'))
_MODEL_ARRAYS = (
    'template',
    'shape_basis',
    'joints',
    'joint_shape_basis',
    'tips',
    'tip_shape_basis',
    'weights',
    'pose_basis',
)
"""Arrays of the hand model that become buffers of the estimator."""
_SHAPE_BOUND = 3.0
"""Bound of the shape coefficients, standard deviations."""
_OBJECT_UNIT = 0.1
"""Metres; unit of the object's points, in which they are of the order of one."""
_BALL_RADIUS = 0.4
"""Radius of the object before training, in `_OBJECT_UNIT`."""


class HandPrediction(NamedTuple):
    """A predicted hand: metres from the root, camera axes."""

    vertices: Tensor
    """(B, V, 3)."""
    keypoints: Tensor
    """(B, 21, 3); the root is the origin."""
    rotation: Tensor
    """(B, 3, 3) rotation of the whole hand, from the axes of the hand model to those of the camera."""
    fingers: Tensor
    """(B, 45) axis-angle of the finger joints. The pose of the hand model is the rotation vector of `rotation`, then
    these."""
    shape: Tensor
    """(B, 10)."""
    place: Tensor
    """(B, 3) the paper's translation as far as a crop determines it: the root in half crops right and down of the
    crop's centre, and log(width of the crop in metres at the root's depth / `CROP_WIDTH`). In a crop w pixels wide with
    a focal length of f pixels the root's depth is f · CROP_WIDTH · exp(place[2]) / w."""


class Votes(NamedTuple):
    """Keypoints located in the maps of the hand encoder."""

    places: Tensor
    """(B, 21, 3) half crops right and down of the crop's centre, and depth behind the root in `VOTED_DEPTH`."""
    weights: Tensor
    """(B, 21, cells²) log weight of each cell of the crop, row by row."""


class VotingReadout(nn.Module):
    """Locates the 21 keypoints in an encoder's maps and adds features of their positions to the average.

    Cells of a sixteenth of the crop, whose receptive field covers the hand, vote. The four finer cells inside each
    correct its vote.
    """

    def __init__(self, config: ReconstructionConfig) -> None:
        super().__init__()
        detail, fine, coarse = config.widths[-3:]
        self.lateral = ConvNormAct(fine, fine, 1)
        self.lift = ConvNormAct(coarse, fine, 1)
        self.merge = ConvNormAct(fine, fine)
        self.votes = nn.Conv2d(fine, 4 * 21, 1)
        self.near = ConvNormAct(detail, detail, 1)
        self.far = ConvNormAct(fine, detail, 1)
        self.sharpen = nn.Sequential(ConvNormAct(detail, detail), ConvNormAct(detail, detail))
        self.corrections = nn.Conv2d(detail, 4 * 21, 1)
        nn.init.zeros_(self.corrections.weight)
        nn.init.zeros_(self.corrections.bias)
        self.read = nn.Sequential(
            nn.Linear(3 * 21, coarse), nn.ReLU(), nn.Linear(coarse, coarse), nn.ReLU(), nn.Linear(coarse, coarse)
        )
        self.register_buffer('grid', vote_grid(config.size // 16 * 2), persistent=False)

    def forward(self, detail: Tensor, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Votes]:
        """Maps (B, C₂, S/8, S/8), (B, C₃, S/16, S/16) and (B, C₄, S/32, S/32) → features (B, C₄) and the votes."""
        merged = self.merge(self.lateral(fine) + _doubled(self.lift(coarse)))
        corrections = self.corrections(self.sharpen(self.near(detail) + _doubled(self.far(merged))))
        votes = Votes(*voted_places(_doubled(self.votes(merged)) + corrections, self.grid))
        # Votes learn from their own labels only: the mesh errors would dominate through the perceptron.
        return self.read(votes.places.detach().flatten(1)), votes


class HandMeshEstimator(nn.Module):
    """g_HME (section 3.1): one fully connected layer to θ and β, then the hand model.

    The layer's output is added to a starting pose: a relaxed hand that shows its palm, fingers up, or, given votes, a
    relaxed hand whose palm has the orientation of the voted keypoints.
    """

    def __init__(self, model: HandModel, features: int, rotation: Literal['axis_angle', '6d']) -> None:
        super().__init__()
        self._model = model
        self._arrays = [name for name in _MODEL_ARRAYS if getattr(model, name) is not None]
        for name in self._arrays:
            self.register_buffer(name, torch.tensor(getattr(model, name), dtype=torch.float32), persistent=False)
        relaxed = model.pose_of(gesture_angles(model, 'relaxed'))[3:]
        rest = model.forward(np.zeros(48), np.zeros(10), np.zeros(3), vertices=False).keypoints
        self.register_buffer('palm', _palm_frame(torch.tensor(rest, dtype=torch.float32)), persistent=False)
        self.register_buffer('upright', torch.diag(torch.tensor([1.0, -1, -1])) @ self.palm, persistent=False)
        self._turn = 3 if rotation == 'axis_angle' else 6
        self.regress = nn.Linear(features, self._turn + 45 + 3 + 10)
        nn.init.zeros_(self.regress.weight)
        nn.init.zeros_(self.regress.bias)
        with torch.no_grad():
            self.regress.bias[self._turn : self._turn + 45] = torch.tensor(relaxed)

    @property
    def faces(self) -> np.ndarray:
        """(F, 3) triangles of the hand mesh."""
        return self._model.faces

    def forward(self, features: Tensor, votes: Votes | None = None) -> HandPrediction:
        """Features (B, C) and the voted keypoints → the hand."""
        # bfloat16 would place a fingertip only to within half a millimetre.
        with torch.autocast(features.device.type, enabled=False):
            numbers = self.regress(features.to(self.template.dtype))
            turn, fingers, place, shape = numbers.split([self._turn, 45, 3, 10], -1)
            # Unbounded, a network that is unsure of the rotation learns flat and small shapes, the mean over rotations.
            shape = _SHAPE_BOUND * torch.tanh(shape / _SHAPE_BOUND)
            start = self.upright
            if votes is not None:
                place = torch.cat([place[:, :2] + votes.places[:, ROOT, :2], place[:, 2:]], -1)
                start = _palm_frame(_metric(votes.places, place).detach()).transpose(-1, -2) @ self.palm
            rotation = start @ (rotation_matrices(turn) if self._turn == 3 else _orthonormal(turn))
            hand = dataclasses.replace(self._model, **{name: getattr(self, name) for name in self._arrays})
            pose = torch.cat([torch.zeros_like(fingers[:, :3]), fingers], -1)
            posed = hand.forward(pose, shape, torch.zeros_like(place))
            # Rotating about the wrist and then measuring from the root equals rotating about the root.
            turned = rotation.transpose(-1, -2)
            root = posed.keypoints[:, ROOT : ROOT + 1]
            return HandPrediction(
                (posed.vertices - root) @ turned, (posed.keypoints - root) @ turned, rotation, fingers, shape, place
            )


class ObjectMeshEstimator(nn.Module):
    """g_OME (section 3.2): AtlasNet (Groueix et al., 2018), one perceptron that moves each point of an icosphere.

    The part of the first 1 × 1 convolution on [point, features] that depends on the features is computed once for all
    points. Layer normalisation replaces AtlasNet's batch normalisation, whose running statistics would fit no single
    iteration, since each has other features.

    Attributes:
        points: (642, 3) the unit icosphere, stored with the weights like `faces`: both fix the order they refer to.
        faces: (1280, 3).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        sphere = trimesh.creation.icosphere(subdivisions=3)
        self.register_buffer('points', torch.tensor(sphere.vertices, dtype=torch.float32))
        self.register_buffer('faces', torch.tensor(sphere.faces))
        widths = features, features // 2, features // 4
        self.of_point = nn.Linear(3, widths[0])
        self.of_features = nn.Linear(features, widths[0], bias=False)
        self.layers = nn.Sequential(
            nn.LayerNorm(widths[0]),
            nn.ReLU(),
            nn.Linear(widths[0], widths[1]),
            nn.LayerNorm(widths[1]),
            nn.ReLU(),
            nn.Linear(widths[1], widths[2]),
            nn.LayerNorm(widths[2]),
            nn.ReLU(),
            nn.Linear(widths[2], 3),
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C) → (B, 642, 3) metres from the hand's root; a ball of 8 cm before training."""
        moved = self.layers(self.of_point(self.points) + self.of_features(features)[:, None])
        return _OBJECT_UNIT * (_BALL_RADIUS * self.points + moved.to(self.points.dtype))


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode='nearest')


def _metric(places: Tensor, place: Tensor) -> Tensor:
    """(B, 21, 3) voted places in metres, with the crop's width at the root's depth taken for all depths."""
    half = CROP_WIDTH / 2 * place[:, None, 2:].clamp(-2, 2).exp()
    return torch.cat([places[..., :2] * half, places[..., 2:] * VOTED_DEPTH], -1)


def _palm_frame(keypoints: Tensor) -> Tensor:
    """(..., 21, 3) keypoints of a right hand → (..., 3, 3) with the rows: across the palm, from the wrist to the root,
    and out of the palm."""
    up = F.normalize(keypoints[..., ROOT, :] - keypoints[..., 0, :], dim=-1)
    across = keypoints[..., _INDEX, :] - keypoints[..., _LITTLE, :]
    out = F.normalize(torch.linalg.cross(across, up), dim=-1)
    return torch.stack([torch.linalg.cross(up, out), up, out], -2)


def _orthonormal(numbers: Tensor) -> Tensor:
    """Six numbers about the identity → rotation matrix, whose first two columns are orthonormalised by Gram and Schmidt
    (Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", 2019)."""
    x, y = numbers.new_tensor([[1.0, 0, 0], [0, 1.0, 0]])
    first = F.normalize(numbers[..., :3] + x, dim=-1)
    second = numbers[..., 3:] + y
    second = F.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)
