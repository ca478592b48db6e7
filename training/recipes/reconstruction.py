# SPDX-License-Identifier: Apache-2.0
"""Training of `reconstruction` (Tse et al., CVPR 2022) on generated scenes or on a public data set."""

from __future__ import annotations

import copy
import dataclasses
import functools
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.model import HandModel
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.public.choice import DataChoice
from training.data.real.colour_material import ColourMaterialOptions
from training.data.real.colour_material import GENERATED
from training.data.real.photo_crops import PhotoCrops
from training.data.real.scans import scanned_objects
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.recolouring import OWN_COLOURS
from training.data.synthetic.rgb_crop_views import crop_of
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.data.synthetic.rgb_crops import RgbCrops
from training.data.synthetic.rgb_crops import SURFACE_POINTS
from training.errors import TrainingError
from training.loop.allotment import allot
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import Progress
from training.loop.fitting import save_weights
from training.loop.start import mix_with
from training.loop.start import require_share
from training.networks.reconstruction import in_camera
from training.networks.reconstruction import normalised
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import COMPACT
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_config import VOTED_DEPTH
from training.networks.reconstruction_weights import start_from
from training.networks.reconstruction_weights import start_from_folder
from training.networks.weights import require_start
from training.provenance import provenance
from training.recipes.reconstruction_batches import Batches
from training.recipes.reconstruction_batches import collate
from training.recipes.reconstruction_batches import collate_photos
from training.recipes.reconstruction_batches import Photographs
from training.recipes.reconstruction_losses import chamfer_distance
from training.recipes.reconstruction_losses import reconstruction_loss
from training.recipes.reconstruction_losses import ReconstructionLosses
from training.recipes.reconstruction_losses import ReconstructionTargets
from training.recipes.reconstruction_losses import reprojected
from training.recipes.reconstruction_losses import surface_points
from training.recipes.reconstruction_non_hands import NonHandCrops
from training.recipes.reconstruction_samples import data_of
from training.recipes.reconstruction_samples import samples
from training.recipes.reconstruction_samples import source

LEFT_SHARE = 0.3
"""Share of left hands in a batch. They train the side and the votes; right hands train everything."""
_VALIDATION_CROPS = 256
"""Crops of the validation."""
_INFERENCE_BATCH = 32
"""Crops of a batch at inference."""


