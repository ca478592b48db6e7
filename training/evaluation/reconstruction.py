# SPDX-License-Identifier: Apache-2.0
"""The paper's figures of the network of `reconstruction` on held-out scenes and public data sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.engines import load_engine
from hoi_ros.engines import ModelFileError
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.surface import Surface
from hoi_ros.stages.reconstruction import OBJECT_MESH
from hoi_ros.stages.reconstruction import read_arrays
from hoi_ros.stages.reconstruction import VIEWS
from training.data.hand_object import HandObjectSample
from training.data.hand_object import HandObjectSamples
from training.data.public.choice import DataChoice
from training.data.synthetic.rgb_config import Kind
from training.data.synthetic.rgb_config import scenes_of
from training.data.synthetic.rgb_crop_views import plain_crop
from training.data.synthetic.rgb_crops import RgbCrops
from training.evaluation.figures import print_figures
from training.evaluation.figures import write_figures
from training.evaluation.meshes import evaluate_meshes
from training.evaluation.meshes import HandAndObject
from training.evaluation.meshes import summarise
from training.evaluation.metrics import evaluate_joints
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import in_camera
from training.networks.reconstruction import normalised
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import ROOT
from training.networks.reconstruction_weights import load_network

TEST_SEED = 1000
"""Seed of the test scenes: other hand and object shapes, grasps, rooms and cameras than any training."""


@dataclasses.dataclass(frozen=True)
class ReconstructionEvaluation(DataChoice):
    """Prints the paper's columns on the synthetic test scenes or on the official test split of a public data set."""

    weights: Path = Path('runs/reconstruction/weights.pt')
    """weights.pt of a training, or a model folder, whose file is evaluated as the robot runs it."""
    samples: int = 1000
    """Images of each split; those of a public data set are spread evenly over it."""
    splits: tuple[str, ...] = ('test', 'held_out')
    """Splits of the synthetic scenes. test: new shapes of the object families of the training; held_out: two other
    families. Use 'validation' for choices."""
    kind: Kind | None = None
    """Synthetic scenes of this kind alone; the mixture of all without it."""
    out: Path | None = None
    """JSON file for the figures."""


def evaluate(config: ReconstructionEvaluation) -> dict:
    """Prints and returns the figures of each split."""
    public = None if config.data == 'synthetic' else config.public('test')
    labelled = None if config.hand is None else HandModel.load(config.hand)
    reader = (
        reader_of_file(config.weights, labelled)
        if config.weights.is_dir()
        else reader_of(load_network(config.weights, shipped='models/reconstruction'))
    )
    samples = (
        {split: unseen_samples(split, config.samples, reader.size, config.kind) for split in config.splits}
        if public is None
        else {config.data: public_samples(config, public)}
    )
    figures = {split: evaluate_network(reader, stream, labelled) for split, stream in samples.items()}
    for split, columns in figures.items():
        print(f'{split}: {columns["samples"]} images; shares from 0 to 1, mm where named')
        print_figures(columns, indent='  ')
    write_figures(figures, config.out)
    return figures


def unseen_samples(split: str, count: int, size: int, kind: Kind | None = None) -> Iterator[HandObjectSample]:
    """Windows of held-out scenes, 1.3 times as wide as a network's crop of `size` pixels."""
    crops = RgbCrops(TEST_SEED, split, round(size * 1.3), scenes=scenes_of(kind))
    for index in range(count):
        yield crops.sample(index)


def public_samples(config: ReconstructionEvaluation, split: HandObjectSamples) -> Iterator[HandObjectSample]:
    """Samples of an official test split that have keypoints, evenly spread over it.

    Raises:
        SystemExit: no sample has keypoints, for instance before the labels of a challenge are released.
    """
    count = 0
    for index in np.unique(np.linspace(0, len(split) - 1, config.samples).astype(int)):
        sample = split[int(index)]
        if sample.keypoints is not None and np.isfinite(sample.keypoints).all():
            count += 1
            yield sample
    if not count:
        raise SystemExit(
            f'{config.root}: the test split of {config.data} has no labels here: download those that were '
            'released after its challenge'
        )


@dataclasses.dataclass(frozen=True)
class Reader:
    """The network under evaluation, in training or exported."""

    infer: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    """Image (1, 3, S, S) in [−1, 1] → `FinalReconstruction.outputs` by name, without the first axis."""
    size: int
    """Side of the crop, pixels."""
    hand_faces: np.ndarray
    """(F, 3), closed at the wrist."""
    object_faces: np.ndarray
    """(1280, 3)."""


def reader_of(network: ReconstructionNet) -> Reader:
    """A reader of a network in evaluation mode, on the CPU."""
    final = FinalReconstruction(network, ())

    def infer(image: np.ndarray) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            return {name: value[0].numpy() for name, value in final(torch.from_numpy(image)).items()}

    return Reader(infer, network.config.size, close_holes(network.hand_faces), network.object_faces)


