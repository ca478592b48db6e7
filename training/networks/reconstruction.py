# SPDX-License-Identifier: Apache-2.0
"""The network of `reconstruction`: a hand and the object that it holds from one RGB crop.

Tse, Kim, Leonardis, Chang, "Collaborative Learning for Hand and Object Reconstruction with Attention-guided Graph
Convolution" (CVPR 2022); equations and sections below are that paper's.

Everything is in metres along the axes of the crop's camera (x right, y down, z forward), measured from the hand's
root, the knuckle of the middle finger: neither branch needs a depth that one image does not show, and both meshes
share one frame. The network sees right hands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal
from typing import NamedTuple

import numpy as np
import torch
import trimesh
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.engines import TensorSpec
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import rotation_matrices
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.skeleton import KEYPOINT_NAMES
from training.networks.blocks import ConvNormAct
from training.networks.blocks import vote_grid
from training.networks.blocks import voted_places
from training.networks.resnet import ResNetEncoder

ROOT = KEYPOINT_NAMES.index('middle_mcp')
_INDEX, _LITTLE = (KEYPOINT_NAMES.index(f'{finger}_mcp') for finger in ('index', 'little'))
CROP_WIDTH = 0.3
"""Metres that a crop shows at the root's depth where the third number of `place` is 0."""
_UNIT = VOTED_DEPTH = 0.1
"""Metres; in it the numbers of a mesh around a hand are of the order of one."""
_POSED_BY = (
    'template',
    'shape_basis',
    'joints',
    'joint_shape_basis',
    'tips',
    'tip_shape_basis',
    'weights',
    'pose_basis',
)
_WIDEST = 3.0
"""Bound of the numbers of a shape, standard deviations."""
_NEAREST = 3.0
"""Bound of a place's third number: twenty times as near or as far as a hand in its crop."""
_LEAST_VARIANCE = 0.1
_SLOPE = 0.2
"""Of LeakyReLU on negative logits, as in graph attention networks (Veličković et al., 2018)."""


@dataclasses.dataclass(frozen=True)
class ReconstructionConfig:
    """The paper's network; the fields are the choices of its tables 6 and 7, and the size.

    Raises:
        ValueError: a number is out of range.
    """

    iterations: int = 2
    """P of algorithm 1; 0: the branches exchange nothing, which is the baseline (ObMan)."""
    exchange: Literal['attention', 'gcn', 'spiral', 'late'] = 'attention'
    """attention: equations 7 and 8; gcn: Kipf and Welling (2017) on the meshes' edges; spiral: SpiralNet++ (Gong et
    al., 2019); late: embeddings straight from the features, meshes only at the end (table 7's starred rows)."""
    heads: int = 3
    """K."""
    features: int = 64
    """F, of a vertex."""
    threshold: float | None = 0.5
    """τ: vertex j is a neighbour of i where α_ij > τ/N; None: every vertex is. A softmax over N vertices has the mean
    1/N and does not reach the paper's "e.g. 0.5"; below τ = 1 no vertex is left without neighbours."""
    slots: int = 16
    """Learned sums over the vertices from which the exchange's last layer reads."""
    spiral_length: int = 9
    readout: Literal['mean', 'votes'] = 'mean'
    """What of an encoder's maps becomes the image features. mean: their average, as in the paper; votes: the average
    and where the hand's branch sees each joint (`VotingReadout`), from which far fewer images teach a pose. Such a
    network also says whether the hand looks like a right one and whether there is an object."""
    rotation: Literal['axis_angle', '6d'] = 'axis_angle'
    """How the wrist's turn is regressed: the paper's three numbers, or six (Zhou et al., 2019)."""
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    """Channels of the encoders' stages; the last is the number of image features."""
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    size: int = 256
    """Pixels of the square crop."""

    def __post_init__(self) -> None:
        lowest = {'iterations': 0, 'heads': 1, 'features': 1, 'slots': 1, 'spiral_length': 1, 'size': 32}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise ValueError(f'{name} is {getattr(self, name)}, expected at least {least}')
        if self.exchange == 'late' and not self.iterations:
            raise ValueError(
                'late exchange with 0 iterations exchanges nothing: give iterations ≥ 1, or leave '
                'exchange as it is for the baseline'
            )


