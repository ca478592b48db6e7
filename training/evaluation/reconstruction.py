# SPDX-License-Identifier: Apache-2.0
"""The paper's figures of `reconstruction` on unseen scenes, and the ablations of its tables 6 and 7."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tqdm import tqdm

from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.engines import load_engine
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.surface import Surface
from hoi_ros.stages.reconstruction import OBJECT_MESH
from hoi_ros.stages.reconstruction import read_arrays
from hoi_ros.stages.reconstruction import VIEWS
from training.data.hand_object import HandObjectSample
from training.data.pool import generator_key
from training.data.pool import SamplePool
from training.data.public.choice import DataChoice
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.rgb_crops import plain_crop
from training.data.synthetic.rgb_crops import RgbAugmentation
from training.data.synthetic.rgb_crops import RgbCrops
from training.evaluation.meshes import evaluate_meshes
from training.evaluation.meshes import HandAndObject
from training.evaluation.meshes import summarise
from training.evaluation.metrics import evaluate_joints
from training.loop.fitting import LoopConfig
from training.networks.reconstruction import COMPACT
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import in_camera
from training.networks.reconstruction import ReconstructionConfig
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction import ROOT
from training.recipes.reconstruction import normalised
from training.recipes.reconstruction import start_from
from training.recipes.reconstruction import train_network
from training.recipes.reconstruction_losses import ReconstructionLosses

TEST_SEED = 1000
"""Of the test scenes: other shapes of hands and things, grasps, rooms and cameras than any training's."""


_VALIDATED = 128


@dataclasses.dataclass(frozen=True)
class AblationConfig:
    """Budget of each row of the ablation, the same for all."""

    seeds: tuple[int, ...] = (0, 1)
    steps: int = 4000
    batch: int = 32
    optimizer: Literal['adamw', 'muon'] = 'adamw'
    learning_rate: float = 5e-4
    network: ReconstructionConfig = COMPACT
    start: Path | None = None
    """weights.pt of a training of the hand alone (--branch hand) with that network, from which every row goes on:
    none of it has seen an exchange."""
    rows: tuple[str, ...] = ()
    """Names of the rows; all of them where none is given."""
    records: int = 20_480
    """Crops that all rows learn from."""
    records_seed: int = 0
    """Of these crops."""
    pool: Path = Path('runs/ablation.pool')
    workers: int = 2
    threads: int = 0
    precision: str = 'bf16-mixed'
    runs: Path = Path('runs/ablation')


@dataclasses.dataclass(frozen=True)
class ReconstructionEvaluation(DataChoice):
    """Prints the paper's columns on the synthetic test scenes or on a public data set's official test split, or trains
    and prints the ablation."""

    weights: Path = Path('runs/reconstruction/weights.pt')
    """weights.pt of a training; or a model folder, whose file is evaluated as the robot runs it."""
    samples: int = 1000
    """Images of each split; of a public data set, spread over it."""
    splits: tuple[str, ...] = ('test', 'held_out')
    """Of the synthetic scenes. test: unseen shapes of the families of the training; held_out: two families that it
    never saw. Choices are made on 'validation'."""
    ablation: bool = False
    """Train the variants of the paper's tables 6 and 7 and print those tables."""
    budget: AblationConfig = AblationConfig()
    """Of the ablation."""
    out: Path | None = None
    """JSON file for the figures."""


def evaluate(config: ReconstructionEvaluation) -> dict:
    """Prints and returns the figures."""
    if config.ablation:
        figures = ablate(config)
    else:
        reader = (
            reader_of_file(config.weights, HandModel.load(config.hand))
            if config.weights.is_dir()
            else reader_of(load_network(config.weights))
        )
        figures = (
            {
                split: evaluate_network(reader, test_samples(split, config.samples, reader.size))
                for split in config.splits
            }
            if config.data == 'synthetic'
            else {config.data: evaluate_network(reader, public_samples(config))}
        )
        for split, columns in figures.items():
            print(split)
            for name, value in columns.items():
                print(f'  {name:28} {value if isinstance(value, dict | int) else f"{value:.4g}"}')
    if config.out:
        config.out.write_text(json.dumps(figures, indent=1) + '\n')
    return figures


