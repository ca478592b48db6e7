# SPDX-License-Identifier: Apache-2.0
"""Exports the RGB detector to a model folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from hoi_ros.stages.parts.rgb_detector import network_input
from hoi_ros.stages.parts.rgb_detector import STRIDE
from training.export.depth_pose import figures_of
from training.export.depth_pose import LICENCE
from training.export.depth_pose import training_of
from training.export.onnx_export import export_onnx
from training.export.reconstruction import DATA
from training.networks.rgb_detector import RgbDetectorNet
from training.recipes.rgb_detector import held_frames


@dataclasses.dataclass(frozen=True)
class RgbDetectorExport:
    """Writes models/rgb_detector from the weights of a training."""

    weights: Path = Path('runs/rgb_detector/weights.pt')
    """The training's weights.pt."""
    models: Path = Path('models')


def export(config: RgbDetectorExport) -> Card:
    """Exports the detector and checks it; `evaluate rgb_detector --card` calibrates its scores."""
    kept = torch.load(config.weights, map_location='cpu', weights_only=True)
    network = RgbDetectorNet()
    network.load_state_dict(kept['weights'])
    image = torch.from_numpy(network_input(held_frames('validation', 1)[0].image))[None]
    cells = (network.config.height // STRIDE, network.config.width // STRIDE)
    card = export_onnx(
        network,
        {'image': image},
        [
            TensorSpec('heat', (1, 1, *cells), unit='probability', meaning='a hand is centred here'),
            TensorSpec(
                'square',
                (1, 3, *cells),
                unit='cells, cells, 1',
                meaning="the hand's centre right and down of the "
                "cell's; log of the side of the square around its keypoints over the image's height",
            ),
            TensorSpec('kind', (1, 2, *cells), unit='probability', meaning='it is a right hand; it holds something'),
            TensorSpec(
                'held',
                (1, 4, *cells),
                unit="sides of the hand's square",
                meaning="left, top, right, bottom of what it holds, from the hand's centre",
            ),
        ],
        config.models / 'rgb_detector',
        {
            'name': 'rgb_detector',
            'licence': LICENCE,
            'data': DATA['synthetic'],
            'inputs': [
                TensorSpec(
                    'image',
                    tuple(image.shape),
                    unit='1',
                    meaning='RGB / 127.5 - 1 of the whole image, fitted in at the left and the top, black beyond it',
                )
            ],
            'training': training_of('python -m training train rgb_detector', kept),
            'figures': figures_of(kept),
        },
    )
    print(f'{config.models / card.name}: {card.figures}')
    return card