PAPER = ReconstructionConfig()
"""θ 51, β 10 by one fully connected layer from the mean of two ResNet-18's maps."""
COMPACT = ReconstructionConfig(widths=(32, 64, 128, 256), blocks=(2, 3, 4, 3), readout='votes', rotation='6d', size=128)
"""For the robot's CPU."""


class HandEstimate(NamedTuple):
    """A hand. Metres from the root, the camera's axes."""

    vertices: Tensor
    """(B, V, 3)."""
    keypoints: Tensor
    """(B, 21, 3); the root is the origin."""
    rotation: Tensor
    """(B, 3, 3) of the whole hand, from the hand model's axes to the camera's."""
    fingers: Tensor
    """(B, 45) axis-angle of the finger joints: the hand model's pose is the rotation vector of `rotation`, then
    these."""
    shape: Tensor
    """(B, 10)."""
    place: Tensor
    """(B, 3) the paper's translation, as far as a crop shows it: where the root lies in the crop, in half crops right
    and down of its centre, and log(metres that the crop is wide at the root's depth / `CROP_WIDTH`). A crop w pixels
    wide, seen with a focal length of f pixels, has its root at the depth f · CROP_WIDTH · exp(place[2]) / w."""


class Votes(NamedTuple):
    """Where the hand's encoder sees the keypoints."""

    places: Tensor
    """(B, 21, 3) half crops right and down of the crop's centre, and metres behind the root over `VOTED_DEPTH`."""
    weights: Tensor
    """(B, 21, cells²) logarithm of how much each cell of the crop counts, row by row."""


class Reconstruction(NamedTuple):
    """What every iteration gives; the last entry is the result."""

    hands: tuple[HandEstimate, ...]
    """P + 1, the first from the image alone; one where the exchange is late or P = 0."""
    objects: tuple[Tensor, ...]
    """P of (B, 642, 3), metres from the hand's root; one where the exchange is late or P = 0."""
    hand_messages: tuple[Tensor, ...]
    """P of φ_hand (B, C)."""
    object_messages: tuple[Tensor, ...]
    """P of φ_obj (B, C)."""
    votes: Votes | None
    """None where the readout is the mean, as are the next two."""
    right: Tensor | None
    """(B, 1) log-odds that the crop shows a right hand, and not a left one."""
    holds: Tensor | None
    """(B, 1) log-odds that it shows an object that the hand holds or reaches for; None of the hand alone."""
    hand: Tensor
    """(B, 1) log-odds that it shows a hand at all, which crops of hands alone do not teach: its layers learn by
    themselves, from what a detector takes for hands (training.recipes.reconstruction_score)."""


