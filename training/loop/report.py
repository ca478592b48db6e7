# SPDX-License-Identifier: Apache-2.0
"""What a training shows while it runs: step, minute, speed, the time left and its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Self
from typing import TextIO

from training.loop.checkpoint import Progress
from training.terminal import duration
from training.terminal import ProgressBar


class BudgetReport:
    """The progress bar of a budget of steps and minutes.

    Args:
        steps, minutes: the budget.
        resumed: progress of the runs before, if any.
        stream: as of `ProgressBar`.
        changed: options that differ from those of the runs before.
    """

    def __init__(
        self,
        steps: int,
        minutes: float,
        resumed: Progress | None,
        stream: TextIO | None,
        changed: Sequence[str] = (),
    ) -> None:
        self._steps, self._minutes = steps, minutes
        self._began: tuple[int, float] | None = None
        self._bar = ProgressBar('training', stream)
        if resumed:
            self._bar.say(f'resumed at step {resumed.step:,}, minute {resumed.seconds / 60:.1f}')
        if changed:
            self._bar.say(f'changed since the checkpoint: {", ".join(changed)}')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, progress: Progress, done: float, terms: Mapping[str, float]) -> None:
        """Shows the progress, the share of the budget that is over, and the terms of the loss."""
        if self._began is None:
            self._began = progress.step, progress.seconds
            if done >= 1 and progress.step:
                self._bar.say(self._spent(progress))
        steps, seconds = (now - then for now, then in zip((progress.step, progress.seconds), self._began))
        parts = [
            f'step {progress.step:,} of {self._steps:,}',
            f'minute {progress.seconds / 60:.1f} of {self._minutes:g}',
        ]
        if steps and seconds:
            left = min(
                (self._steps - progress.step) * seconds / steps,
                60 * self._minutes - progress.validation - progress.seconds,
            )
            parts += [f'{steps / seconds:.2g} steps/s', f'ends in {duration(max(left, 0.0))}']
        parts += [f'{name} {value:.4g}' for name, value in terms.items()]
        self._bar.show(done, ', '.join(parts))

    def validated(self, progress: Progress, figures: Mapping[str, float]) -> None:
        """Prints the figures of a validation."""
        listed = ', '.join(f'{name} {value:.4g}' for name, value in figures.items())
        self._bar.say(f'validation at step {progress.step:,}: {listed}')

    def _spent(self, progress: Progress) -> str:
        """The options that continue a finished training; its next run prepares and validates again."""
        needed = []
        if progress.share_of_time(60 * self._minutes) >= 1:
            next_run = progress.seconds + progress.preparation + progress.validation
            needed.append(f'--loop.minutes {math.ceil(next_run / 60) + 1} or more')
        if progress.step >= self._steps:
            needed.append(f'--loop.steps above {progress.step:,}')
        return (
            f'nothing is left of the budget at step {progress.step:,}, minute {progress.seconds / 60:.1f}: '
            f'{" and ".join(needed)} to go on'
        )
