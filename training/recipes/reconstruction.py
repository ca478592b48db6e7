# SPDX-License-Identifier: Apache-2.0
"""Training of `reconstruction` (Tse et al., CVPR 2022) on generated scenes or on a public data set."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.model import HandModel
from training.data.pool import generator_key
from training.data.pool import SamplePool
from training.data.pool import Samples
from training.data.public.choice import DataChoice
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.rgb_crops import crop_of
from training.data.synthetic.rgb_crops import cut
from training.data.synthetic.rgb_crops import RecordedSamples
from training.data.synthetic.rgb_crops import RgbAugmentation
from training.data.synthetic.rgb_crops import RgbCrops
from training.data.synthetic.rgb_crops import SURFACE_POINTS
from training.export.onnx_import import load_weights
from training.loop.fitting import fit
from training.loop.fitting import keep
from training.loop.fitting import LoopConfig
from training.loop.fitting import Progress
from training.networks.reconstruction import COMPACT
from training.networks.reconstruction import CROP_WIDTH
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import in_camera
from training.networks.reconstruction import ReconstructionConfig
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction import ROOT
from training.networks.reconstruction import VOTED_DEPTH
from training.recipes.reconstruction_losses import chamfer_distance
from training.recipes.reconstruction_losses import reconstruction_loss
from training.recipes.reconstruction_losses import ReconstructionLosses
from training.recipes.reconstruction_losses import ReconstructionTargets
from training.recipes.reconstruction_losses import spread_over

LEFT_SHARE = 0.3
"""Share of a batch that shows left hands, from which a network learns to tell the side and the places of the joints;
of the rest it learns all."""
_OF_THE_HAND = 'hand_encoder.', 'object_encoder.', 'hand_estimator.', 'voting.', 'side.'
"""What a training of the hand alone leaves; the object's encoder begins as the hand's."""
_VALIDATED = 256
"""Crops of the validation."""
_LOOKED_AT = 32
"""Crops that are looked at at once."""


@dataclasses.dataclass(frozen=True)
class ReconstructionRecipe(DataChoice):
    """Trains the network of `reconstruction`."""

    network: ReconstructionConfig = COMPACT
    losses: ReconstructionLosses = ReconstructionLosses(classes=len(FAMILIES))
    pool: Path = Path('runs/rgb_crops.pool')
    """File of records; it grows to `capacity` and is reused."""
    capacity: int = 40_960
    workers: int = 1
    """Processes that render or read."""
    refresh: bool = True
    """Whether they go on once the pool is full, replacing the oldest records by new ones."""
    window: int | None = None
    """Side of the records' windows, pixels; 1.3 times the network's crop where not given."""
    first: int = 2048
    """Records to wait for before the training begins."""
    start: Path | None = None
    """weights.pt of an earlier training to go on from; where that was of the hand alone, the object's encoder begins as
    the hand's. Or a model folder, which holds all but a part of the exchange and of the object's first layer."""
    branch: Literal['both', 'hand'] = 'both'
    """hand: the hand's branch learns alone, from the image alone, at a third of the cost; a start for both."""
    encoders: bool = True
    """Whether the image encoders learn; the paper's last 100 epochs leave them as they are, at a rate of 1e-5."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(
            Path('runs/reconstruction'), batch=32, optimizer='muon', learning_rate=1.5e-3
        )
    )


class Batches:
    """Draws augmented batches from records, seeded by the step."""

    def __init__(
        self, records: Callable[[], np.ndarray], augmentation: RgbAugmentation, batch: int, seed: int, left: float = 0.0
    ) -> None:
        self._records, self._augmentation, self._batch, self._seed = records, augmentation, batch, seed
        self._left = left

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Images (B, 3, S, S) uint8 and the fields of ReconstructionTargets."""
        rng = np.random.default_rng([self._seed, 19, step])
        records = self._records()
        drawn = records[rng.integers(len(records), size=self._batch)]
        return collate(drawn, self._augmentation, rng, round(self._left * self._batch))


def collate(
    records: np.ndarray,
    augmentation: RgbAugmentation,
    rng: np.random.Generator | None,
    left: int = 0,
    seen: Sequence[np.ndarray | None] | None = None,
) -> tuple[Tensor, ...]:
    """Records → images (B, 3, S, S) uint8 and the fields of ReconstructionTargets; plain crops without `rng`, turned
    upright by the keypoints that were `seen`, where they are given. The first `left` show left hands."""
    crops = [
        cut(record, augmentation, ROOT, CROP_WIDTH, rng, known)
        for record, known in zip(records, seen if seen is not None else [None] * len(records))
    ]
    image = torch.from_numpy(np.stack([crop.image for crop in crops])).permute(0, 3, 1, 2)
    targets = ReconstructionTargets(
        *(
            torch.from_numpy(np.stack(values))
            for values in (
                [crop.keypoints for crop in crops],
                [crop.place for crop in crops],
                [crop.pixels for crop in crops],
                [crop.vertices for crop in crops],
                records['has_vertices'].astype(np.float32),
                [crop.surface for crop in crops],
                (records['family'] >= 0).astype(np.float32),
                (np.arange(len(crops)) >= left).astype(np.float32),
            )
        )
    )
    image[:left] = image[:left].flip(-1)
    for places in (targets.keypoints, targets.place, targets.pixels, targets.vertices, targets.surface):
        places[:left, ..., 0] *= -1
    return image, *targets