class ReconstructionNet(nn.Module):
    """Algorithm 1.

    Args:
        config: the paper's network where none is given.
        model: the right hand, the project's own where none is given. The exchange learns a weight for each of its
            vertices, so weights belong to the hand that they were trained with.

    Attributes:
        hand_faces: (F, 3) triangles of the hand's mesh.
        object_faces: (1280, 3) triangles of the object's.
    """

    def __init__(self, config: ReconstructionConfig | None = None, model: HandModel | None = None) -> None:
        super().__init__()
        self.config = config = config or ReconstructionConfig()
        model = model or HandModel.load()
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
            self.from_hand = _exchange(config, self.hand_faces, len(model.template), width)
            self.from_object = _exchange(config, self.object_faces, len(self.object_estimator.points), width)

    @property
    def heads(self) -> tuple[nn.Module, ...]:
        """The layers that give results."""
        voting = (self.voting.votes, self.voting.corrections, self.side[-1], self.holds[-1]) if self.voting else ()
        return self.hand_estimator.regress, self.object_estimator.layers[-1], self.hand[-1], *voting

    @property
    def hand_faces(self) -> np.ndarray:
        return self.hand_estimator.faces

    @property
    def object_faces(self) -> np.ndarray:
        return self.object_estimator.faces.numpy(force=True)

    def forward(self, image: Tensor, hand_alone: bool = False) -> Reconstruction:
        """(B, 3, S, S) RGB in [−1, 1], a right hand → the meshes of every iteration; of the hand alone and from the
        image alone where that is asked for.

        The features that an iteration improves are always those of the image (algorithm 1), not those of the
        iteration before (equation 6).
        """
        detail, fine, coarse = self.hand_encoder(image)
        seen_hand, votes, right = coarse.mean((2, 3)), None, None
        if self.voting:
            read, votes = self.voting(detail, fine, coarse)
            right = self.side(torch.cat([seen_hand, votes.places.detach().flatten(1)], 1))
            seen_hand = seen_hand + read
        hand = self.hand(self.signs_of_a_hand(coarse, votes))
        if hand_alone:
            return Reconstruction((self.hand_estimator(seen_hand, votes),), (), (), (), votes, right, None, hand)
        hand_features = seen_hand
        object_features = seen_object = self.object_encoder(image)[-1].mean((2, 3))
        holds = self.holds(torch.cat([seen_hand, seen_object], 1)) if self.holds else None
        late = self.config.exchange == 'late'
        hands = [] if late else [self.hand_estimator(seen_hand, votes)]
        objects, hand_messages, object_messages = [], [], []
        hand_history = object_history = seen_hand.new_zeros(())
        for iteration in range(self.config.iterations):
            sent = hand_features if late else hands[-1].vertices
            message, hand_history = self.from_hand(sent, hand_history, iteration)
            hand_messages.append(message)
            object_features = seen_object + message
            if not late:
                objects.append(self.object_estimator(object_features))
            sent = object_features if late else objects[-1]
            message, object_history = self.from_object(sent, object_history, iteration)
            object_messages.append(message)
            hand_features = seen_hand + message
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
    def signs_of_a_hand(coarse: Tensor, votes: Votes | None) -> Tensor:
        """What `hand` is told from: the hand encoder's last maps (B, C, S/32, S/32), averaged and at their peaks, and
        how much each keypoint's surest cell counts → (B, 2 C + 21), or 2 C without votes."""
        surest = [votes.weights.amax(-1)] if votes else []
        return torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3)), *surest], 1)


def in_camera(crop: ViewCrop, keypoints: np.ndarray, place: np.ndarray) -> np.ndarray:
    """What a network says of a crop, keypoints (21, 3) from the root and the root's place (3,), as metres (21, 3) in
    the optical frame of the camera that the crop was cut from."""
    width = CROP_WIDTH * float(np.exp(np.clip(place[2], -_NEAREST, _NEAREST)))
    return crop.to_camera(keypoints + crop.point(place[:2], width))


class FinalReconstruction(nn.Module):
    """What the robot runs: the meshes of the last iteration by name, for `export_onnx`.

    Args:
        network: trained.
        told: which of 'right', 'holds' and 'hand' it learned to say.
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


class VotingReadout(nn.Module):
    """Where an encoder's maps see the 21 keypoints, as features beside their average.

    Cells of a sixteenth of the crop's pixels vote, which see the whole hand; the four finer cells in each correct its
    vote by what they see from near.
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
        """Maps (B, C₂, S/8, S/8), (B, C₃, S/16, S/16) and (B, C₄, S/32, S/32) → (B, C₄) and the votes."""
        merged = self.merge(self.lateral(fine) + _doubled(self.lift(coarse)))
        corrections = self.corrections(self.sharpen(self.near(detail) + _doubled(self.far(merged))))
        votes = Votes(*voted_places(_doubled(self.votes(merged)) + corrections, self.grid))
        # Votes learn from their own labels: through the perceptron the meshes' errors would drown them.
        return self.read(votes.places.detach().flatten(1)), votes


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode='nearest')


