# SPDX-License-Identifier: Apache-2.0
"""Training of the part of `reconstruction` that tells a hand from what the RGB detector takes for one."""

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
from training.data.pool import SamplePool
from training.data.synthetic.rgb_crops import ROOM
from training.data.synthetic.rgb_frames import RGB_FRAME_DTYPE
from training.data.synthetic.rgb_frames import RgbFrames
from training.evaluation.reconstruction import load_network
from training.loop.fitting import fit
from training.loop.fitting import is_first_process
from training.loop.fitting import LoopConfig
from training.networks.reconstruction import in_camera
from training.networks.reconstruction import ReconstructionNet
from training.recipes.reconstruction import normalised
from training.recipes.rgb_detector import COUNTED
from training.recipes.rgb_detector import recoloured
from training.recipes.rgb_detector import RgbFrameAugmentation

_PROPOSED = 5
"""Guesses of the detector in a frame, however unsure."""
_FOCAL = 1.5
"""Of the frames' camera, which their records do not hold, in widths: the crops hardly depend on it."""
_VALIDATED = 300


@dataclasses.dataclass(frozen=True)
class ReconstructionScoreRecipe:
    """Teaches a trained network of `reconstruction` to say whether a crop shows a hand; its other parts stay."""

    weights: Path = Path('runs/reconstruction/weights.pt')
    """Of the network."""
    models: Path = Path('models')
    """Holds the detector (rgb_detector) that proposes where hands may be."""
    frames: int = 2048
    """Training frames; each is looked at as it is and once more mirrored and in other colours."""
    pool: Path = Path('runs/rgb_frames.pool')
    """File of frames, as of rgb_detector."""
    capacity: int = 16_384
    workers: int = 1
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
    """Trains, leaves the whole network in `<out>/weights.pt` and returns how often a hand of the validation's frames
    scores higher than what is none."""
    kept = torch.load(recipe.weights, map_location='cpu', weights_only=True)
    network, detector = load_network(recipe.weights), RgbDetector(recipe.models)
    pool = SamplePool(
        functools.partial(RgbFrames, recipe.loop.seed),
        RGB_FRAME_DTYPE,
        recipe.pool,
        generator_key(recipe.loop.seed, 'train'),
        recipe.capacity,
        recipe.workers,
        refresh=False,
    )
    try:
        pool.wait(recipe.frames)
        signs, hands = look_at_all(
            network, detector, pool.records[: recipe.frames], np.random.default_rng([recipe.loop.seed, 31])
        )
    finally:
        pool.close()
    held = RgbFrames(0, 'validation')
    unseen = look_at_all(network, detector, (held[index] for index in range(_VALIDATED)))
    mean, spread = signs.mean(0), signs.std(0)
    # What hardly varies must not need weights that 16 bits do not hold.
    spread = np.maximum(spread, 0.1 * spread.mean())
    signs, others = (torch.from_numpy((values - mean) / spread) for values in (signs, unseen[0]))
    hands = torch.from_numpy(hands)
    head = nn.Sequential(
        nn.Linear(signs.shape[1], network.hand[0].out_features),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(network.hand[0].out_features, 1),
    )

    def batch(number: int) -> tuple[Tensor, ...]:
        drawn = np.random.default_rng([recipe.loop.seed, 37, number]).integers(len(signs), size=recipe.loop.batch)
        return signs[drawn], hands[drawn]

    def loss(forward: nn.Module, shown: Tensor, hand: Tensor) -> dict[str, Tensor]:
        return {'doubt': F.binary_cross_entropy_with_logits(forward(shown)[:, 0], hand.float())}

    def validate(module: nn.Module) -> dict[str, float]:
        with torch.inference_mode():
            scores = module(others.to(next(module.parameters()).device))[:, 0]
        return {'hand_told': told_apart(scores.cpu().numpy(), unseen[1])}

    # It takes a minute, and a checkpoint would be of other features.
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
        torch.save(kept, recipe.loop.out / 'weights.pt')
        print(
            f'{recipe.loop.out}/weights.pt after {progress.seconds:.0f} s on {len(signs)} crops, {int(hands.sum())} '
            f'of hands: hand_told {figure:.4f} on {len(others)} others'
        )
    return figure


