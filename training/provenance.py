# SPDX-License-Identifier: Apache-2.0
"""What weights have seen before a training and in it, for their card."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hoi_ros.engines import Card
from training.data.real.material import origins

_KEPT = 'command', 'seed', 'samples', 'steps', 'minutes', 'machine', 'notes', 'records', 'parts'


def provenance(start: Path | None, real: Iterable[tuple[Path, Iterable[Path]]] = ()) -> dict[str, Any]:
    """Entries of weights.pt that the export writes into the card.

    Args:
        start: model folder or weights.pt that the training started from, if any.
        real: folders of real material, and the files of each that this training shows.

    Returns:
        `before`, the trainings that led to the start, and `real_images` of all of them by source.
    """
    training: Mapping[str, Any] = {}
    if start and start.is_dir():
        training = Card.load(start).training
    elif start:
        kept = torch.load(start, map_location='cpu', weights_only=True)
        training = {**kept, **kept.get('progress', {})}
    before = [*training.get('before', [])]
    if training:
        before.append({name: training[name] for name in _KEPT if name in training})
    return {'before': before, 'real_images': {**training.get('real_images', {}), **origins(*real)}}