def normalised(image: Tensor) -> Tensor:
    """(B, 3, S, S) uint8 → float in [−1, 1]."""
    return image.float() / 127.5 - 1


def train(recipe: ReconstructionRecipe) -> dict[str, float]:
    """Trains, validates, leaves the weights in `<out>/weights.pt` and returns the validation's figures."""
    model = HandModel.load(recipe.hand)
    network = ReconstructionNet(recipe.network, model)
    for encoder in (network.hand_encoder, network.object_encoder):
        encoder.frozen = not recipe.encoders
        encoder.requires_grad_(recipe.encoders)
    window = recipe.window or round(recipe.network.size * 1.3)
    make = functools.partial(_stream, recipe, window, 'train')
    stream = make()
    pool = SamplePool(
        make,
        stream.dtype,
        recipe.pool,
        f'{_source(recipe)} window {window} ' + generator_key(recipe.loop.seed, 'train', model),
        recipe.capacity,
        recipe.workers,
        recipe.refresh,
    )
    augmentation = RgbAugmentation(size=recipe.network.size)
    learned = 'hand'
    held = _stream(recipe, window, 'validation')
    validation = np.stack([held[index] for index in range(_VALIDATED)])
    if recipe.start and recipe.start.is_dir():
        image = normalised(collate(validation[:64], augmentation, None)[0])
        anew, learned = load_weights(FinalReconstruction(network), recipe.start, image, partly=True), 'both'
        print(f'{recipe.start} is gone on from; learned anew: {", ".join(anew)}')
    elif recipe.start:
        learned = start_from(network, recipe.start)
    branch = 'both' if 'both' in (recipe.branch, learned) else 'hand'
    try:
        pool.wait(recipe.first)
        progress, figures = train_network(
            network,
            recipe.losses,
            recipe.loop,
            augmentation,
            lambda: pool.records[: pool.ready],
            validation,
            recipe.branch == 'hand',
            branch == 'hand',
        )
    finally:
        pool.close()
    keep(
        network,
        recipe.loop,
        progress,
        figures,
        network=dataclasses.asdict(recipe.network),
        data=recipe.data,
        branch=branch,
        hand=str(recipe.hand.resolve()) if recipe.hand else None,
    )
    return figures


def start_from(network: ReconstructionNet, path: Path) -> str:
    """Takes over the weights of an earlier training that this network has, too, whatever exchange either has.

    Returns:
        Which branches have learned: 'both' or 'hand'.

    Raises:
        ValueError: that network is of another size or readout.
    """
    kept = torch.load(path, map_location='cpu', weights_only=True)
    weights, own = kept['weights'], network.state_dict()
    if kept.get('branch') == 'hand':
        for name in [name for name in weights if name.startswith('hand_encoder.')]:
            weights[name.replace('hand_encoder.', 'object_encoder.', 1)] = weights[name]
        weights = {name: value for name, value in weights.items() if name.startswith(_OF_THE_HAND)}
    other = [name for name, value in weights.items() if name in own and own[name].shape != value.shape]
    lacking = [name for name in own if name.startswith(_OF_THE_HAND) and name not in weights]
    if other or lacking:
        raise ValueError(
            f'{path} holds another network: {(other + lacking)[0]} differs; give the same widths, blocks, '
            'rotation and readout, or go on from the model folder that was made of it'
        )
    network.load_state_dict({**own, **{name: value for name, value in weights.items() if name in own}})
    return kept.get('branch', 'both')


def train_network(
    network: ReconstructionNet,
    losses: ReconstructionLosses,
    loop: LoopConfig,
    augmentation: RgbAugmentation,
    records: Callable[[], np.ndarray],
    validation: np.ndarray,
    hand_alone: bool = False,
    without_object: bool = False,
) -> tuple[Progress, dict[str, float]]:
    """Trains a network in place on records and gives what it took and its figures on others.

    Args:
        hand_alone: whether the hand's branch alone learns.
        without_object: whether the figures, too, are of the hand alone: nothing of the object has been learned.
    """

    def loss(forward: nn.Module, image: Tensor, *batch: Tensor) -> dict[str, Tensor]:
        return reconstruction_loss(
            forward(normalised(image), hand_alone),
            ReconstructionTargets(*batch),
            losses,
            network.object_estimator.faces,
        )

    def validate(module: nn.Module) -> dict[str, float]:
        images, *targets = collate(
            validation, augmentation, None, seen=seen_from_afar(module, validation, augmentation)
        )
        return validation_figures(module, images, ReconstructionTargets(*targets), without_object)

    batches = Batches(records, augmentation, loop.batch, loop.seed, LEFT_SHARE if network.side else 0.0)
    progress = fit(network, loop, batches, loss, validate)
    return progress, validate(network)