def look_at_all(
    network: ReconstructionNet,
    detector: RgbDetector,
    records: Iterable[np.ndarray],
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What `look` gives of records of RGB_FRAME_DTYPE; with `rng` of each mirrored and recoloured, too."""
    signs, hands = [], []
    for record in tqdm(records, unit='frame', mininterval=5):
        count = int(record['count'])
        image, squares = np.ascontiguousarray(record['image']), record['square'][:count].astype(float)
        shown = [(image, squares)]
        if rng is not None:
            mirrored = squares * [-1, 1, 1] + [image.shape[1] - 1, 0, 0]
            shown.append((recoloured(np.ascontiguousarray(image[:, ::-1]), RgbFrameAugmentation(), rng), mirrored))
        for pair in shown:
            seen, known = look(network, detector, *pair, record['visible'][:count])
            signs.append(seen)
            hands.append(known)
    return np.concatenate(signs), np.concatenate(hands)


def look(
    network: ReconstructionNet, detector: RgbDetector, image: np.ndarray, squares: np.ndarray, visible: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Looks with the network where the detector sees hands, as right and as left ones, and again where its joints are,
    upright as they stand.

    Args:
        network: in evaluation mode, on the CPU.
        detector: proposes.
        image: (H, W, 3) uint8 RGB.
        squares: (N, 3) centre x, y and side of the hands' squares, pixels.
        visible: (N,) shares of the hands that can be seen.

    Returns:
        What `hand` is told from, (M, F), and whether there is a hand, (M,) bool. What may be one is left out.
    """
    height, width = image.shape[:2]
    camera = Pinhole(width, height, _FOCAL * width, _FOCAL * width, (width - 1) / 2, (height - 1) / 2)
    seen = [
        hand
        for far in detector(image, _PROPOSED, 0.0)
        for hand in [detect_near(detector, image, [(far.centre, far.side)], 0.0)[0] or far] * 2
    ]
    places = [(hand.centre, hand.side) for hand in seen]
    before: list[np.ndarray | None] = [None] * len(places)
    told_from: list[np.ndarray] = []
    labels: list[bool | None] = []
    hook = network.hand.register_forward_pre_hook(lambda _, inputs: told_from.append(inputs[0].numpy()))
    try:
        for _ in range(2 if places else 0):
            labels += [label(*place, squares, visible) for place in places]
            crops = [
                _crop(camera, *place, hand, bool(number % 2), known)
                for number, (place, hand, known) in enumerate(zip(places, seen, before))
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
    counted = np.array([known is not None for known in labels], bool)
    signs = np.concatenate(told_from) if told_from else np.zeros((0, network.hand[0].in_features), np.float32)
    return signs[counted], np.array([known for known in labels if known is not None], bool)


def label(centre: np.ndarray, side: float, squares: np.ndarray, visible: np.ndarray) -> bool | None:
    """Whether a square shows one of the hands; None where it shows too little of one to say."""
    gaps = np.linalg.norm(squares[:, :2] - centre, axis=1)
    if not (gaps < np.maximum(side, squares[:, 2])).any():
        return False
    gaps /= squares[:, 2]
    nearest = int(gaps.argmin())
    shows = gaps[nearest] < 0.5 and abs(np.log(side / squares[nearest, 2])) < 0.7 and visible[nearest] >= COUNTED
    return True if shows else None


def told_apart(scores: np.ndarray, hands: np.ndarray) -> float:
    """How often a hand scores higher than what is none: the area under the ROC curve."""
    return float(mannwhitneyu(scores[hands], scores[~hands]).statistic / (hands.sum() * (~hands).sum()))


def _crop(
    camera: Pinhole, centre: np.ndarray, side: float, seen: DetectedHand, mirrored: bool, before: np.ndarray | None
) -> ViewCrop:
    """As the stage cuts: around a square and what the detector says that the hand holds, upright by its keypoints (21,
    3) of a look before."""
    middle, wide = outline(centre + np.array([[-0.5], [0.5]]) * side, seen.held_corners)
    crop = ViewCrop(camera, middle, ROOM * wide, mirrored=mirrored)
    return crop if before is None else crop.upright(before)


def _square(camera: Pinhole, keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """What keypoints span in the image."""
    centre, side = outline(camera.project(keypoints), None)
    return centre, float(np.clip(side, 4.0, 2 * camera.width))