def load_network(weights: Path) -> ReconstructionNet:
    """The network of a training's weights.pt, in evaluation mode. One that was trained before there was a part that
    tells hands from other things has that part untaught."""
    kept = torch.load(weights, map_location='cpu', weights_only=True)
    network = ReconstructionNet(ReconstructionConfig(**kept['network']), HandModel.load(kept.get('hand')))
    untaught = {name: value for name, value in network.state_dict().items() if name.startswith('hand.')}
    network.load_state_dict({**untaught, **kept['weights']})
    return network.eval()


def test_samples(split: str, count: int, size: int) -> Iterator[HandObjectSample]:
    """Windows of unseen scenes, a network's crop size wide and half as much again."""
    crops = RgbCrops(TEST_SEED, split, round(size * 1.3))
    for index in range(count):
        yield crops.sample(index)


def public_samples(config: ReconstructionEvaluation) -> Iterator[HandObjectSample]:
    """Samples of the official test split whose keypoints are known, evenly spread over it.

    Raises:
        SystemExit: none is known, as before the labels of a challenge are released.
    """
    split, _ = config.public('test')
    count = 0
    for index in np.unique(np.linspace(0, len(split) - 1, config.samples).astype(int)):
        sample = split[int(index)]
        if sample.keypoints is not None and np.isfinite(sample.keypoints).all():
            count += 1
            yield sample
    if not count:
        raise SystemExit(
            f'{config.root}: the test split of {config.data} has no labels here: get those that were '
            'released after its challenge'
        )


@dataclasses.dataclass(frozen=True)
class Reader:
    """A network as the evaluation uses it, in training or exported."""

    read: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    """Image (1, 3, S, S) in [−1, 1] → `FinalReconstruction.outputs` by name, without the first axis."""
    size: int
    hand_faces: np.ndarray
    """Closed at the wrist."""
    object_faces: np.ndarray


def reader_of(network: ReconstructionNet) -> Reader:
    """Of a network in evaluation mode, on the CPU."""
    final = FinalReconstruction(network, ())

    def read(image: np.ndarray) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            return {name: value[0].numpy() for name, value in final(torch.from_numpy(image)).items()}

    return Reader(read, network.config.size, close_holes(network.hand_faces), network.object_faces)


def reader_of_file(folder: Path, hand: HandModel) -> Reader:
    """Of a model folder, in float32, and the hand that it was trained with.

    Raises:
        CardError, ModelFileError: it holds no model of this kind.
    """
    engine = load_engine(folder, precision='fp32')
    (image,) = engine.inputs

    def read(pixels: np.ndarray) -> dict[str, np.ndarray]:
        return {name: value[0] for name, value in engine(**{image.name: pixels}).items()}

    return Reader(
        read, image.shape[-1], close_holes(hand.faces), read_arrays(folder / OBJECT_MESH, ('faces',))['faces']
    )