@dataclasses.dataclass(frozen=True)
class ReconstructionRecipe(DataChoice, ColourMaterialOptions):
    """Trains the network of `reconstruction`."""

    network: ReconstructionConfig = COMPACT
    losses: ReconstructionLosses = dataclasses.field(
        default_factory=lambda: ReconstructionLosses(classes=len(FAMILIES))
    )
    pool: Path = Path('runs/rgb_crops.pool')
    """File of records; it grows to `capacity` and is reused."""
    capacity: int = 40_960
    """Records in the pool."""
    workers: int = 0
    """Processes that render or read samples; 0 chooses them: all cores until the training starts, then those that it
    leaves."""
    refresh: bool = True
    """Keep rendering once the pool is full, replacing the oldest records."""
    window: int | None = None
    """Side of the windows that the records store, pixels; 1.3 times the network's crop by default."""
    first: int = 2048
    """Records that must be ready before the training starts."""
    start: Path | None = None
    """weights.pt of an earlier training to start from; if that trained the hand alone, the object encoder starts as a
    copy of the hand encoder. Or a model folder."""
    photos: Path | None = None
    """Folder of the real material, whose photos with hands join the generated crops: where MediaPipe locates the
    keypoints, they teach the votes, the mesh's place in the picture and the side; all teach whether a hand holds
    something (`training/data/real/photo_crops.py`)."""
    photo_share: float = 0.25
    """Share of crops of hands in photos in a batch."""
    pasted: float = 0.3
    """Share of these whose hands are cut out of their photos and pasted before photos without hands."""
    non_hand_share: float = 0.0
    """Share of crops of photos that show no hand, most of them about what the RGB detector proposes; they teach what is
    a hand (`training/recipes/reconstruction_non_hands.py`)."""
    models: Path = Path('models')
    """Folder of that detector (rgb_detector)."""
    start_share: float = 0.0
    """Share of the weights of `start` in the result, 0 to 1 (`training/loop/start.py`)."""
    branch: Literal['both', 'hand', 'object'] = 'both'
    """hand: trains the hand branch alone, from the image alone, at a third of the cost; a start for both. object:
    trains all but that, and the hand branch keeps its weights."""
    encoders: bool = True
    """Whether the image encoders are trained; the paper freezes them in its last 100 epochs, at a rate of 1e-5."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(Path('runs/reconstruction'), batch=32, optimizer='muon')
    )


def train(recipe: ReconstructionRecipe) -> dict[str, float]:
    """Trains, validates, saves the weights in `<out>/weights.pt` and returns the figures of the validation.

    Raises:
        TrainingError: options that do not go together.
    """
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(1.5e-3)
    model = HandModel.load(recipe.hand)
    window = recipe.window or round(recipe.network.size * 1.3)
    generated = recipe.data == 'synthetic'
    material = recipe.material if generated else GENERATED
    make = functools.partial(samples, data_of(recipe), loop.seed, window, 'train', material)
    stream = make()
    require_capacity(recipe.capacity)
    require_start(recipe.start, 'reconstruction', file=True)
    require_share(recipe.start, recipe.start_share)
    if recipe.branch == 'object' and recipe.start is None:
        raise TrainingError('--branch object needs --start: name the weights whose hand branch it keeps')
    taught = recipe.photo_share + recipe.non_hand_share if recipe.photos else 0.0
    if not 0 <= taught < 1:
        raise TrainingError(f'--photo-share and --non-hand-share add up to {taught:g}, expected less than 1')
    key = f'{material.key}{source(recipe)} window {window} '
    validation = filled(
        functools.partial(samples, data_of(recipe), loop.seed, window, 'validation', material),
        stream.dtype,
        recipe.pool.with_stem(f'{recipe.pool.stem}_validation'),
        key + generator_key(loop.seed, 'validation', model, [RgbCrops.__module__]),
        _VALIDATION_CROPS,
        shares.filling,
        loop.after(0.25, started),
    )
    network = ReconstructionNet(recipe.network, model)
    for encoder in (network.hand_encoder, network.object_encoder):
        encoder.frozen = not recipe.encoders
        encoder.requires_grad_(recipe.encoders)
    augmentation = RgbAugmentation(size=recipe.network.size)
    trained = 'hand'
    if recipe.start and recipe.start.is_dir():
        image = normalised(collate(validation[:64], augmentation, None)[0])
        untrained, trained = start_from_folder(network, recipe.start, image), 'both'
        print(f'starts from {recipe.start}; trained from scratch: {", ".join(untrained) or "nothing"}')
    elif recipe.start:
        trained = start_from(network, recipe.start)
    branch = 'hand' if (recipe.branch, trained) == ('hand', 'hand') else 'both'
    if recipe.branch == 'object':
        network.freeze_hand()
    photographed: list[tuple[PhotoCrops | NonHandCrops, float]] = []
    if recipe.photos:
        things = scanned_objects(recipe.scans, 'train')
        photographed.append((PhotoCrops(recipe.photos, pasted=recipe.pasted, objects=things), recipe.photo_share))
    if recipe.photos and recipe.non_hand_share:
        photographed.append((NonHandCrops(recipe.photos, recipe.models), recipe.non_hand_share))
    unseen = located_crops(recipe.photos, augmentation, stream.dtype) if recipe.photos else None
    pool = SamplePool(
        make,
        stream.dtype,
        recipe.pool,
        key + generator_key(loop.seed, 'train', model, [RgbCrops.__module__]),
        recipe.capacity,
        shares.filling,
        recipe.refresh,
        shares.beside,
    )
    try:
        pool.wait(min(recipe.first, recipe.capacity), loop.batch, loop.after(0.5, started))
        progress, figures = train_network(
            network,
            recipe.losses,
            loop,
            augmentation,
            lambda: pool.records[: pool.ready],
            validation,
            recipe.branch == 'hand',
            branch == 'hand',
            started,
            photographed,
            unseen,
            recipe.start_share,
        )
    finally:
        pool.close()
    seen = provenance(recipe.start, [*material.files, *(files for crops, _ in photographed for files in crops.files)])
    for crops, _ in photographed:
        seen['real_images'] |= crops.labels
    save_weights(
        network,
        loop,
        progress,
        figures,
        network=dataclasses.asdict(recipe.network),
        data=recipe.data,
        branch=branch,
        hand=str(recipe.hand.resolve()) if recipe.hand else None,
        **seen,
    )
    return figures


def train_network(
    network: ReconstructionNet,
    losses: ReconstructionLosses,
    loop: LoopConfig,
    augmentation: RgbAugmentation,
    records: Callable[[], np.ndarray],
    validation: np.ndarray,
    hand_alone: bool = False,
    without_object: bool = False,
    started: float | None = None,
    photographed: Sequence[tuple[Photographs, float]] = (),
    unseen_photos: tuple[Tensor, ...] | None = None,
    start_share: float = 0.0,
) -> tuple[Progress, dict[str, float]]:
    """Trains a network in place.

    Args:
        network: in place.
        losses: weights of the terms.
        loop: budget and schedule.
        augmentation: of the crops.
        records: returns the records that may be drawn.
        validation: records of the validation.
        hand_alone: trains the hand branch alone.
        without_object: also leaves the object out of the figures, because it was never trained.
        started: as of `fit`.
        photographed: sources of crops of photos that join the records, and the share of each of them in a batch.
        unseen_photos: of `located_crops`, for the validation.
        start_share: of the network's present weights in the result.

    Returns:
        The progress and the figures of the validation.
    """

    def loss(forward: nn.Module, image: Tensor, *batch: Tensor) -> dict[str, Tensor]:
        return reconstruction_loss(
            forward(normalised(image), hand_alone),
            ReconstructionTargets(*batch),
            losses,
            network.object_estimator.faces,
        )

    def validate(module: nn.Module) -> dict[str, float]:
        keypoints = first_pass_keypoints(module, validation, augmentation)
        images, *targets = collate(validation, augmentation, None, upright_by=keypoints)
        figures = validation_figures(module, images, ReconstructionTargets(*targets), without_object)
        return {**figures, **(photo_figures(module, *unseen_photos) if unseen_photos else {})}

    left = LEFT_SHARE if network.side else 0.0
    batches = Batches(records, augmentation, loop.batch, loop.seed, left, photographed)
    before = copy.deepcopy(network.state_dict()) if start_share else {}
    progress = fit(network, loop, batches, loss, validate, started)
    if start_share:
        mix_with(network, before, start_share)
    return progress, validate(network)


def located_crops(root: Path, augmentation: RgbAugmentation, dtype: np.dtype) -> tuple[Tensor, ...] | None:
    """Crops of hands with keypoints in photos of the validation, as `collate_photos`; None without such hands."""
    crops, rng = PhotoCrops(root, 'validation'), np.random.default_rng(0)
    still = dataclasses.replace(augmentation, turn=0.5, colours=OWN_COLOURS)
    located = [crop for crop in (crops.draw(still, rng) for _ in range(_VALIDATION_CROPS)) if crop.located]
    return collate_photos(located, dtype) if located else None


def photo_figures(network: nn.Module, images: Tensor, *targets: Tensor) -> dict[str, float]:
    """Figures of a network on located crops of photos: distances of the voted and of the mesh's keypoints from the
    located ones, in percent of the hand's larger extent in the crop, and `side_right` as `validation_figures`."""
    device, known = next(network.parameters()).device, ReconstructionTargets(*targets)
    voted, drawn, sides = [], [], []
    with torch.inference_mode():
        for part, focal in zip(images.split(_INFERENCE_BATCH), known.focal.split(_INFERENCE_BATCH)):
            result, mirrored = (network(normalised(view.to(device)), True) for view in (part, part.flip(-1)))
            voted += [] if result.votes is None else [result.votes.places[..., :2].cpu()]
            drawn.append(reprojected(result.hands[0], focal.to(device)).cpu())
            sides += [] if result.right is None else [(result.right > mirrored.right).float().cpu()]
    size = (known.pixels.amax(1) - known.pixels.amin(1)).amax(1, keepdim=True)
    figures = {'mesh_on_photos_percent': 100 * float(((torch.cat(drawn) - known.pixels).norm(dim=-1) / size).mean())}
    if voted:
        apart = (torch.cat(voted) - known.pixels).norm(dim=-1) / size
        figures['voted_on_photos_percent'] = 100 * float(apart.mean())
        figures['side_right_on_photos'] = float(torch.cat(sides).mean())
    return figures


