# SPDX-License-Identifier: Apache-2.0
"""The choice of a data set in a training or an evaluation of `contact`."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Literal

import numpy as np

from training.data.pool import generator_key
from training.data.public.contact_pose import ContactPose
from training.data.public.contactopt import ContactOpt
from training.data.public.dataset_files import DatasetError
from training.data.public.recorded import SomeRecords
from training.data.public.recorded import Source
from training.data.public.recorded import spread


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContactDataChoice:
    """The generator, or a public data set in its original layout (training.data)."""

    data: Literal['synthetic', 'contact_pose', 'contactopt'] = 'synthetic'
    """contactopt, Perturbed ContactPose, is for evaluation only: train on contact_pose."""
    root: Path | None = None
    """Folder of a public data set."""
    setup: Literal['contactopt', 'objects', 'participants'] = 'contactopt'
    """Split of ContactPose: that of ContactOpt and S²Contact, unseen objects, or unseen participants."""
    hands: Literal['right', 'all'] = 'right'
    """Hands of ContactPose: right: grasps of one right hand alone, as in ContactOpt; all: each hand of all grasps."""

    def stream(self, split: str) -> ContactPose | ContactOpt:
        """A split of the public data set.

        Raises:
            SystemExit: no folder is given.
            DatasetError: the folder does not hold the data set, or it has no such split.
        """
        if self.root is None:
            raise SystemExit(f'--data {self.data} needs --root, the folder of the data set')
        if self.data == 'contactopt':
            return ContactOpt(self.root, split)
        return ContactPose(self.root, split, self.setup, self.hands)

    def recorded(self, split: str, most: int | None = None) -> Source:
        """The grasps of a split of the public data set, or some that are evenly spread over it.

        Args:
            split: of the data set.
            most: grasps, if there are so many.

        Raises:
            SystemExit, DatasetError: as `stream`.
        """
        count = len(self.stream(split))
        numbers = spread(count, most)
        # A plain copy, so that processes that read grasps need not import the recipe.
        plain = ContactDataChoice(**{name: getattr(self, name) for name in ('data', 'root', 'setup', 'hands')})
        key = f'{self.data} {self.root} {self.setup} {self.hands}, {count}'
        modules = [ContactPose.__module__ if self.data == 'contact_pose' else ContactOpt.__module__]
        return Source(
            functools.partial(SomeRecords, plain, split, numbers),
            f'{key}, {generator_key(0, split, modules=modules)}',
            len(numbers),
        )

    def perturbed(self, split: str, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pose (N, 48) and translation (N, 3) of perturbed hands of contactopt.

        Args:
            split: of the data set.
            numbers: (N,) `index` of their records.

        Raises:
            SystemExit, DatasetError: as `stream`; another data set has no perturbed hands.
        """
        stream = self.stream(split)
        if not isinstance(stream, ContactOpt):
            raise DatasetError(f'--data {self.data} has no perturbed hands, contactopt has')
        hands = [stream.perturbed(int(number)) for number in numbers]
        return np.stack([hand.pose for hand in hands]), np.stack([hand.translation for hand in hands])


def require_training_data(data: ContactDataChoice) -> None:
    """Raises a DatasetError if a training does not read the data set."""
    if data.data == 'contactopt':
        raise DatasetError(
            '--data contactopt has hands whose noise is fixed: train with --data contact_pose, the same grasps '
            'perturbed anew at each step, and evaluate with --data contactopt'
        )