def seen_from_afar(network: nn.Module, records: np.ndarray, augmentation: RgbAugmentation) -> list[np.ndarray]:
    """Keypoints (21, 3) that a network sees in plain crops, metres in the windows' optical frames: what the second look
    is turned upright by, as on the robot."""
    images, *_ = collate(records, augmentation, None)
    device, seen = next(network.parameters()).device, []
    with torch.inference_mode():
        for number, part in enumerate(images.split(_LOOKED_AT)):
            hand = network(normalised(part.to(device)), True).hands[-1]
            for record, keypoints, place in zip(
                records[number * _LOOKED_AT :], hand.keypoints.numpy(force=True), hand.place.numpy(force=True)
            ):
                seen.append(in_camera(crop_of(record), keypoints.astype(float), place.astype(float)))
    return seen


def validation_figures(
    network: nn.Module, images: Tensor, targets: ReconstructionTargets, hand_alone: bool = False
) -> dict[str, float]:
    """What a network reaches.

    Returns:
        Root-relative joint error, mm, where the root is that of the network, and the share of the joints that are
        nearer to the truth than 2 cm; of the joints that are voted, how far off they are in the crop, percent of its
        side, and in depth, mm; how often the crop looks more like a right hand than its mirror image does; of the crops
        with and of those without an object, where there are both, the shares that are told so, averaged; Chamfer
        distance of points on both surfaces, mm², the mean squared distances of both directions added; error of the
        place.
    """
    device = next(network.parameters()).device
    keypoints, objects, places, votes, sides, holds = [], [], [], [], [], []
    with torch.inference_mode():
        for part in images.split(_LOOKED_AT):
            result = network(normalised(part.to(device)), hand_alone)
            keypoints.append(result.hands[-1].keypoints.cpu())
            places.append(result.hands[-1].place.cpu())
            objects += [
                spread_over(mesh, network.object_estimator.faces, SURFACE_POINTS).cpu() for mesh in result.objects[-1:]
            ]
            holds += [] if result.holds is None else [result.holds[:, 0].cpu() > 0]
            if result.votes is not None:
                votes.append(result.votes.places.cpu())
                mirrored = network(normalised(part.flip(-1).to(device)), True)
                sides.append((result.right > mirrored.right).float().cpu())
    errors = (torch.cat(keypoints) - targets.keypoints).norm(dim=-1)
    figures = {
        'joint_error_mm': 1e3 * float(errors.mean()),
        'joints_within_2_cm': float((errors < 0.02).float().mean()),
    }
    if votes:
        seen = torch.cat(votes)
        figures['voted_pixels_percent'] = 50 * float((seen[..., :2] - targets.pixels).norm(dim=-1).mean())
        figures['voted_depth_mm'] = 1e3 * float((seen[..., 2] * VOTED_DEPTH - targets.keypoints[..., 2]).abs().mean())
        figures['side_right'] = float(torch.cat(sides).mean())
    has = targets.has_object.bool()
    if holds and has.any() and not has.all():
        said = torch.cat(holds)
        figures['holds_told'] = float(said[has].float().mean() + (~said[~has]).float().mean()) / 2
    if objects:
        chamfer = 2 * chamfer_distance(torch.cat(objects)[has], targets.surface[has])
        figures['chamfer_mm2'] = 1e6 * float(chamfer.mean())
    return {**figures, 'place_error': float((torch.cat(places) - targets.place).norm(dim=-1).mean())}


def _source(recipe: ReconstructionRecipe) -> str:
    """What a pool's key says of the data."""
    chosen = {'ho3d': f' {recipe.version}', 'dexycb': f' {recipe.setup}'}.get(recipe.data, '')
    hand = f' of {recipe.hand}' if recipe.hand else ''
    return f'{recipe.data} {recipe.root}{chosen}{hand}'


def _stream(recipe: ReconstructionRecipe, window: int, split: str) -> Samples:
    model = HandModel.load(recipe.hand)
    if recipe.data == 'synthetic':
        return RgbCrops(recipe.loop.seed if split == 'train' else 0, split, window, model)
    samples, repeats = recipe.public('train')
    # The last of the official training split validate: of a video data set these are other sequences. FreiHAND shows
    # each of its hands before several backgrounds.
    place = np.arange(len(samples)) % (len(samples) // repeats)
    learned = place < 0.95 * len(samples) / repeats
    return RecordedSamples(
        samples,
        np.flatnonzero(learned if split == 'train' else ~learned),
        window,
        len(model.template),
        recipe.loop.seed,
    )