def first_pass_keypoints(network: nn.Module, records: np.ndarray, augmentation: RgbAugmentation) -> list[np.ndarray]:
    """Keypoints (21, 3) that a network predicts from plain crops, metres in the optical frames of the windows. As on
    the robot, they roll the crops of the second pass upright."""
    images, *_ = collate(records, augmentation, None)
    device, predicted = next(network.parameters()).device, []
    with torch.inference_mode():
        for number, part in enumerate(images.split(_INFERENCE_BATCH)):
            hand = network(normalised(part.to(device)), True).hands[-1]
            for record, keypoints, place in zip(
                records[number * _INFERENCE_BATCH :], hand.keypoints.numpy(force=True), hand.place.numpy(force=True)
            ):
                predicted.append(in_camera(crop_of(record), keypoints.astype(float), place.astype(float)))
    return predicted


def validation_figures(
    network: nn.Module, images: Tensor, targets: ReconstructionTargets, hand_alone: bool = False
) -> dict[str, float]:
    """Figures of a network on crops.

    Returns:
        Joint error from the network's root (mm) and the share of the joints within 2 cm. With votes: the error of the
        voted joints in the crop (percent of its side) and in depth (mm), and the share of crops with a higher
        right-hand score than their mirror image. If there are crops with and without an object: the shares of both
        that are classified so, averaged. Chamfer distance of points on both surfaces (mm²), the mean squared distances
        of both directions added. Error of the place.
    """
    device = next(network.parameters()).device
    keypoints, objects, places, votes, sides, holds = [], [], [], [], [], []
    with torch.inference_mode():
        for part in images.split(_INFERENCE_BATCH):
            result = network(normalised(part.to(device)), hand_alone)
            keypoints.append(result.hands[-1].keypoints.cpu())
            places.append(result.hands[-1].place.cpu())
            for mesh in result.objects[-1:]:
                objects.append(surface_points(mesh, network.object_estimator.faces, SURFACE_POINTS).cpu())
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
        voted = torch.cat(votes)
        figures['voted_pixels_percent'] = 50 * float((voted[..., :2] - targets.pixels).norm(dim=-1).mean())
        figures['voted_depth_mm'] = 1e3 * float((voted[..., 2] * VOTED_DEPTH - targets.keypoints[..., 2]).abs().mean())
        figures['side_right'] = float(torch.cat(sides).mean())
    has, told = targets.has_object.bool(), targets.told.bool()
    empty = told & ~has
    if holds and has.any() and empty.any():
        holding = torch.cat(holds)
        figures['holds_told'] = float(holding[has].float().mean() + (~holding[empty]).float().mean()) / 2
    if objects:
        chamfer = 2 * chamfer_distance(torch.cat(objects)[has], targets.surface[has])
        figures['chamfer_mm2'] = 1e6 * float(chamfer.mean())
    return {**figures, 'place_error': float((torch.cat(places) - targets.place).norm(dim=-1).mean())}
