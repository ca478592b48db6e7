# SPDX-License-Identifier: Apache-2.0
"""The figures of a replay as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hoi_ros.playback.results import listed

_NAMES_OF_PICTURES = 12
"""Independent pictures without a hand that are named."""


@dataclasses.dataclass(frozen=True)
class ReplaySummary:
    """The figures of a replay."""

    frames: int
    unreadable: int
    with_hands: int
    hands: dict[str, int]
    """Hands by side."""
    mean_score: float
    """NaN where no hand was found."""
    stage_p50_ms: float
    """Median time of the stage; NaN if it never ran."""
    stage_p99_ms: float
    independent: int = 0
    """Frames that are pictures on their own and were read."""
    reasons: Sequence[str] = ()
    """Why images could not be used, a line a kind of fault."""
    without: Sequence[str] = ()
    """Frames that were read and show no hand."""
    holding: int | None = None
    """Hands that hold something; None for a stage that estimates no objects."""
    touching: int | None = None
    """Hands with contact; None for a stage that estimates none."""
    hint: str = ''
    """What to check, where no hand was found."""

    def __str__(self) -> str:
        sides = ', '.join(f'{count} {side}' for side, count in sorted(self.hands.items())) or 'none'
        alone = f', {self.independent} independent pictures' if self.independent > 1 else ''
        lines = [
            f'frames      {self.frames} ({self.unreadable} unreadable){alone}',
            *(f'            {reason}' for reason in self.reasons),
            f'with hands  {self.with_hands}',
        ]
        if self.without:
            names = listed(self.without, _NAMES_OF_PICTURES) if self.independent else listed(self.without)
            lines.append(f'without     {len(self.without)}: {names}')
        lines.append(f'hands       {sides}' + (f', mean score {self.mean_score:.2f}' if self.hands else ''))
        if self.holding is not None:
            lines.append(f'may hold    {self.holding} of them something')
        if self.touching is not None:
            lines.append(f'contact     of {self.touching} of them')
        if self.unreadable < self.frames:
            lines.append(f'stage       p50 {self.stage_p50_ms:.1f} ms, p99 {self.stage_p99_ms:.1f} ms')
        if self.hint:
            lines.append(f'no hand     {self.hint}')
        return '\n'.join(lines)
