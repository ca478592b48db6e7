# SPDX-License-Identifier: Apache-2.0
"""Exports `reconstruction` to a model folder."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from scipy.spatial import cKDTree

from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from hoi_ros.stages.reconstruction import OBJECT_MESH
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.data.synthetic.rgb_crop_views import ROOM
from training.data.synthetic.rgb_crops import RgbCrops
from training.export.card_entries import data_of
from training.export.card_entries import figures_of
from training.export.card_entries import LICENCE
from training.export.card_entries import RGB_DATA
from training.export.card_entries import training_of
from training.export.onnx_export import export_onnx
from training.export.onnx_export import ExportError
from training.export.onnx_export import with_measured_entries
from training.installation import install_export
from training.installation import InstallOptions
from training.installation import run_folder
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import normalised
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import ROOT
from training.networks.reconstruction_weights import load_network
from training.networks.weights_file import read_weights
from training.recipes.reconstruction_batches import collate

TOLD = {'right': 'side_right', 'holds': 'holds_told', 'hand': 'hand_told'}
"""Optional outputs, and the training figure that shows that an output was learned."""
GRAPH_TOLERANCE = 3e-4
"""0.1 mm of a mesh that reaches 30 cm. A vertex that rounding moves across the attention's threshold changes the meshes
by up to a hundredth of that."""
_OF_HEADS = 'score_calibration', 'claims'
"""Parameters of a card that other heads make untrue."""
_MEASURED_HEADS = 'claims_', 'rounding_to_8_bits'
"""Beginnings of the figures that other heads make untrue."""
_COMPARED = 32
"""Number of crops on which the file is compared with PyTorch."""
_SINGLE = 65_536
"""Layers of at most this many weights stay float32 (10 % of the file). The worst vertex of a crop is then 0.007 mm off
in the median (400 validation crops); with all weights in float16 it is 0.03 mm (160 crops)."""


@dataclasses.dataclass(frozen=True)
class ReconstructionExport(InstallOptions):
    """Writes the model folder reconstruction beside the weights of a training."""

    weights: Path = Path('runs/reconstruction_score/weights.pt')
    """The weights.pt of `reconstruction_score`; those of `reconstruction` alone lack the output `hand`, which the
    robot's stage needs. The model folder is written into `models` beside it."""
    models: Path = Path('models')
    """Folder of models that --install changes."""


def export(config: ReconstructionExport) -> Card:
    """Exports the network, with its hand model inside the graph, and checks it."""
    kept = read_weights(config.weights, 'train reconstruction_score', 'figures')
    if 'folder' in kept:
        return _export_heads(config, kept)
    kept = read_weights(config.weights, 'train reconstruction_score', 'network', 'data')
    network = load_network(config.weights)
    told = [name for name, figure in TOLD.items() if figure in kept['figures']]
    final, size = FinalReconstruction(network, told), network.config.size
    crops = RgbCrops(0, 'validation', round(1.3 * size))
    records = np.stack([crops[index] for index in range(_COMPARED)])
    image, *further = normalised(collate(records, RgbAugmentation(size=size), None)[0]).split(1)
    folder = run_folder(config.weights) / 'reconstruction'
    card = export_onnx(
        final,
        {'image': image},
        final.outputs,
        folder,
        {
            'name': 'reconstruction',
            'licence': LICENCE,
            'data': data_of(RGB_DATA[kept['data']], kept),
            'inputs': [
                TensorSpec(
                    'image',
                    tuple(image.shape),
                    unit='1',
                    meaning='RGB / 127.5 - 1 in the view of a '
                    'camera that looks at the middle of hand and object; a left hand mirrored',
                )
            ],
            'parameters': {
                'root': ROOT,
                'crop_width_m': CROP_WIDTH,
                'room': ROOM,
                'iterations': network.config.iterations,
                'joints_within_2_cm': round(kept['figures']['joints_within_2_cm'], 3),
            },
            'training': training_of('python -m training train reconstruction', kept),
            'figures': figures_of(kept),
        },
        graph_tolerance=GRAPH_TOLERANCE,
        further=[{'image': other} for other in further],
        single=_SINGLE,
        measured=('joints_within_2_cm',),
    )
    points = network.object_estimator.points.numpy()
    gap, mirror = cKDTree(points).query(points * [-1, 1, 1])
    if gap.max() > 1e-6:
        raise ExportError(f"the object's sphere has no mirror image of itself: a vertex is {gap.max():.2g} off")
    np.savez(
        folder / OBJECT_MESH,
        faces=network.object_faces.astype(np.int32),
        mirror=mirror.astype(np.int32),
        directions=points.astype(np.float32),
    )
    if 'hand' not in told:
        print(
            f'{config.weights} lacks the output `hand`, which the robot needs: continue with '
            'python -m training train reconstruction_score'
        )
    install_export(config.weights, card, config.models, config)
    return card


def _export_heads(config: ReconstructionExport, kept: dict[str, Any]) -> Card:
    """The model folder that a training of the heads began with, with its heads."""
    source, folder = Path(kept['folder']), run_folder(config.weights) / 'reconstruction'
    start = Card.load(source)
    begun = kept.get('folder_sha256', start.sha256)
    model = onnx.load(source / start.model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, weight in kept['weights'].items():
        tensor = stored.get(f'module.network.{name}')
        if tensor is None or list(tensor.dims) != list(weight.shape):
            raise ExportError(f'{source} has no {name} of {tuple(weight.shape)}: train the heads on this model folder')
        tensor.CopyFrom(numpy_helper.from_array(weight.numpy(), tensor.name))
    content = model.SerializeToString(deterministic=True)
    digest = hashlib.sha256(content).hexdigest()
    if start.sha256 not in (begun, digest):
        raise ExportError(
            f'{source} holds another network than the heads were trained on: bring it back (git checkout), or train '
            'the heads on the network that is there'
        )
    real = {**start.training.get('real_images', {}), **kept.get('real_images', {})}
    heads = {'command': kept['score_command'], 'samples': kept['score_samples']}
    parts = [part for part in start.training.get('parts', []) if part != heads] + [heads]
    card = dataclasses.replace(
        start,
        sha256=digest,
        data=data_of(RGB_DATA['synthetic'], {'real_images': real}),
        training={**start.training, 'parts': parts, **({'real_images': real} if real else {})},
        parameters={},
        figures=figures_of(kept),
    )
    of_source = {name: value for name, value in start.parameters.items() if name not in _OF_HEADS}
    measured = with_measured_entries(card, folder)
    card = dataclasses.replace(
        measured,
        parameters={**of_source, **measured.parameters},
        figures={
            **{name: figure for name, figure in start.figures.items() if not name.startswith(_MEASURED_HEADS)},
            **measured.figures,
        },
    )
    shutil.copytree(source, folder, dirs_exist_ok=True)
    (folder / card.model).write_bytes(content)
    card.save(folder)
    install_export(config.weights, card, config.models, config)
    return card