def evaluate_network(reader: Reader, samples: Iterable[HandObjectSample]) -> dict:
    """The paper's columns over samples, each cut around its true place and looked at as on the robot: turned upright by
    what a first look tells, the mean of the stage's views.

    Returns:
        Joints: error (mm) from the wrist and what `evaluate_joints` gives of joints measured from there; error and
        PCK from the network's root, the knuckle of the middle finger; meshes: the means of `MeshFigures`, and where
        they are undefined.
    """
    predicted, truth, figures = [], [], []
    for number, sample in enumerate(tqdm(samples, unit='image', mininterval=5)):
        seen, known = predict(reader, sample)
        predicted.append(seen.keypoints)
        truth.append(known.keypoints)
        figures.append(evaluate_meshes(seen, known, np.random.default_rng([TEST_SEED, number])))
    from_root = evaluate_joints(np.array(predicted), np.array(truth))
    joints = evaluate_joints(*(np.array(points) - np.array(points)[:, :1] for points in (predicted, truth)))
    meshes = summarise(figures)
    pck = {
        'joint_error_mm': joints.mean_mm,
        'joint_error_rigid_mm': joints.rigid_mm,
        'joint_error_similarity_mm': joints.similarity_mm,
        'pck_auc_0_50': joints.auc_0_50,
        'joint_error_from_knuckle_mm': from_root.mean_mm,
        'pck_auc_0_50_from_knuckle': from_root.auc_0_50,
    }
    return {
        **pck,
        **{name: value for name, value in meshes.mean.items() if value is not None},
        'samples': meshes.samples,
        'undefined': {k: v for k, v in meshes.undefined.items() if v},
        'not_closed': meshes.not_closed,
    }


def predict(reader: Reader, sample: HandObjectSample) -> tuple[HandAndObject, HandAndObject]:
    """What the network sees and what is true, both in the axes of the crop's camera, metres from the network's
    root; of a left hand, its mirror image."""
    held = None if sample.held is None else sample.held.placed.astype(float)
    keypoints = sample.keypoints.astype(float)
    crop = plain_crop(sample.camera, keypoints, held, sample.side == 'right')
    first = _look(reader, crop, sample.image)
    crop = crop.upright(in_camera(crop, first['keypoints'], first['place']))
    views = [(view, _look(reader, view, sample.image)) for view in crop.varied(VIEWS)]

    def mean(name: str) -> np.ndarray:
        return np.mean([crop.from_camera(view.to_camera(found[name])) for view, found in views], 0)

    origin = crop.from_camera(keypoints)[ROOT]
    seen = HandAndObject(
        mean('keypoints'),
        Surface(mean('vertices'), reader.hand_faces),
        None if held is None else Surface(mean('object'), reader.object_faces),
    )
    vertices = sample.hand_vertices
    if vertices is not None and len(vertices) != len(seen.hand.vertices):
        vertices = None  # of another mesh
    return seen, HandAndObject(
        crop.from_camera(keypoints) - origin,
        None if vertices is None else Surface(crop.from_camera(vertices.astype(float)) - origin, reader.hand_faces),
        None if held is None else Surface(crop.from_camera(held) - origin, sample.held.faces),
    )


def _look(reader: Reader, crop: ViewCrop, image: np.ndarray) -> dict[str, np.ndarray]:
    pixels = torch.from_numpy(crop.warp(image, reader.size)).permute(2, 0, 1)[None]
    found = reader.read(normalised(pixels).numpy())
    return {name: value.astype(float) for name, value in found.items()}


_EXCHANGES: dict[str, dict] = {
    **{f'attention, P = {count}': {'iterations': count} for count in (1, 2, 3, 4, 5)},
    **{
        f'{name}, P = {count}': {'iterations': count, 'exchange': name.lower()}
        for name in ('GCN', 'spiral')
        for count in (1, 2)
    },
}
ROWS: dict[str, dict] = {
    'baseline, no exchange': {'iterations': 0, 'association': False},
    **_EXCHANGES,
    **{f'{name}, without L_asso': {**changes, 'association': False} for name, changes in _EXCHANGES.items()},
    'attention, P = 2, every vertex a neighbour': {'iterations': 2, 'threshold': None},
    **{f'late exchange (table 7*), P = {count}': {'iterations': count, 'exchange': 'late'} for count in (1, 2, 3)},
}
"""The variants of tables 6 and 7: changes of the network, and whether L_asso is minimised."""


