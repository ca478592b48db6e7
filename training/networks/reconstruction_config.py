# SPDX-License-Identifier: Apache-2.0
"""Size and choices of the network of `reconstruction`, and the units of its outputs."""

from __future__ import annotations

import dataclasses
from typing import Literal

from hoi_ros.hand.skeleton import KEYPOINT_NAMES

ROOT = KEYPOINT_NAMES.index('middle_mcp')
"""Keypoint that is the origin of all outputs: the knuckle of the middle finger."""
CROP_WIDTH = 0.3
"""Width of the crop in metres at the root's depth when the third number of `place` is 0."""
VOTED_DEPTH = 0.1
"""Unit of the voted depths, metres."""


@dataclasses.dataclass(frozen=True)
class ReconstructionConfig:
    """The paper's network; the fields are the choices of its tables 6 and 7, and the size.

    Raises:
        ValueError: a number is out of range.
    """

    iterations: int = 2
    """P of algorithm 1. 0 disables the exchange, which is the baseline (ObMan)."""
    exchange: Literal['attention', 'gcn', 'spiral', 'late'] = 'attention'
    """attention: equations 7 and 8. gcn: Kipf and Welling (2017) on the mesh edges. spiral: SpiralNet++ (Gong et
    al., 2019). late: embeddings of the features, meshes only at the end (table 7, starred rows)."""
    heads: int = 3
    """K, attention heads."""
    features: int = 64
    """F, features a vertex."""
    threshold: float | None = 0.5
    """τ: vertex j is a neighbour of i where α_ij > τ/N; None: every vertex is. The mean of a softmax over N vertices is
    1/N, so it does not reach the paper's "e.g. 0.5". With τ < 1 every vertex has a neighbour."""
    slots: int = 16
    """Learned sums over the vertices that feed the last layer of the exchange."""
    spiral_length: int = 9
    readout: Literal['mean', 'votes'] = 'mean'
    """How encoder maps become image features. mean: their average, as in the paper. votes: the average and the
    position at which the hand branch locates each joint (`VotingReadout`), which needs far fewer images to learn a
    pose. A network with votes also predicts the hand's side and whether there is an object."""
    rotation: Literal['axis_angle', '6d'] = 'axis_angle'
    """Parameters of the wrist rotation: the paper's three numbers, or six (Zhou et al., 2019)."""
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    """Channels of the encoder stages; the last one is the number of image features."""
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    """Residual blocks of the encoder stages."""
    size: int = 256
    """Side of the square crop, pixels."""

    def __post_init__(self) -> None:
        lowest = {'iterations': 0, 'heads': 1, 'features': 1, 'slots': 1, 'spiral_length': 1, 'size': 32}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise ValueError(f'{name} is {getattr(self, name)}, expected at least {least}')
        if self.exchange == 'late' and not self.iterations:
            raise ValueError(
                'a late exchange with 0 iterations exchanges nothing: set iterations ≥ 1, or keep the default '
                'exchange for the baseline'
            )


PAPER = ReconstructionConfig()
"""θ 51 and β 10 by one fully connected layer on the mean of the maps of two ResNet-18."""
COMPACT = ReconstructionConfig(widths=(32, 64, 128, 256), blocks=(2, 3, 4, 3), readout='votes', rotation='6d', size=128)
"""The network for the robot's CPU."""
