# SPDX-License-Identifier: Apache-2.0
"""Networks of `reconstruction` for crops of 256×256 pixels, which do not ship.

They are timed untrained: the time does not depend on the weights.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from training.export.onnx_export import export_onnx
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import COMPACT
from training.networks.reconstruction_config import PAPER

CONFIGS = {'reconstruction at 256': dataclasses.replace(COMPACT, size=256), 'reconstruction of the paper': PAPER}
"""The first has the widths of the network that ships."""


def export(folder: Path) -> dict[str, Path]:
    """Exports each network into a model folder of its own inside `folder`; the model folders by name."""
    folders = {}
    for name, config in CONFIGS.items():
        network = FinalReconstruction(ReconstructionNet(config).eval())
        image = torch.zeros(1, 3, config.size, config.size)
        card = {'name': name, 'licence': 'Apache-2.0', 'data': 'none: untrained'}
        folders[name] = folder / name
        export_onnx(network, {'image': image}, network.outputs, folders[name], card)
    return folders
