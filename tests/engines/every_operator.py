# SPDX-License-Identifier: Apache-2.0
"""A small network with every operator of the project's networks, and the tolerances of the backends."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn
from torch import Tensor

from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from hoi_ros.engines.cuda_driver import first_gpu
from hoi_ros.engines.loading import missing_packages

TOLERANCES = {
    ('openvino', 'fp32'): 2e-4,
    ('openvino', 'bf16'): 5e-2,
    ('onnxruntime', 'fp32'): 2e-4,
    ('tensorrt', 'fp32'): 1e-3,
    ('tensorrt', 'fp16'): 1e-2,
}
"""Largest difference from ONNX Runtime in float32, as a share of the output's largest magnitude."""


class EveryOperator(nn.Module):
    """Depth crop (1, 1, 32, 32) and a code (1, 8) in; a heat map, points, a pose and a mask out."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1, groups=4),
            nn.InstanceNorm2d(16, affine=True),
            nn.LeakyReLU(0.2),
        )
        self.before = nn.BatchNorm2d(16)
        self.up = nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)
        self.code = nn.Linear(8, 16)
        self.norm = nn.LayerNorm(16)
        self.attention = nn.Linear(16, 48)
        self.activations = nn.ModuleList([nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.ELU(), nn.PReLU(8), nn.Softplus()])
        self.pose = nn.Linear(16, 12)
        for bn in (self.down[1], self.before):
            nn.init.uniform_(bn.running_mean, -0.2, 0.2)
            nn.init.uniform_(bn.running_var, 0.5, 1.5)

    def forward(self, crop: Tensor, code: Tensor) -> dict[str, Tensor]:
        """Returns heat (1, 8, 16, 16), points (1, 8, 2), pose (1, 4, 3) and mask (1, 8, 32, 32)."""
        features = self.before(self.down(crop))
        gate = torch.sigmoid(self.code(code)).unsqueeze(-1).unsqueeze(-1)
        features = features * gate.expand_as(features)
        mixed = torch.cat([features[:, :8], features[:, 8:].flip(3)], 1) - 0.1
        heat = F.interpolate(self.up(mixed), size=(16, 16), mode='bilinear', align_corners=False)
        for activation in self.activations:
            heat = activation(heat)
        share = torch.softmax(heat.flatten(2), -1).reshape(heat.shape)
        axis = torch.arange(16, dtype=torch.float32)
        points = torch.stack([(share.sum(2) * axis).sum(-1), (share.sum(3) * axis).sum(-1)], -1) / 15

        pooled = F.adaptive_avg_pool2d(features, 1).flatten(1)
        low, high = pooled.chunk(2, 1)
        scale = torch.exp(0.5 * low).clamp(max=3.0) * torch.sqrt(high.abs() + 0.1) + high**2
        tokens = self.norm(features.flatten(2).transpose(1, 2)[:, ::4])
        query, key, value = self.attention(tokens).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + attended.transpose(1, 2).flatten(2)
        best = torch.maximum(tokens.max(1).values, tokens.mean(1))
        first, second = self.pose(best + torch.cat([scale, low], 1)).reshape(1, 4, 3).split([2, 2], 1)
        pose = torch.cat([F.normalize(first, dim=-1), torch.tanh(second)], 1)
        pose = torch.where(pose > 0, pose, -0.5 * pose)[:, [2, 0, 3, 1]]
        turned = torch.einsum('bij,bkj->bik', pose, pose) @ pose

        mask = F.interpolate(F.pad(heat, (1, 1, 0, 2), mode='reflect')[..., :16, :16], scale_factor=2, mode='nearest')
        mask = F.avg_pool2d(F.pad(mask, (1, 1, 1, 1)), 3, 1)
        return {'heat': heat, 'points': points, 'pose': turned, 'mask': mask}


OUTPUTS = (
    TensorSpec('heat', (1, 8, 16, 16), meaning='heat maps'),
    TensorSpec('points', (1, 8, 2), unit='share of the crop'),
    TensorSpec('pose', (1, 4, 3), unit='rad'),
    TensorSpec('mask', (1, 8, 32, 32)),
)


def reference(folder: Path, inputs: dict[str, NDArray]) -> dict[str, NDArray]:
    """Outputs of ONNX Runtime for a model folder, computed item by item."""
    card = Card.load(folder)
    session = onnxruntime.InferenceSession(str(folder / card.model), providers=['CPUExecutionProvider'])
    names = [spec.name for spec in card.outputs]
    items = len(next(iter(inputs.values())))
    alone = [
        session.run(names, {name: array[item : item + 1] for name, array in inputs.items()}) for item in range(items)
    ]
    return dict(zip(names, map(np.concatenate, zip(*alone, strict=True)), strict=True))


def largest_error(found: NDArray, wanted: NDArray) -> float:
    """The largest difference as a share of the largest magnitude."""
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-6))


def require(backend: str) -> None:
    """Skips the test where the backend cannot run here."""
    if missing := missing_packages(backend):
        pytest.skip(f'{" and ".join(missing)} not installed')
    if backend == 'tensorrt' and first_gpu() is None:
        pytest.skip('no NVIDIA GPU')