class HandMeshEstimator(nn.Module):
    """g_HME (section 3.1): one fully connected layer to θ and β, then the hand model.

    It starts at a relaxed hand that shows its palm, fingers up, or, where keypoints were seen, whose palm lies as they
    do; what the layer gives is added to that.
    """

    def __init__(self, model: HandModel, features: int, rotation: Literal['axis_angle', '6d']) -> None:
        super().__init__()
        self._model = model
        self._arrays = [name for name in _POSED_BY if getattr(model, name) is not None]
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
        return self._model.faces

    def forward(self, features: Tensor, seen: Votes | None = None) -> HandEstimate:
        """(B, C) and where the keypoints are seen → the hand."""
        # In bfloat16 a fingertip would have its place to half a millimetre.
        with torch.autocast(features.device.type, enabled=False):
            numbers = self.regress(features.to(self.template.dtype))
            turn, fingers, place, shape = numbers.split([self._turn, 45, 3, 10], -1)
            # Without bounds a network that does not see how the hand is turned learns shapes that lie flat and small
            # between all turns.
            shape = _WIDEST * torch.tanh(shape / _WIDEST)
            start = self.upright
            if seen is not None:
                place = torch.cat([place[:, :2] + seen.places[:, ROOT, :2], place[:, 2:]], -1)
                start = _palm_frame(_metric(seen.places, place).detach()).transpose(-1, -2) @ self.palm
            rotation = start @ (rotation_matrices(turn) if self._turn == 3 else _orthonormal(turn))
            hand = dataclasses.replace(self._model, **{name: getattr(self, name) for name in self._arrays})
            pose = torch.cat([torch.zeros_like(fingers[:, :3]), fingers], -1)
            posed = hand.forward(pose, shape, torch.zeros_like(place))
            # To turn the hand about its wrist and then to measure from the root is to turn it about the root.
            turned = rotation.transpose(-1, -2)
            root = posed.keypoints[:, ROOT : ROOT + 1]
            return HandEstimate(
                (posed.vertices - root) @ turned, (posed.keypoints - root) @ turned, rotation, fingers, shape, place
            )


class ObjectMeshEstimator(nn.Module):
    """g_OME (section 3.2): AtlasNet (Groueix et al., 2018), one perceptron that moves each point of an icosphere.

    Of its first 1 × 1 convolution on [point, features], the features' part is computed once for all points. Layer
    normalisation stands where AtlasNet has batch normalisation: its running statistics would be those of no
    iteration, each of which sees other features.

    Attributes:
        points: (642, 3) the unit icosphere; kept with the weights, as is `faces`: they are learned for this order.
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
        """(B, C) → (B, 642, 3) metres from the hand's root; a ball of 8 cm where nothing is learned yet."""
        moved = self.layers(self.of_point(self.points) + self.of_features(features)[:, None])
        return _UNIT * (0.4 * self.points + moved.to(self.points.dtype))


