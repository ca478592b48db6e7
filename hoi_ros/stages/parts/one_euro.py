# SPDX-License-Identifier: Apache-2.0
"""The One-Euro filter: a low-pass whose cutoff rises with speed.

Casiez, Roussel, Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems",
CHI 2012. The speed is that of the whole point, not of each coordinate: turning the camera changes nothing.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class OneEuroConfig:
    """Strength of the smoothing. The defaults are for metres.

    At 30 Hz they halve the noise of a resting point, cut its change from frame to frame to 3/10, and let a point that
    swings by ±10 cm once a second lag by 12 ms (±2 cm: 32 ms).
    """

    min_cutoff_hz: float = 1.5
    """Cutoff at rest: lower is smoother and slower."""
    beta: float = 20.0
    """Hz of cutoff added per unit of speed (m/s): higher lags less in motion."""
    derivative_cutoff_hz: float = 3.0
    """Cutoff of the speed itself."""

    def __post_init__(self) -> None:
        for name, lowest, wanted in (
            ('min_cutoff_hz', True, 'above 0'),
            ('derivative_cutoff_hz', True, 'above 0'),
            ('beta', False, 'of 0 or more'),
        ):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0 or (lowest and value == 0):
                raise ValueError(f'{name} is {value}, expected a finite number {wanted}')


class OneEuroFilter:
    """Filters points that arrive with stamps, regularly or not."""

    def __init__(self, config: OneEuroConfig = OneEuroConfig()) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Clears the state: the next values pass unchanged."""
        self._stamp: float | None = None
        self._estimate: np.ndarray = np.empty(0)
        self._velocity: np.ndarray = np.empty(0)
        self._seen_at: np.ndarray = np.empty(0)

    def __call__(self, values: np.ndarray, stamp: float) -> np.ndarray:
        """Filters one set of points.

        A repeated stamp returns the last estimates; a stamp before the last one (a recording that starts over)
        resets the filter. A point with a coordinate that is not finite comes back as NaN and keeps its state: its
        next finite value is filtered over the time since its last one.

        Args:
            values: (..., D) points of D coordinates, always of the same shape.
            stamp: seconds.

        Returns:
            (..., D) filtered points, of the dtype of the values.

        Raises:
            ValueError: the shape has changed, or the stamp is not finite.
        """
        values = np.asarray(values)
        if values.ndim == 0:
            raise ValueError('values has shape (), expected (..., D)')
        if not math.isfinite(stamp):
            raise ValueError(f'the stamp is {stamp}, expected finite seconds')
        if self._stamp is not None and stamp < self._stamp:
            self.reset()
        if self._stamp is None:
            self._estimate = np.full(values.shape, np.nan)
            self._velocity = np.zeros(values.shape)
            self._seen_at = np.full((*values.shape[:-1], 1), -np.inf)
        elif values.shape != self._estimate.shape:
            raise ValueError(
                f'values has shape {values.shape}, expected {self._estimate.shape} as before: reset() '
                'the filter or make another'
            )
        self._stamp = stamp

        seen = np.isfinite(values).all(-1, keepdims=True)
        elapsed = stamp - self._seen_at
        first, moved = seen & np.isinf(elapsed), seen & np.isfinite(elapsed) & (elapsed > 0)
        step = np.where(moved, elapsed, 1.0)
        change = np.where(moved, values - self._estimate, 0.0)
        self._velocity += np.where(moved, _gain(self.config.derivative_cutoff_hz, step), 0) * (
            change / step - self._velocity
        )
        speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
        self._estimate += _gain(self.config.min_cutoff_hz + self.config.beta * speed, step) * change
        self._estimate = np.where(first, values, self._estimate)
        self._seen_at = np.where(seen, stamp, self._seen_at)
        result = np.where(seen, self._estimate, np.nan)
        return result.astype(values.dtype) if values.dtype.kind == 'f' else result


def _gain(cutoff_hz: np.ndarray | float, step: np.ndarray) -> np.ndarray:
    """Weight of the new value in a first-order low-pass after `step` seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step))
