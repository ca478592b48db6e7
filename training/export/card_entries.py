# SPDX-License-Identifier: Apache-2.0
"""Entries of model cards that all exports share: licence, data, training and figures."""

from __future__ import annotations

from typing import Any

LICENCE = 'Apache-2.0'
DEPTH_DATA = (
    'Synthetic depth (training/data): the WebXR generic hand (MIT, Amazon) posed, shaped, ray-cast and seen '
    'through models of structured-light, stereo and time-of-flight cameras.'
)
"""Data of networks trained on synthetic depth."""
RGB_DATA = {
    'synthetic': 'Generated images (training/data): the WebXR generic hand (MIT, Amazon) and parametric '
    'objects, grasped by closing the fingers until they touch, ray-cast.',
    'freihand': 'FreiHAND (for research only)',
    'obman': 'ObMan (for research only)',
    'ho3d': 'HO-3D (for research only)',
    'dexycb': 'DexYCB (CC BY-NC 4.0)',
}
"""Data of networks trained on RGB images, by the name of the data set."""


def data_of(generated: str, kept: dict[str, Any]) -> str:
    """The data entry: what was generated, and the real images of all trainings by source and licence."""
    real = kept.get('real_images') or {}
    listed = '; '.join(f'{source} ({what})' for source, what in real.items())
    return f'{generated} Real images: {listed}.' if real else f'{generated} No real image.'


def training_of(command: str, kept: dict[str, Any]) -> dict[str, Any]:
    """The training entry.

    Args:
        command: that trained the network, for files that do not name it.
        kept: content of its weights.pt.
    """
    progress = kept['progress']
    return {
        'command': kept.get('command', command),
        **({'score_command': kept['score_command']} if 'score_command' in kept else {}),
        'seed': kept['seed'],
        'samples': progress['samples'],
        'steps': progress['step'],
        'minutes': round(progress['seconds'] / 60, 1),
        **({'machine': kept['machine']} if 'machine' in kept else {}),
        **{name: kept[name] for name in ('before', 'real_images') if kept.get(name)},
    }


def figures_of(kept: dict[str, Any]) -> dict[str, float]:
    """The figures of the validation in a weights.pt."""
    return {f'validation_{name}': round(value, 4) for name, value in kept['figures'].items()}
