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
from training.data.synthetic.rgb_frame_views import held_out_views
from training.export.card_entries import data_of
from training.export.card_entries import figures_of
from training.export.card_entries import LICENCE
from training.export.card_entries import RGB_DATA
from training.export.card_entries import training_of
from training.export.onnx_export import export_onnx
from training.installation import install_export
from training.installation import InstallOptions
from training.installation import run_folder
from training.networks.rgb_detector import RgbDetectorNet
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights


@dataclasses.dataclass(frozen=True)
class RgbDetectorExport(InstallOptions):
    """Writes the model folder rgb_detector beside the weights of a training."""

    weights: Path = Path('runs/rgb_detector/weights.pt')
    """The training's weights.pt; the model folder is written into `models` beside it."""
    models: Path = Path('models')
    """Folder of models that --install changes."""


def export(config: RgbDetectorExport) -> Card:
    """Exports the detector and checks it. Its scores are calibrated by `calibrate rgb_detector`."""
    kept = read_weights(config.weights, 'train rgb_detector')
    network = RgbDetectorNet()
    fill(network, kept, config.weights, 'train rgb_detector')
    image = torch.from_numpy(network_input(held_out_views('validation', 1)[0].image))[None]
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
        run_folder(config.weights) / 'rgb_detector',
        {
            'name': 'rgb_detector',
            'licence': LICENCE,
            'data': data_of(RGB_DATA['synthetic'], kept),
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
    install_export(config.weights, card, config.models, config)
    return card
