# SPDX-License-Identifier: Apache-2.0
"""The two-hand prior's numbers in units of their spread in the training data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from hoi_ros.engines.errors import ModelFileError
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import SIZE

WHITENING_FILE = 'whitening.npz'
"""In the model folder."""
_LEAST = 1e-3
"""Least standard deviation: a number that never varies stays as it is."""


@dataclasses.dataclass(frozen=True)
class PairWhitening:
    """Mean and standard deviation of the vectors of `hoi_ros.hand.pair`.

    The wrist of a right hand is another quantity about a left hand than about an object, so it has statistics for each.

    Attributes:
        mean, deviation: (64,) of right hands about the wrist of the left hand.
        object_mean, object_deviation: (64,) of hands about an object; they differ in rotation and place only.
    """

    mean: np.ndarray
    deviation: np.ndarray
    object_mean: np.ndarray
    object_deviation: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, about_objects: np.ndarray | None = None) -> PairWhitening:
        """The statistics of right hands about left ones (N, 64), and of hands about objects (N, 64)."""
        mean, deviation = vectors.mean(0), np.maximum(vectors.std(0), _LEAST)
        object_mean, object_deviation = mean.copy(), deviation.copy()
        if about_objects is not None:
            object_mean[ROOT] = about_objects[:, ROOT].mean(0)
            object_deviation[ROOT] = np.maximum(about_objects[:, ROOT].std(0), _LEAST)
        statistics = (mean, deviation, object_mean, object_deviation)
        return cls(*(part.astype(np.float32) for part in statistics))

    @classmethod
    def load(cls, folder: Path) -> PairWhitening:
        """Reads the statistics from a model folder.

        Raises:
            ModelFileError: the file is missing or is no such file.
        """
        path = folder / WHITENING_FILE
        names = [field.name for field in dataclasses.fields(cls)]
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = [file[name].astype(np.float32) for name in names]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise ModelFileError(
                f'{path}: not a readable .npz file with {", ".join(names)} ({error}); take the folder of one export'
            ) from error
        if any(array.shape != (SIZE,) for array in arrays):
            raise ModelFileError(
                f'{path}: expected {SIZE} numbers in each of {", ".join(names)}; take the folder of one export'
            )
        return cls(*arrays)

    def save(self, folder: Path) -> None:
        """Writes the file into a model folder."""
        np.savez(folder / WHITENING_FILE, **dataclasses.asdict(self))

    def whiten(self, vectors: np.ndarray, about_object: bool = False) -> np.ndarray:
        """Vectors (..., 64), metres and radians → whitened ones, float32."""
        mean, deviation = self._statistics(about_object)
        return ((vectors - mean) / deviation).astype(np.float32)

    def unwhiten(self, whitened: np.ndarray, about_object: bool = False) -> np.ndarray:
        """The inverse of `whiten`."""
        mean, deviation = self._statistics(about_object)
        return (whitened * deviation + mean).astype(np.float32)

    def _statistics(self, about_object: bool) -> tuple[np.ndarray, np.ndarray]:
        return (self.object_mean, self.object_deviation) if about_object else (self.mean, self.deviation)