def reader_of_file(folder: Path, labelled: HandModel | None = None) -> Reader:
    """A reader of a model folder, in float32.

    Args:
        folder: of the model.
        labelled: the hand model of a data set; the network may have been trained with it, or with the project's own.

    Raises:
        CardError, ModelFileError: the folder does not hold such a model, or its hand is that of neither model.
    """
    engine = load_engine(folder, precision='fp32')
    (image,) = engine.inputs
    count = next(output.shape[-2] for output in engine.outputs if output.name == 'vertices')
    known = [hand for hand in (HandModel.load(), labelled) if hand is not None]
    hand = next((hand for hand in known if len(hand.template) == count), None)
    if hand is None:
        raise ModelFileError(
            f'{folder}: hands of {count} vertices, and no known hand model has as many: name the one that it was '
            'trained with as --hand'
        )

    def infer(pixels: np.ndarray) -> dict[str, np.ndarray]:
        return {name: value[0] for name, value in engine(**{image.name: pixels}).items()}

    return Reader(
        infer, image.shape[-1], close_holes(hand.faces), read_arrays(folder / OBJECT_MESH, ('faces',))['faces']
    )


def evaluate_network(reader: Reader, samples: Iterable[HandObjectSample], labelled: HandModel | None = None) -> dict:
    """The paper's columns over samples. Each crop is cut around the true hand and processed as on the robot: rolled
    upright by a first pass, then the mean of the views of the stage.

    Args:
        reader: the network.
        samples: images with labels.
        labelled: the hand model of the labels, where it is not the network's. The mesh of another model has F-scores,
            after the alignment of the joints as in the challenge of HO-3D, and no errors of vertices.

    Returns:
        Joints: the figures of `evaluate_joints` measured from the wrist; error and PCK AUC measured from the network's
        root, the knuckle of the middle finger. Meshes: the means of `MeshFigures`, and how often they are undefined.
    """
    predicted, truth, figures = [], [], []
    faces = None if labelled is None else close_holes(labelled.faces)
    for number, sample in enumerate(tqdm(samples, unit='image', mininterval=5)):
        prediction, known = predict(reader, sample, faces)
        predicted.append(prediction.keypoints)
        truth.append(known.keypoints)
        figures.append(evaluate_meshes(prediction, known, np.random.default_rng([TEST_SEED, number])))
    from_root = evaluate_joints(np.array(predicted), np.array(truth))
    joints = evaluate_joints(*(np.array(points) - np.array(points)[:, :1] for points in (predicted, truth)))
    meshes = summarise(figures)
    pck = {
        'joint_error_mm': joints.mean_mm,
        'joint_error_rigid_mm': joints.rigid_mm,
        'joint_error_similarity_mm': joints.similarity_mm,
        'pck_auc_0_50': joints.auc_0_50,
        'pck_auc_0_50_similarity': joints.similarity_auc_0_50,
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


def predict(
    reader: Reader, sample: HandObjectSample, labelled_faces: np.ndarray | None = None
) -> tuple[HandAndObject, HandAndObject]:
    """Prediction and truth in the axes of the crop's camera, metres from the network's root; a left hand is mirrored.

    `labelled_faces` (F, 3) are those of the sample's hand, where it has other vertices than the network's.
    """
    held = None if sample.held is None else sample.held.placed.astype(float)
    keypoints = sample.keypoints.astype(float)
    crop = plain_crop(sample.camera, keypoints, held, sample.side == 'right')
    first = _infer(reader, crop, sample.image)
    crop = crop.upright(in_camera(crop, first['keypoints'], first['place']))
    views = [(view, _infer(reader, view, sample.image)) for view in crop.varied(VIEWS)]

    def mean(name: str) -> np.ndarray:
        return np.mean([crop.from_camera(view.to_camera(found[name])) for view, found in views], 0)

    origin = crop.from_camera(keypoints)[ROOT]
    prediction = HandAndObject(
        mean('keypoints'),
        Surface(mean('vertices'), reader.hand_faces),
        None if held is None else Surface(mean('object'), reader.object_faces),
    )
    vertices = sample.hand_vertices
    same = vertices is not None and len(vertices) == len(prediction.hand.vertices)
    faces = reader.hand_faces if same else labelled_faces
    known = vertices is not None and faces is not None
    return prediction, HandAndObject(
        crop.from_camera(keypoints) - origin,
        Surface(crop.from_camera(vertices.astype(float)) - origin, faces) if known else None,
        None if held is None else Surface(crop.from_camera(held) - origin, sample.held.faces),
    )


def _infer(reader: Reader, crop: ViewCrop, image: np.ndarray) -> dict[str, np.ndarray]:
    pixels = torch.from_numpy(crop.warp(image, reader.size)).permute(2, 0, 1)[None]
    found = reader.infer(normalised(pixels).numpy())
    return {name: value.astype(float) for name, value in found.items()}
