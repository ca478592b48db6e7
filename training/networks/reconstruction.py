# SPDX-License-Identifier: Apache-2.0
"""The network of `reconstruction`: a hand and the object that it holds from one RGB crop.

Tse, Kim, Leonardis, Chang, "Collaborative Learning for Hand and Object Reconstruction with Attention-guided Graph
Convolution" (CVPR 2022); equations and sections refer to that paper.

Everything is in metres along the axes of the crop's camera (x right, y down, z forward), measured from the hand's
root, the knuckle of the middle finger. Neither branch therefore needs a depth that one image does not determine, and
both meshes share one frame. The network expects right hands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from typing import Self

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.engines import TensorSpec
from hoi_ros.hand.model import HandModel
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_estimators import HandMeshEstimator
from training.networks.reconstruction_estimators import HandPrediction
from training.networks.reconstruction_estimators import ObjectMeshEstimator
from training.networks.reconstruction_estimators import Votes
from training.networks.reconstruction_estimators import VotingReadout
from training.networks.reconstruction_exchange import make_exchange
from training.networks.resnet import ResNetEncoder

_PLACE_BOUND = 3.0
"""Bound of the third number of a place: twenty times nearer or farther than a hand that fills its crop."""


class Reconstruction(NamedTuple):
    """The predictions of all iterations; the last entry is the result."""

    hands: tuple[HandPrediction, ...]
    """P + 1, the first from the image alone; one if the exchange is late or P = 0."""
    objects: tuple[Tensor, ...]
    """P of (B, 642, 3), metres from the hand's root; one if the exchange is late or P = 0."""
    hand_messages: tuple[Tensor, ...]
    """P of φ_hand (B, C)."""
    object_messages: tuple[Tensor, ...]
    """P of φ_obj (B, C)."""
    votes: Votes | None
    """None if the readout is the mean, like the next two."""
    right: Tensor | None
    """(B, 1) log-odds of a right hand against a left one."""
    holds: Tensor | None
    """(B, 1) log-odds of an object that the hand holds or reaches for; None for the hand alone."""
    hand: Tensor
    """(B, 1) log-odds of a hand against anything else. Crops of hands do not teach it: its layers are trained on the
    proposals of a detector (training.recipes.reconstruction_score)."""


class ReconstructionNet(nn.Module):
    """Algorithm 1.

    Args:
        config: the paper's network by default.
        model: the right hand, the project's own by default. The exchange has a weight for each vertex, so trained
            weights belong to one hand model.

    Attributes:
        hand_faces: (F, 3) triangles of the hand mesh.
        object_faces: (1280, 3) triangles of the object mesh.
    """

    def __init__(self, config: ReconstructionConfig | None = None, model: HandModel | None = None) -> None:
        super().__init__()
        self.config = config = config or ReconstructionConfig()
        model = model or HandModel.load()
        self._frozen: list[nn.Module] = []
        self.hand_encoder = ResNetEncoder(config.widths, config.blocks)
        self.object_encoder = ResNetEncoder(config.widths, config.blocks)
        width = self.hand_encoder.features
        self.voting = VotingReadout(config) if config.readout == 'votes' else None
        self.side = nn.Sequential(nn.Linear(width + 63, 64), nn.ReLU(), nn.Linear(64, 1)) if self.voting else None
        self.holds = nn.Sequential(nn.Linear(2 * width, 64), nn.ReLU(), nn.Linear(64, 1)) if self.voting else None
        self.hand = nn.Sequential(nn.Linear(2 * width + (21 if self.voting else 0), 64), nn.ReLU(), nn.Linear(64, 1))
        self.hand_estimator = HandMeshEstimator(model, width, config.rotation)
        self.object_estimator = ObjectMeshEstimator(width)
        if config.iterations:
            self.from_hand = make_exchange(config, self.hand_faces, len(model.template), width)
            self.from_object = make_exchange(config, self.object_faces, len(self.object_estimator.points), width)

    def freeze_hand(self) -> None:
        """Keeps weights and statistics of all that infers the hand from the image: the object's encoder and mesh, the
        exchange and `holds` remain to be trained."""
        parts = self.hand_encoder, self.voting, self.side, self.hand, self.hand_estimator
        self._frozen = [part.requires_grad_(False).eval() for part in parts if part is not None]

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    @property
    def heads(self) -> tuple[nn.Module, ...]:
        """The output layers."""
        voting = (self.voting.votes, self.voting.corrections, self.side[-1], self.holds[-1]) if self.voting else ()
        return self.hand_estimator.regress, self.object_estimator.layers[-1], self.hand[-1], *voting

    @property
    def hand_faces(self) -> np.ndarray:
        return self.hand_estimator.faces

    @property
    def object_faces(self) -> np.ndarray:
        return self.object_estimator.faces.numpy(force=True)

    def forward(self, image: Tensor, hand_alone: bool = False) -> Reconstruction:
        """(B, 3, S, S) RGB in [−1, 1] of a right hand → the meshes of all iterations; with `hand_alone` the first hand
        only.

        Every iteration adds its message to the features of the image (algorithm 1), not to those of the iteration
        before (equation 6).
        """
        detail, fine, coarse = self.hand_encoder(image)
        hand_image_features, votes, right = coarse.mean((2, 3)), None, None
        if self.voting:
            read, votes = self.voting(detail, fine, coarse)
            right = self.side(torch.cat([hand_image_features, votes.places.detach().flatten(1)], 1))
            hand_image_features = hand_image_features + read
        hand = self.hand(self.hand_score_features(coarse, votes))
        if hand_alone:
            first = self.hand_estimator(hand_image_features, votes)
            return Reconstruction((first,), (), (), (), votes, right, None, hand)
        hand_features = hand_image_features
        object_features = object_image_features = self.object_encoder(image)[-1].mean((2, 3))
        holds = self.holds(torch.cat([hand_image_features, object_image_features], 1)) if self.holds else None
        late = self.config.exchange == 'late'
        hands = [] if late else [self.hand_estimator(hand_image_features, votes)]
        objects, hand_messages, object_messages = [], [], []
        hand_history = object_history = hand_image_features.new_zeros(())
        for iteration in range(self.config.iterations):
            sent = hand_features if late else hands[-1].vertices
            message, hand_history = self.from_hand(sent, hand_history, iteration)
            hand_messages.append(message)
            object_features = object_image_features + message
            if not late:
                objects.append(self.object_estimator(object_features))
            sent = object_features if late else objects[-1]
            message, object_history = self.from_object(sent, object_history, iteration)
            object_messages.append(message)
            hand_features = hand_image_features + message
            if not late:
                hands.append(self.hand_estimator(hand_features, votes))
        return Reconstruction(
            tuple(hands or [self.hand_estimator(hand_features, votes)]),
            tuple(objects or [self.object_estimator(object_features)]),
            tuple(hand_messages),
            tuple(object_messages),
            votes,
            right,
            holds,
            hand,
        )

    @staticmethod
    def hand_score_features(coarse: Tensor, votes: Votes | None) -> Tensor:
        """Input of `hand`: mean and maximum of the hand encoder's last maps (B, C, S/32, S/32), and the largest vote
        weight of each keypoint → (B, 2 C + 21), or 2 C without votes."""
        largest = [votes.weights.amax(-1)] if votes else []
        return torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3)), *largest], 1)


