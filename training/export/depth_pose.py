# SPDX-License-Identifier: Apache-2.0
"""Exports `depth_pose` and its hand finder to model folders."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from hoi_ros.engines import TensorSpec
from hoi_ros.stages.parts.hand_finder import finder_input
from training.data.synthetic.depth_crops import augment
from training.data.synthetic.depth_crops import CropAugmentation
from training.data.synthetic.depth_crops import DepthPatches
from training.data.synthetic.depth_frames import DepthFrames
from training.data.synthetic.depth_frames import FRAME_HEIGHT
from training.data.synthetic.depth_frames import FRAME_WIDTH
from training.export.card_entries import data_of
from training.export.card_entries import DEPTH_DATA
from training.export.card_entries import figures_of
from training.export.card_entries import LICENCE
from training.export.card_entries import training_of
from training.export.onnx_export import export_onnx
from training.installation import install_export
from training.installation import InstallOptions
from training.installation import run_folder
from training.networks.depth_pose import LSPSRegressor
from training.networks.depth_pose import PoseVAE
from training.networks.depth_pose import Posterior
from training.networks.depth_pose import VotingPoseNet
from training.networks.hand_finder import HandFinderNet
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights


@dataclasses.dataclass(frozen=True)
class DepthPoseExport(InstallOptions):
    """Writes a model folder beside the weights of a training."""

    weights: Path
    """The training's weights.pt; the model folder is written into `models` beside it."""
    models: Path = Path('models')
    """Folder of models that --install changes."""


def export(config: DepthPoseExport) -> None:
    """Exports a pose network; the weights file names which of the two it is."""
    kept = read_weights(config.weights, 'train depth_pose', 'network', 'cube')
    joints = TensorSpec(
        'joints',
        (1, 21, 3),
        unit='half cubes',
        meaning='u right, v down, d away in [-1, 1] of the '
        'cube; wrist, then thumb, index, middle, ring, little, each from the palm to the tip',
    )
    if kept['network'] == 'voting':
        name, size = 'depth_pose', 96
        network: torch.nn.Module = VotingPoseNet()
        outputs = [
            joints,
            TensorSpec('spread', (1, 21), unit='half cubes', meaning='expected error of each joint'),
            TensorSpec('hand', (1, 1), unit='probability', meaning='the crop shows a hand'),
            TensorSpec('right', (1, 1), unit='probability', meaning='the hand looks like a right one'),
        ]
    else:
        name, size = 'depth_pose_lsps', 128
        network = LSPSRegressor(Posterior(), PoseVAE())
        outputs = [joints]
    fill(network, kept, config.weights, 'train depth_pose')
    crop, _ = augment(DepthPatches(split='validation')[1], CropAugmentation(cube=kept['cube'], size=size), None)
    card = export_onnx(
        network,
        {'crop': torch.from_numpy(crop)[None, None]},
        outputs,
        run_folder(config.weights) / name,
        {
            'name': name,
            'licence': LICENCE,
            'data': data_of(DEPTH_DATA, kept),
            'inputs': [
                TensorSpec(
                    'crop',
                    (1, 1, size, size),
                    unit='half cubes',
                    meaning='depth in the cube around the hand, [-1, 1]; 1 where nothing is seen; a left hand mirrored',
                )
            ],
            'parameters': {'cube_m': kept['cube']},
            'training': training_of(f'python -m training train depth_pose --network {kept["network"]}', kept),
            'figures': figures_of(kept),
        },
    )
    install_export(config.weights, card, config.models, config)


def export_finder(config: DepthPoseExport) -> None:
    """Exports the hand finder."""
    kept = read_weights(config.weights, 'train hand_finder')
    network = HandFinderNet()
    fill(network, kept, config.weights, 'train hand_finder')
    record = DepthFrames(split='validation')[0]
    frame = torch.from_numpy(finder_input(record['depth'] * 1e-4))[None].float()
    cells = (FRAME_HEIGHT // 4, FRAME_WIDTH // 4)
    card = export_onnx(
        network,
        {'frame': frame},
        [
            TensorSpec('heat', (1, 1, *cells), unit='probability', meaning='a hand is centred here'),
            TensorSpec(
                'place',
                (1, 3, *cells),
                unit='cells, half metres',
                meaning='offset from the cell to the centre, and the depth of the centre less 0.7 m',
            ),
        ],
        run_folder(config.weights) / 'hand_finder',
        {
            'name': 'hand_finder',
            'licence': LICENCE,
            'data': data_of(DEPTH_DATA, kept),
            'inputs': [
                TensorSpec(
                    'frame',
                    tuple(frame.shape),
                    unit='half metres, 0/1',
                    meaning='depth less 0.7 m, 2.6 where invalid; what is valid',
                )
            ],
            'training': training_of('python -m training train hand_finder', kept),
            'figures': figures_of(kept),
        },
    )
    install_export(config.weights, card, config.models, config)
