# SPDX-License-Identifier: Apache-2.0
"""Training of the heads `hand` and `holds` of `reconstruction`: hands against false detections of the RGB detector, and
hands that hold something against empty ones."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.engines import Card
from training.data.pool import generator_key
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.real.colour_material import ColourMaterialOptions
from training.data.real.material import origins
from training.data.real.pasted_hands import PastedHands
from training.data.real.photos import photos
from training.data.real.scans import scanned_objects
from training.data.synthetic import rgb_frames
from training.data.synthetic.rgb_frames import RGB_FRAME_DTYPE
from training.data.synthetic.rgb_frames import RgbFrames
from training.loop.allotment import allot
from training.loop.command import command_line
from training.loop.fitting import fit
from training.loop.fitting import is_first_process
from training.loop.fitting import LoopConfig
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import COMPACT
from training.networks.reconstruction_weights import load_network
from training.networks.weights import load_weights
from training.networks.weights import require_start
from training.networks.weights_file import read_weights
from training.recipes.reconstruction_score_crops import collect_crops
from training.recipes.reconstruction_score_crops import frame_images
from training.recipes.reconstruction_score_crops import pasted_images
from training.recipes.reconstruction_score_crops import photo_images
from training.recipes.reconstruction_score_crops import ScoredCrops

HEADS = 'hand', 'holds'
"""The parts of the network that are trained."""
_VALIDATION_FRAMES, _VALIDATION_PHOTOS = 150, 300
"""Frames of the validation, and photos, evenly over those of the split."""


@dataclasses.dataclass(frozen=True)
class ReconstructionScoreRecipe(ColourMaterialOptions):
    """Trains the heads that tell hands from other things and holding hands from empty ones; the other parts of a
    trained network of `reconstruction` keep their weights."""

    weights: Path = Path('runs/reconstruction/weights.pt')
    """weights.pt of the network, or its model folder."""
    models: Path = Path('models')
    """Folder of the detector (rgb_detector) whose proposals train the heads."""
    frames: int = 2048
    """Training frames; half of them are mirrored and recoloured, and half of the photos."""
    photos: Path | None = None
    """Folder of the real material, whose labelled photos join the generated frames (`training/data/real/photos.py`).
    Without it `holds` keeps its weights."""
    photo_share: float = 0.7
    """Share of crops of photos in the samples."""
    pasted: int = 0
    """Photos without hands with hands of others pasted into them, which join these; half of the bare ones hold an
    object of `scans`."""
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


class Heads(nn.Module):
    """The heads of a network, for inputs whose mean and spread are taken out."""

    def __init__(self, network: ReconstructionNet) -> None:
        super().__init__()
        for name in HEADS:
            first, _, last = getattr(network, name)
            layers = nn.Linear(first.in_features, first.out_features), nn.ReLU(), nn.Dropout(0.3)
            setattr(self, name, nn.Sequential(*layers, nn.Linear(last.in_features, 1)))

    def forward(self, hand: Tensor, holds: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (B, F) and (C, G) → log-odds (B,) of a hand and (C,) of a held object."""
        return self.hand(hand)[:, 0], self.holds(holds)[:, 0]

    def copy_to(self, network: ReconstructionNet, name: str, mean: Tensor, spread: Tensor) -> None:
        """Copies one head, which then takes inputs as they are."""
        trained, own = getattr(self, name).cpu(), getattr(network, name)
        with torch.no_grad():
            own[0].weight.copy_(trained[0].weight / spread)
            own[0].bias.copy_(trained[0].bias - trained[0].weight @ (mean / spread))
            own[2].load_state_dict(trained[3].state_dict())