def ablate(config: ReconstructionEvaluation) -> dict:
    """Trains every row with every seed on the same crops for the same steps and prints mean and spread; what has ended
    before with the same budget is not run again. The figures so far are written after every row."""
    budget = config.budget
    names = budget.rows or tuple(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise SystemExit(f'there is no row {unknown[0]!r}; the rows are {", ".join(map(repr, ROWS))}')
    if budget.start and start_from(ReconstructionNet(budget.network), budget.start) != 'hand':
        raise SystemExit(
            f'{budget.start} has learned with an exchange: give weights of --branch hand, so that all rows begin alike'
        )
    size = budget.network.size
    crops = functools.partial(RgbCrops, budget.records_seed, 'train', round(size * 1.3))
    pool = SamplePool(
        crops,
        crops().dtype,
        budget.pool,
        generator_key(budget.records_seed, 'ablation'),
        budget.records,
        budget.workers,
        refresh=False,
    )
    try:
        pool.wait(budget.records)
        held = RgbCrops(0, 'validation', round(size * 1.3))
        validation = np.stack([held[index] for index in range(_VALIDATED)])
        test = [list(test_samples(split, config.samples, size)) for split in config.splits]
        table: dict = {}
        paths = {'pool': str(budget.pool), 'runs': str(budget.runs), 'start': budget.start and str(budget.start)}
        figures = {'budget': dataclasses.asdict(budget) | paths, 'samples': config.samples, 'rows': table}
        for name in names:
            runs = [_run(config, name, ROWS[name], seed, pool.records, validation, test) for seed in budget.seeds]
            table[name] = {
                split: {column: [run[split][column] for run in runs] for column in _COLUMNS} for split in config.splits
            }
            for split in config.splits:
                print(
                    f'{name:45} {split:9}'
                    + ''.join(
                        f'  {column} {np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})'
                        for column, values in table[name][split].items()
                    ),
                    flush=True,
                )
            if config.out:
                config.out.write_text(json.dumps(figures, indent=1) + '\n')
    finally:
        pool.close()
    return figures


_COLUMNS = ('joint_error_mm', 'object_chamfer_mm2', 'penetration_mm', 'intersection_cm3')


def _run(
    config: ReconstructionEvaluation,
    name: str,
    changes: dict,
    seed: int,
    records: np.ndarray,
    validation: np.ndarray,
    test: list[list[HandObjectSample]],
) -> dict:
    budget = config.budget
    changes = dict(changes)
    association = changes.pop('association', True)
    torch.manual_seed(seed)
    network = ReconstructionNet(dataclasses.replace(budget.network, **changes))
    if budget.start:
        start_from(network, budget.start)
    losses = ReconstructionLosses(classes=len(FAMILIES))
    if not association:
        losses = dataclasses.replace(losses, association=0.0)
    folder = ''.join(letter if letter.isalnum() else '_' for letter in name)
    # A run goes on from its checkpoint: not from that of another budget.
    alike = dataclasses.replace(budget, seeds=(), rows=(), workers=0, threads=0, pool=Path(), runs=Path())
    digest = hashlib.sha256(repr(alike).encode()).hexdigest()[:8]
    loop = LoopConfig(
        budget.runs / f'{folder}_{seed}_{digest}',
        steps=budget.steps,
        minutes=1e6,
        batch=budget.batch,
        optimizer=budget.optimizer,
        learning_rate=budget.learning_rate,
        seed=seed,
        threads=budget.threads,
        precision=budget.precision,
    )
    ended = loop.out / f'{config.samples}_{"_".join(config.splits)}.json'
    if ended.is_file():
        return json.loads(ended.read_text())
    train_network(network, losses, loop, RgbAugmentation(size=budget.network.size), lambda: records, validation)
    reader = reader_of(network.cpu().eval())
    figures = {split: evaluate_network(reader, samples) for split, samples in zip(config.splits, test)}
    ended.parent.mkdir(parents=True, exist_ok=True)
    ended.write_text(json.dumps(figures))
    return figures
