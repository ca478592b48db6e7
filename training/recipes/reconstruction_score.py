# SPDX-License-Identifier: Apache-2.0
"""Training of the hand score of `reconstruction`: hands against false detections of the RGB detector."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.stages.parts.rgb_detector import detect_near
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_detector import RgbDetector
from training.data.pool import generator_key
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.synthetic import rgb_frames
from training.data.synthetic.rgb_crops import ROOM
from training.data.synthetic.rgb_frame_views import COUNTED
from training.data.synthetic.rgb_frame_views import recoloured
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation
from training.data.synthetic.rgb_frames import RGB_FRAME_DTYPE
from training.data.synthetic.rgb_frames import RgbFrames
from training.loop.allotment import allot
from training.loop.command import command_line
from training.loop.fitting import fit
from training.loop.fitting import is_first_process
from training.loop.fitting import LoopConfig
from training.networks.reconstruction import in_camera
from training.networks.reconstruction import normalised
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_weights import load_network
from training.networks.weights_file import read_weights

_PROPOSED = 5
"""Most proposals of the detector in a frame, whatever their score."""
_FOCAL = 1.5
"""Focal length assumed for the frames, in image widths: the records do not store it, and the crops hardly depend on
it."""
_VALIDATION_FRAMES = 300
"""Frames of the validation."""


@dataclasses.dataclass(frozen=True)
class ReconstructionScoreRecipe:
    """Trains the hand score of a trained network of `reconstruction`; its other parts keep their weights."""

    weights: Path = Path('runs/reconstruction/weights.pt')
    """weights.pt of the network."""
    models: Path = Path('models')
    """Folder of the detector (rgb_detector) whose proposals train the score."""
    frames: int = 2048
    """Training frames; each is used as it is and once more mirrored and recoloured."""
    pool: Path = Path('runs/rgb_frames.pool')
    """File of rendered frames, the same as that of rgb_detector."""
    capacity: int = 16_384
    """Frames in the pool."""
    workers: int = 0
    """Rendering processes; 0 takes all cores."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(
            Path('runs/reconstruction_score'),
            steps=3000,
            batch=256,
            weight_decay=0.05,
            averaging=0.99,
            precision='32-true',
            every=500,
        )
    )


def train(recipe: ReconstructionScoreRecipe) -> float:
    """Trains, saves the whole network in `<out>/weights.pt` and returns the area under the ROC curve on the validation
    frames."""
    require_capacity(recipe.capacity, recipe.frames, '--frames')
    kept = read_weights(recipe.weights, 'train reconstruction', 'network', 'figures')
    network, detector = load_network(recipe.weights), RgbDetector(recipe.models)
    pool = SamplePool(
        functools.partial(RgbFrames, recipe.loop.seed),
        RGB_FRAME_DTYPE,
        recipe.pool,
        generator_key(recipe.loop.seed, 'train', modules=[rgb_frames.__name__]),
        recipe.capacity,
        allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers).filling,
        refresh=False,
    )
    try:
        pool.wait(recipe.frames)
        features, hands = collect_features(
            network, detector, pool.records[: recipe.frames], np.random.default_rng([recipe.loop.seed, 31])
        )
    finally:
        pool.close()
    held = RgbFrames(0, 'validation')
    unseen = collect_features(network, detector, (held[index] for index in range(_VALIDATION_FRAMES)))
    mean, spread = features.mean(0), features.std(0)
    # Features that hardly vary must not need weights beyond the range of 16 bits.
    spread = np.maximum(spread, 0.1 * spread.mean())
    features, others = (torch.from_numpy((values - mean) / spread) for values in (features, unseen[0]))
    hands = torch.from_numpy(hands)
    head = nn.Sequential(
        nn.Linear(features.shape[1], network.hand[0].out_features),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(network.hand[0].out_features, 1),
    )

    def batch(number: int) -> tuple[Tensor, ...]:
        drawn = np.random.default_rng([recipe.loop.seed, 37, number]).integers(len(features), size=recipe.loop.batch)
        return features[drawn], hands[drawn]

    def loss(forward: nn.Module, batch_features: Tensor, hand: Tensor) -> dict[str, Tensor]:
        return {'hand': F.binary_cross_entropy_with_logits(forward(batch_features)[:, 0], hand.float())}

    def validate(module: nn.Module) -> dict[str, float]:
        with torch.inference_mode():
            scores = module(others.to(next(module.parameters()).device))[:, 0]
        return {'hand_told': roc_auc(scores.cpu().numpy(), unseen[1])}

    # A checkpoint of an earlier run belongs to other features; the training takes a minute.
    (recipe.loop.out / 'checkpoint.pt').unlink(missing_ok=True)
    progress = fit(head, recipe.loop, batch, loss, validate)
    figure = validate(head)['hand_told']
    head.cpu()
    with torch.no_grad():
        network.hand[0].weight.copy_(head[0].weight / torch.from_numpy(spread))
        network.hand[0].bias.copy_(head[0].bias - head[0].weight @ torch.from_numpy(mean / spread))
        network.hand[2].load_state_dict(head[3].state_dict())
    if is_first_process():
        kept['weights'], kept['figures']['hand_told'] = network.state_dict(), figure
        kept['score_command'] = command_line()
        torch.save(kept, recipe.loop.out / 'weights.pt')
        print(
            f'{recipe.loop.out}/weights.pt after {progress.seconds:.0f} s on {len(features)} crops, {int(hands.sum())} '
            f'of hands: hand_told {figure:.4f} on {len(others)} others'
        )
    return figure


