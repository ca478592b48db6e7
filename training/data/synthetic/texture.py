# SPDX-License-Identifier: Apache-2.0
"""Solid textures: patterns as functions of a place, so that no mesh needs texture coordinates."""

from __future__ import annotations

import functools

import numpy as np

_LATTICE = 64


@functools.cache
def _volume() -> np.ndarray:
    """(64³,) a lattice of periodic noise with octaves of about equal strength; mean 0, variance 1."""
    rng = np.random.default_rng(64)
    across = np.fft.fftfreq(_LATTICE) * _LATTICE
    frequency = np.sqrt(sum(axis**2 for axis in np.meshgrid(across, across, across, indexing='ij')))
    spectrum = np.fft.fftn(rng.standard_normal((_LATTICE,) * 3)) / np.maximum(frequency, 1) ** 1.7
    spectrum[0, 0, 0] = 0
    field = np.fft.ifftn(spectrum).real
    return (field / field.std()).astype(np.float32).ravel()


def noise(places: np.ndarray, size: float) -> np.ndarray:
    """Noise (N,) at places (N, 3) with features of `size` metres down to a thirtieth of it; mean 0, variance 1."""
    scaled = places.T * np.float32(_LATTICE / (4 * size))
    low = np.floor(scaled)
    share = scaled - low
    first = low.astype(np.int32) & (_LATTICE - 1)
    second = (first + 1) & (_LATTICE - 1)
    plane, row = _LATTICE * _LATTICE, _LATTICE
    volume = _volume()

    def along_z(base: np.ndarray) -> np.ndarray:
        near = volume[base + first[2]]
        return near + (volume[base + second[2]] - near) * share[2]

    def along_y(base: np.ndarray) -> np.ndarray:
        near = along_z(base + first[1] * row)
        return near + (along_z(base + second[1] * row) - near) * share[1]

    near = along_y(first[0] * plane)
    return near + (along_y(second[0] * plane) - near) * share[0]


def step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth step from 0 at `low` to 1 at `high`."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def _cells(places: np.ndarray) -> np.ndarray:
    """(N,) a pseudo-random number in [0, 1] of the unit cube around each place (N, 3)."""
    cell = (np.floor(places).astype(np.int64) @ np.array([73856093, 19349663, 83492791])).astype(np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):  # Wellons' mixer
        cell = (cell ^ (cell >> np.uint32(shift))) * np.uint32(factor)
    return (cell & np.uint32(1023)) / np.float32(1023)


def _stripes(p: np.ndarray) -> np.ndarray:
    return np.clip(4 * np.sin(2 * np.pi * p[:, 0]) + 0.5, 0, 1)


def _checks(p: np.ndarray) -> np.ndarray:
    return np.clip(8 * np.sin(np.pi * p[:, 0]) * np.sin(np.pi * p[:, 1]) + 0.5, 0, 1)


def _tartan(p: np.ndarray) -> np.ndarray:
    return 0.5 * (step(np.sin(2 * np.pi * p[:, 0]), 0.2, 0.4) + step(np.sin(2 * np.pi * p[:, 1]), 0.2, 0.4))


def _bricks(p: np.ndarray) -> np.ndarray:
    row = np.floor(p[:, 1])
    along = 0.5 * p[:, 0] + 0.5 * (row % 2)
    gap = np.minimum(np.abs(p[:, 1] - np.round(p[:, 1])), 2 * np.abs(along - np.round(along)))
    tone = 0.35 * _cells(np.stack([np.floor(along), row, 0 * row], 1))
    return np.where(gap < 0.04, 1.0, tone)


def _speckles(p: np.ndarray) -> np.ndarray:
    return step(noise(p, 1.0), 1.0, 1.3)


def _wood(p: np.ndarray) -> np.ndarray:
    rings = 3 * noise(p * np.array([0.12, 1, 1], np.float32), 2.0)
    fibre = noise(p * np.array([0.05, 4, 4], np.float32), 1.0)
    return np.clip(0.5 + 0.35 * np.sin(2 * np.pi * rings) + 0.15 * fibre, 0, 1)


def _clouds(p: np.ndarray) -> np.ndarray:
    # Two incommensurable sizes hide the period of the noise.
    return np.clip(0.5 + 0.25 * noise(p, 1.0) + 0.25 * noise(p[:, [1, 2, 0]], 1.618), 0, 1)


def _patches(p: np.ndarray) -> np.ndarray:
    return _cells(p * np.array([1, 0.6, 0.0]))


def _weave(p: np.ndarray) -> np.ndarray:
    threads = 0.5 + 0.25 * np.sin(2 * np.pi * p[:, 0]) + 0.25 * np.sin(2 * np.pi * p[:, 1])
    return np.clip(threads + 0.15 * noise(p, 20.0), 0, 1)


def _label(p: np.ndarray) -> np.ndarray:
    """A band with words around the z axis; the unit of the pattern is the height of the band."""
    around = np.arctan2(p[:, 1], p[:, 0]) * 2
    band = step(0.5 - np.abs(p[:, 2]), -0.01, 0.01)
    line, letter = np.floor(p[:, 2] * 9), np.floor(around * 14)
    word = _cells(np.stack([np.floor(letter / 5), line, 0 * line], 1)) > 0.45
    ink = (_cells(np.stack([letter, line, 0 * line], 1)) > 0.3) & word & (line % 2 == 0)
    return band * np.where(ink, 0.15, 1.0)


def _plain(p: np.ndarray) -> np.ndarray:
    return np.zeros(len(p), np.float32)


PATTERNS = {
    'plain': _plain,
    'stripes': _stripes,
    'checks': _checks,
    'tartan': _tartan,
    'bricks': _bricks,
    'speckles': _speckles,
    'wood': _wood,
    'clouds': _clouds,
    'patches': _patches,
    'weave': _weave,
    'label': _label,
}
"""Functions of places (N, 3) in units of the pattern → share (N,) of the second colour."""