class GraphExchange(nn.Module):
    """g_conv (section 3.3) but for the convolution: a mesh and its history in, φ and the new history out.

    h ← LayerNorm(message + h). The paper then "resizes" h to the size of the image features by a fully connected
    layer. A layer on all N·F numbers would have 38 million weights (N = 1159, F = 64); an average over the vertices
    would lose which vertex is where. This one is that layer factorised: `slots` learned sums over the vertices, then
    a fully connected layer.

    Most of what the sums hold is the same for every mesh, and there are a thousand of them: as they are, one step of
    Adam moves φ by more than the image features that it is added to. So each is standardised over the batch, by
    the statistics of its own iteration, and what the layer gives is divided by the root of its inputs. Meshes that
    hardly differ are not blown up to unit variance (`_LEAST_VARIANCE`): the gradient that comes back would be, and
    the object would be shaped to tell the hand's branch something rather than to look like the object. The layer
    starts at zero: the exchange begins as the baseline.
    """

    def __init__(self, vertices: int, outputs: int, config: ReconstructionConfig) -> None:
        super().__init__()
        inputs = config.slots * config.features
        self.norm = nn.LayerNorm(config.features)
        self.pool = nn.Parameter(torch.randn(config.slots, vertices) / vertices**0.5)
        self.standard = nn.ModuleList(
            nn.BatchNorm1d(inputs, _LEAST_VARIANCE, affine=False) for _ in range(config.iterations)
        )
        self.resize = nn.Linear(inputs, outputs)
        nn.init.zeros_(self.resize.weight)
        nn.init.zeros_(self.resize.bias)

    def message(self, vertices: Tensor) -> Tensor:
        """(B, N, 3) in units of 10 cm → (B, N, F), equation 4."""
        raise NotImplementedError

    def forward(self, vertices: Tensor, history: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """(B, N, 3) metres, (B, N, F) or a zero, and the number of the iteration from 0 → φ (B, C) and the history."""
        with torch.autocast(vertices.device.type, enabled=False):
            history = self.norm(self.message(vertices / _UNIT) + history)
            pooled = self.standard[iteration]((self.pool @ history).flatten(1))
            return self.resize(pooled) / self.resize.in_features**0.5, history


class AttentionExchange(GraphExchange):
    """Attention-guided graph convolution, equations 7 and 8.

    Equation 8 adds v_j to a history that LayerNorm keeps; both need F numbers, so v_j is read as the lifted W v_j,
    with W and a of each head its own (as in graph attention networks). W is linear: aᵀW is a direction in space, and
    the positions are summed before they are lifted.
    """

    def __init__(self, vertices: int, outputs: int, config: ReconstructionConfig) -> None:
        super().__init__(vertices, outputs, config)
        self.threshold = config.threshold
        self.weight = nn.Parameter(torch.randn(config.heads, config.features, 3) / 3**0.5)
        self.attention = nn.Parameter(torch.randn(config.heads, 2, config.features) / config.features**0.5)

    def message(self, vertices: Tensor) -> Tensor:
        scores = (self.attention @ self.weight).flatten(0, 1) @ vertices.transpose(-1, -2)
        source, target = scores.unflatten(1, (-1, 2)).unbind(2)
        positions = attend(source, target, vertices[:, None].expand(-1, len(self.weight), -1, -1), self.threshold)
        lift = self.weight.transpose(-1, -2).flatten(0, 1) / len(self.weight)
        return positions.transpose(1, 2).flatten(2) @ lift


class StaticExchange(GraphExchange):
    """Graph convolution of Kipf and Welling (2017, equation 2) on the mesh's own edges."""

    def __init__(self, vertices: int, outputs: int, config: ReconstructionConfig, faces: np.ndarray) -> None:
        super().__init__(vertices, outputs, config)
        index, weight = neighbours(faces, vertices)
        self.register_buffer('index', torch.tensor(index), persistent=False)
        self.register_buffer('share', torch.tensor(weight, dtype=torch.float32)[..., None], persistent=False)
        self.lift = nn.Linear(3, config.features, bias=False)

    def message(self, vertices: Tensor) -> Tensor:
        return torch.relu(self.lift((vertices[:, self.index] * self.share).sum(2)))


class SpiralExchange(GraphExchange):
    """Spiral convolution (SpiralNet++, Gong et al., 2019): a linear layer on a vertex and those that wind round it."""

    def __init__(self, vertices: int, outputs: int, config: ReconstructionConfig, faces: np.ndarray) -> None:
        super().__init__(vertices, outputs, config)
        index = spirals(faces, vertices, config.spiral_length)
        self.register_buffer('index', torch.tensor(index), persistent=False)
        self.lift = nn.Linear(3 * config.spiral_length, config.features)

    def message(self, vertices: Tensor) -> Tensor:
        return F.elu(self.lift(vertices[:, self.index].flatten(2)))


class LateExchange(nn.Module):
    """Embeddings from the other branch's features, no mesh in between (section 4, naive collaborative learning)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, features))
        nn.init.zeros_(self.embed[-1].weight)
        nn.init.zeros_(self.embed[-1].bias)

    def forward(self, features: Tensor, history: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """(B, C) → φ (B, C); the rest is not used."""
        return self.embed(features), history


def _exchange(config: ReconstructionConfig, faces: np.ndarray, vertices: int, outputs: int) -> nn.Module:
    match config.exchange:
        case 'attention':
            return AttentionExchange(vertices, outputs, config)
        case 'gcn':
            return StaticExchange(vertices, outputs, config, faces)
        case 'spiral':
            return SpiralExchange(vertices, outputs, config, faces)
        case 'late':
            return LateExchange(outputs)


def attend(source: Tensor, target: Tensor, values: Tensor, threshold: float | None) -> Tensor:
    """Σ_{j ∈ N(i)} α_ij values_j with α of equation 7 and N(i) = {j : α_ij > threshold / N}, as equation 8 sums.

    The logit LeakyReLU(source_i + target_j) rises with target_j. Seen in falling order of target, the neighbours of
    any i are the first few, and so are those with a positive logit, on either side of which exp(logit) is a product
    of a number of i and one of j. Running sums over j then give every i its sum: exact, in O(N log N), where the
    matrix α of a hand alone would take 16 MB a sample.

    Args:
        source: (..., N) aᵀ's first half times W v_i.
        target: (..., N) its second half times W v_j.
        values: (..., N, D).
        threshold: τ; None sums over all j.

    Returns:
        (..., N, D). The gradient is that of the sum over fixed neighbours.
    """
    count = int(target.shape[-1])
    target, order = target.sort(-1, descending=True)
    values = values.gather(-2, order[..., None].expand(*order.shape, values.shape[-1]))
    summed = torch.cat([values, torch.ones_like(values[..., :1])], -1)
    highest = target[..., :1]
    peak = source + highest
    largest = F.leaky_relu(peak, _SLOPE)
    # Relative to the row's largest logit no exponential exceeds one.
    steep, flat = (peak - largest).exp()[..., None], (_SLOPE * peak - largest).exp()[..., None]
    near = _running_sums((target - highest).exp()[..., None] * summed)
    far = _running_sums((_SLOPE * (target - highest)).exp()[..., None] * summed)

    positive = _count_above(target, -source)
    total = steep * _rows(near[..., -1:], positive) + flat * (far[..., -1:, -1:] - _rows(far[..., -1:], positive))
    if threshold is None:
        bend, beyond = _rows(near, positive), far[..., -1:, :] - _rows(far, positive)
    else:
        logit = (total[..., 0] * (threshold / count)).log() + largest
        kept = _count_above(target, torch.minimum(logit, logit / _SLOPE) - source)
        bent = torch.minimum(kept, positive)
        bend, beyond = _rows(near, bent), _rows(far, kept) - _rows(far, bent)
    return (steep * bend + flat * beyond)[..., :-1] / total


def _running_sums(values: Tensor) -> Tensor:
    """(..., N, D) → (..., N + 1, D): row n sums the first n."""
    return F.pad(values.cumsum(-2), (0, 0, 1, 0))


def _rows(table: Tensor, index: Tensor) -> Tensor:
    return table.gather(-2, index[..., None].expand(*index.shape, table.shape[-1]))


def _count_above(falling: Tensor, levels: Tensor) -> Tensor:
    """How many of falling (..., N) exceed each of levels (..., M): a binary search that ONNX can express."""
    count = int(falling.shape[-1])  # a tracer gives tensors
    step = 1 << (count.bit_length() - 1)
    padded = F.pad(falling, (0, 2 * step - 1 - count), value=-torch.inf)
    found = torch.zeros_like(levels, dtype=torch.int64)
    while step:
        found = found + step * (padded.gather(-1, found + (step - 1)) > levels)
        step >>= 1
    return found


def neighbours(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The normalised adjacency D^-½ (A + I) D^-½ of a mesh's edges, row by row.

    Returns:
        index (count, most) of the vertices that a row names, itself first, and their weights, 0 where it names fewer.
    """
    linked: list[set[int]] = [set() for _ in range(count)]
    for a, b, c in faces.tolist():
        linked[a] |= {b, c}
        linked[b] |= {a, c}
        linked[c] |= {a, b}
    rows = [[vertex, *sorted(others - {vertex})] for vertex, others in enumerate(linked)]
    degree = np.array([len(row) for row in rows])
    index = np.repeat(np.arange(count)[:, None], degree.max(), 1)
    weight = np.zeros(index.shape)
    for vertex, row in enumerate(rows):
        index[vertex, : len(row)] = row
        weight[vertex, : len(row)] = 1 / np.sqrt(degree[vertex] * degree[row])
    return index, weight


def spirals(faces: np.ndarray, count: int, length: int) -> np.ndarray:
    """The first vertices of a spiral about each vertex: itself, the ring around it, the ring around that.

    Each ring runs counter-clockwise as seen from outside and the first begins at the neighbour of lowest number.

    Returns:
        (count, length); a vertex stands for those that a mesh too small lacks.
    """
    following: list[dict[int, int]] = [{} for _ in range(count)]
    for a, b, c in faces.tolist():
        following[a][b], following[b][c], following[c][a] = c, a, b
    rows = []
    for vertex in range(count):
        row, inward = [vertex], {vertex: -1}
        for place in row:
            if len(row) >= length:
                break
            for other in _ring(following[place], inward[place]):
                if other not in inward:
                    inward[other] = place
                    row.append(other)
        rows.append((row + [vertex] * length)[:length])
    return np.array(rows)


def _ring(following: dict[int, int], first: int) -> list[int]:
    """The neighbours in order, from `first` on if it is one; where the mesh is open, from its edge on."""
    around = {*following, *following.values()}
    ring: list[int] = []
    for start in [first, *sorted(around - {*following.values()}), *sorted(around)]:
        while start in around and start not in ring:
            ring.append(start)
            start = following.get(start, -1)
    return ring


def _metric(places: Tensor, place: Tensor) -> Tensor:
    """(B, 21, 3) voted places in metres, as if the crop were as wide at all depths as it is at the root's."""
    half = CROP_WIDTH / 2 * place[:, None, 2:].clamp(-2, 2).exp()
    return torch.cat([places[..., :2] * half, places[..., 2:] * VOTED_DEPTH], -1)


def _palm_frame(keypoints: Tensor) -> Tensor:
    """(..., 21, 3) keypoints of a right hand → (..., 3, 3), rows: across the palm, from the wrist to the root, and out
    of the palm."""
    up = F.normalize(keypoints[..., ROOT, :] - keypoints[..., 0, :], dim=-1)
    across = keypoints[..., _INDEX, :] - keypoints[..., _LITTLE, :]
    out = F.normalize(torch.linalg.cross(across, up), dim=-1)
    return torch.stack([torch.linalg.cross(up, out), up, out], -2)


def _orthonormal(numbers: Tensor) -> Tensor:
    """Six numbers about the identity → rotation matrix (Zhou et al., "On the Continuity of Rotation
    Representations in Neural Networks", 2019): its first two columns by Gram and Schmidt."""
    x, y, z = numbers.new_tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    first = F.normalize(numbers[..., :3] + x, dim=-1)
    second = numbers[..., 3:] + y
    second = F.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)