def collect_features(
    network: ReconstructionNet,
    detector: RgbDetector,
    records: Iterable[np.ndarray],
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`score_features` of all records of RGB_FRAME_DTYPE; with `rng` also of each mirrored and recoloured."""
    features, hands = [], []
    for record in tqdm(records, unit='frame', mininterval=5):
        count = int(record['count'])
        image, squares = np.ascontiguousarray(record['image']), record['square'][:count].astype(float)
        versions = [(image, squares)]
        if rng is not None:
            mirrored = squares * [-1, 1, 1] + [image.shape[1] - 1, 0, 0]
            versions.append((recoloured(np.ascontiguousarray(image[:, ::-1]), RgbFrameAugmentation(), rng), mirrored))
        for version in versions:
            values, labels = score_features(network, detector, *version, record['visible'][:count])
            features.append(values)
            hands.append(labels)
    return np.concatenate(features), np.concatenate(hands)


def score_features(
    network: ReconstructionNet, detector: RgbDetector, image: np.ndarray, squares: np.ndarray, visible: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Runs the network on the proposals of the detector, as right and as left hands, and again around the predicted
    joints, rolled upright.

    Args:
        network: in evaluation mode, on the CPU.
        detector: proposes hands.
        image: (H, W, 3) uint8 RGB.
        squares: (N, 3) centre x, y and side of the hands' squares, pixels.
        visible: (N,) visible shares of the hands.

    Returns:
        The inputs (M, F) of the head `hand`, and the labels (M,) bool. Crops without a clear label are left out.
    """
    height, width = image.shape[:2]
    camera = Pinhole(width, height, _FOCAL * width, _FOCAL * width, (width - 1) / 2, (height - 1) / 2)
    proposals = [
        hand
        for far in detector(image, _PROPOSED, 0.0)
        for hand in [detect_near(detector, image, [(far.centre, far.side)], 0.0)[0] or far] * 2
    ]
    places = [(hand.centre, hand.side) for hand in proposals]
    before: list[np.ndarray | None] = [None] * len(places)
    inputs: list[np.ndarray] = []
    labels: list[bool | None] = []
    hook = network.hand.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].numpy()))
    try:
        for _ in range(2 if places else 0):
            labels += [label(*place, squares, visible) for place in places]
            crops = [
                _crop(camera, *place, hand, bool(number % 2), keypoints)
                for number, (place, hand, keypoints) in enumerate(zip(places, proposals, before))
            ]
            images = np.stack([crop.warp(image, network.config.size) for crop in crops])
            with torch.inference_mode():
                hand = network(normalised(torch.from_numpy(images).permute(0, 3, 1, 2)), hand_alone=True).hands[-1]
            before = [
                in_camera(crop, *numbers)
                for crop, *numbers in zip(crops, hand.keypoints.numpy().astype(float), hand.place.numpy().astype(float))
            ]
            places = [_square(camera, keypoints) for keypoints in before]
    finally:
        hook.remove()
    clear = np.array([known is not None for known in labels], bool)
    features = np.concatenate(inputs) if inputs else np.zeros((0, network.hand[0].in_features), np.float32)
    return features[clear], np.array([known for known in labels if known is not None], bool)


def label(centre: np.ndarray, side: float, squares: np.ndarray, visible: np.ndarray) -> bool | None:
    """Whether a square shows one of the hands; None if it shows too little of one for either label."""
    gaps = np.linalg.norm(squares[:, :2] - centre, axis=1)
    if not (gaps < np.maximum(side, squares[:, 2])).any():
        return False
    gaps /= squares[:, 2]
    nearest = int(gaps.argmin())
    shows = gaps[nearest] < 0.5 and abs(np.log(side / squares[nearest, 2])) < 0.7 and visible[nearest] >= COUNTED
    return True if shows else None


def roc_auc(scores: np.ndarray, hands: np.ndarray) -> float:
    """Area under the ROC curve: the share of pairs in which the hand scores higher than the non-hand."""
    return float(mannwhitneyu(scores[hands], scores[~hands]).statistic / (hands.sum() * (~hands).sum()))


def _crop(
    camera: Pinhole, centre: np.ndarray, side: float, hand: DetectedHand, mirrored: bool, before: np.ndarray | None
) -> ViewCrop:
    """The crop of the stage: around a square and the detected held box, rolled upright by the keypoints (21, 3) of the
    pass before."""
    middle, wide = outline(centre + np.array([[-0.5], [0.5]]) * side, hand.held_corners)
    crop = ViewCrop(camera, middle, ROOM * wide, mirrored=mirrored)
    return crop if before is None else crop.upright(before)


def _square(camera: Pinhole, keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and side of the square around keypoints (21, 3), pixels."""
    centre, side = outline(camera.project(keypoints), None)
    return centre, float(np.clip(side, 4.0, 2 * camera.width))
