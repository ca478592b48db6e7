# SPDX-License-Identifier: Apache-2.0
"""The choice of a data set in a training or an evaluation of `reconstruction`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from hoi_ros.hand.model import HandModel
from training.data.hand_object import HandObjectSamples
from training.data.public.dexycb import DexYcb
from training.data.public.freihand import FreiHand
from training.data.public.freihand import VERSIONS
from training.data.public.ho3d import Ho3d
from training.data.public.obman import ObMan
from training.hand.mano import PoseSpace


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataChoice:
    """The generator, or a public data set in its original layout (training.data)."""

    data: Literal['synthetic', 'freihand', 'obman', 'ho3d', 'dexycb'] = 'synthetic'
    root: Path | None = None
    """Folder of a public data set."""
    objects: Path | None = None
    """Folder of the object meshes that come separately: ShapeNet for ObMan, the YCB models for HO-3D."""
    version: Literal['v2', 'v3'] = 'v3'
    """Version of HO-3D."""
    setup: Literal['s0', 's1', 's2', 's3'] = 's0'
    """Setup of DexYCB: what only the test split contains."""
    hand: Path | None = None
    """Hand model (.npz); the project's own by default, a converted MANO (python -m training.hand.mano) for the
    vertices of the public data sets."""

    def public(self, split: Literal['train', 'test']) -> HandObjectSamples:
        """An official split of the public data set.

        Raises:
            SystemExit: no folder is given.
            DatasetError: the folder does not hold the data set.
        """
        if self.root is None:
            raise SystemExit(f'--data {self.data} needs --root, the folder of the data set')
        training = split == 'train'
        hand, space = (HandModel.load(self.hand), PoseSpace.load(self.hand)) if self.hand else (None, None)
        match self.data:
            case 'freihand':
                versions = VERSIONS if training else VERSIONS[:1]
                return FreiHand(self.root, 'training' if training else 'evaluation', versions, space)
            case 'obman':
                return ObMan(self.root, split, self.objects)
            case 'ho3d':
                return Ho3d(self.root, 'train' if training else 'evaluation', self.version, self.objects, hand)
            case _:
                return DexYcb(self.root, self.setup, split, hand, space)