def normalised(image: Tensor) -> Tensor:
    """RGB (B, 3, S, S) uint8 → the network's input in [−1, 1]."""
    return image.float() / 127.5 - 1


def in_camera(crop: ViewCrop, keypoints: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Predicted keypoints (21, 3) from the root and the root's place (3,) in a crop → (21, 3) metres in the optical
    frame of the camera that the crop was cut from."""
    width = CROP_WIDTH * float(np.exp(np.clip(place[2], -_PLACE_BOUND, _PLACE_BOUND)))
    return crop.to_camera(keypoints + crop.point(place[:2], width))


class FinalReconstruction(nn.Module):
    """The network of the robot: the meshes of the last iteration by name, for `export_onnx`.

    Args:
        network: trained.
        told: the probabilities among 'right', 'holds' and 'hand' that it was trained for.
    """

    def __init__(self, network: ReconstructionNet, told: Sequence[str] = ('right', 'holds', 'hand')) -> None:
        super().__init__()
        self.network = network
        self._told = [name for name in told if name == 'hand' or network.voting]

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Shapes and meanings, batch 1."""
        hand, thing = self.network.hand_estimator, self.network.object_estimator
        axes = "the camera's axes, from the knuckle of the middle finger"
        told = {
            'right': 'the hand looks like a right one',
            'holds': 'it holds something or reaches for it',
            'hand': 'the crop shows a hand',
        }
        return (
            TensorSpec('vertices', (1, len(hand.template), 3), unit='m', meaning=f"the hand's mesh, {axes}"),
            TensorSpec(
                'keypoints',
                (1, 21, 3),
                unit='m',
                meaning=f'{axes}; wrist, then thumb, index, middle, ring, little, each from the palm to the tip',
            ),
            TensorSpec('object', (1, len(thing.points), 3), unit='m', meaning=f"the held object's mesh, {axes}"),
            TensorSpec('rotation', (1, 3, 3), unit='1', meaning="from the hand model's axes to the camera's"),
            TensorSpec('fingers', (1, 45), unit='rad', meaning='axis-angle of the finger joints'),
            TensorSpec('shape', (1, 10), unit='standard deviations', meaning="of the hand model's shape space"),
            TensorSpec(
                'place',
                (1, 3),
                unit='half crops, half crops, 1',
                meaning='the root right and down of the '
                f"crop's centre; log of the crop's width at its depth over {CROP_WIDTH} m",
            ),
            *(TensorSpec(name, (1, 1), unit='probability', meaning=told[name]) for name in self._told),
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        result = self.network(image)
        told = {name: torch.sigmoid(getattr(result, name).float()) for name in self._told}
        return {**result.hands[-1]._asdict(), 'object': result.objects[-1], **told}