class Batches:
    """Draws crops of frames, and a share of photos, seeded by the step."""

    def __init__(self, sources: list[ScoredCrops], shares: list[float], batch: int, seed: int) -> None:
        self._sources, self._batch, self._seed = sources, batch, seed
        self._counts = [round(batch * share) for share in shares]

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Inputs and labels of both heads, `batch` of each."""
        rng = np.random.default_rng([self._seed, 37, step])
        drawn = []
        for inputs, labels in (('hand', 'shows'), ('holds', 'holding')):
            columns: list[tuple[np.ndarray, np.ndarray]] = []
            for source, count in zip(self._sources, self._counts):
                values, truth = getattr(source, inputs), getattr(source, labels)
                if len(values):
                    chosen = rng.integers(len(values), size=count)
                    columns.append((values[chosen], truth[chosen]))
            drawn += [torch.from_numpy(np.concatenate(column)) for column in zip(*columns)]
        return tuple(drawn)


def train(recipe: ReconstructionScoreRecipe) -> dict[str, float]:
    """Trains, saves `<out>/weights.pt` for the export, and returns the areas under the ROC curves on validation frames
    (`hand_told`, `holds_told`) and photos (the same with `_on_photos`)."""
    require_capacity(recipe.capacity, recipe.frames, '--frames')
    shipped = recipe.weights.is_dir()
    if shipped:
        network, kept = scored_parts(recipe.weights), {}
    else:
        kept = read_weights(recipe.weights, 'train reconstruction', 'network', 'figures')
        network = load_network(recipe.weights)
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    torch.set_num_threads(shares.threads)
    taught = photos(recipe.photos, 'train') if recipe.photos else []
    material = recipe.material
    pool = SamplePool(
        functools.partial(RgbFrames, recipe.loop.seed, material=material),
        RGB_FRAME_DTYPE,
        recipe.pool,
        material.key + generator_key(recipe.loop.seed, 'train', modules=[rgb_frames.__name__]),
        recipe.capacity,
        shares.filling,
        refresh=False,
    )
    try:
        pool.wait(recipe.frames)
        collect = functools.partial(collect_crops, network, recipe.models, workers=shares.filling)
        seen = [collect(frame_images(pool.records[: recipe.frames]), [recipe.loop.seed, 31])]
    finally:
        pool.close()
    if recipe.photos:
        seen.append(collect(photo_images(taught), [recipe.loop.seed, 32]))
    if recipe.photos and recipe.pasted:
        hands = PastedHands(recipe.photos, objects=scanned_objects(recipe.scans, 'train'))
        images = pasted_images(hands, recipe.pasted, [recipe.loop.seed, 33])
        seen[1] = ScoredCrops.joined([seen[1], collect(images, [recipe.loop.seed, 34])])
    held_out = RgbFrames(0, 'validation', material=material)
    unseen = {'': collect(frame_images(held_out[index] for index in range(_VALIDATION_FRAMES)))}
    if recipe.photos:
        held = photos(recipe.photos, 'validation')
        unseen['photos'] = collect(photo_images(held[:: max(1, len(held) // _VALIDATION_PHOTOS)]))
    scales = {name: scale_of([getattr(crops, name) for crops in seen]) for name in HEADS}
    seen, others = ([scaled(crops, scales) for crops in each] for each in (seen, unseen.values()))
    heads = Heads(network)
    trained = HEADS if recipe.photos else HEADS[:1]

    def loss(forward: nn.Module, hand: Tensor, shows: Tensor, holds: Tensor, holding: Tensor) -> dict[str, Tensor]:
        told = dict(zip(HEADS, zip(forward(hand, holds), (shows, holding))))
        return {name: F.binary_cross_entropy_with_logits(odds, truth.float()) for name, (odds, truth) in told.items()}

    def validate(module: nn.Module) -> dict[str, float]:
        figures = {}
        for name, crops in zip(unseen, others):
            place = next(module.parameters()).device
            with torch.inference_mode():
                odds = module(*(torch.from_numpy(getattr(crops, head)).to(place) for head in HEADS))
            for head, values, truth in zip(HEADS, odds, (crops.shows, crops.holding)):
                if head in trained and truth.any() and not truth.all():
                    figures[f'{head}_told' + (f'_on_{name}' if name else '')] = roc_auc(values.cpu().numpy(), truth)
        return figures

    # A checkpoint of an earlier run belongs to other features; the training takes a minute.
    (recipe.loop.out / 'checkpoint.pt').unlink(missing_ok=True)
    drawn = [1 - recipe.photo_share, recipe.photo_share] if recipe.photos else [1.0]
    progress = fit(heads, recipe.loop, Batches(seen, drawn, recipe.loop.batch, recipe.loop.seed), loss, validate)
    figures = validate(heads)
    for name in trained:
        heads.copy_to(network, name, *map(torch.from_numpy, scales[name]))
    if is_first_process():
        weights = network.state_dict()
        if shipped:
            own = tuple(f'{name}.' for name in trained)
            kept = {
                'weights': {name: value for name, value in weights.items() if name.startswith(own)},
                'figures': {},
            }
            kept['folder'], kept['folder_sha256'] = str(recipe.weights.resolve()), Card.load(recipe.weights).sha256
        else:
            kept['weights'] = weights
        kept['figures'] |= figures
        kept['score_command'], kept['score_samples'] = command_line(), progress.samples
        photographed = [(recipe.photos, [photo.path for photo in taught])] if recipe.photos else []
        kept['real_images'] = {**(kept.get('real_images') or {}), **origins(*material.files, *photographed)}
        recipe.loop.out.mkdir(parents=True, exist_ok=True)
        torch.save(kept, recipe.loop.out / 'weights.pt')
        counts = ', '.join(f'{len(crops.hand)} crops, {int(crops.shows.sum())} of hands' for crops in seen)
        print(f'{recipe.loop.out}/weights.pt after {progress.seconds:.0f} s on {counts}: {figures}')
    return figures


def scored_parts(folder: Path) -> ReconstructionNet:
    """The network of a model folder, in evaluation mode, as far as the inputs of `hand` and `holds` depend on it.

    The parts behind them, the object's estimator and the exchange, keep their initial values: the export multiplies
    their constants out.
    """
    require_start(folder, 'reconstruction')
    network = ReconstructionNet(COMPACT)
    noise = torch.rand(4, 3, COMPACT.size, COMPACT.size, generator=torch.Generator().manual_seed(0))
    load_weights(FinalReconstruction(network), folder, 2 * noise - 1, partly=True)
    return network.eval()


def scale_of(inputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each input of a head."""
    joined = np.concatenate(inputs)
    mean, spread = joined.mean(0), joined.std(0)
    # Inputs that hardly vary must not need weights beyond the range of 16 bits.
    return mean, np.maximum(spread, 0.1 * spread.mean())


def scaled(crops: ScoredCrops, scales: dict[str, tuple[np.ndarray, np.ndarray]]) -> ScoredCrops:
    """Crops whose inputs have no mean and the spread 1."""
    return dataclasses.replace(
        crops, **{name: (getattr(crops, name) - mean) / spread for name, (mean, spread) in scales.items()}
    )


def roc_auc(scores: np.ndarray, hands: np.ndarray) -> float:
    """Area under the ROC curve: the share of pairs in which the hand scores higher than the non-hand."""
    return float(mannwhitneyu(scores[hands], scores[~hands]).statistic / (hands.sum() * (~hands).sum()))
