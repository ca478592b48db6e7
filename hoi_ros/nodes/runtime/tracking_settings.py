# SPDX-License-Identifier: Apache-2.0
"""The parameters that every stage that tracks hands has."""

from __future__ import annotations

from typing import Any
from typing import Protocol

from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.settings import Settings
from hoi_ros.stages.parts.one_euro import OneEuroConfig

_FILTER = OneEuroConfig()

TRACKING_SETTINGS = (
    Setting('max_hands', 2, 'Largest number of hands.', 1, 4, live=True),
    Setting('min_score', 0.5, 'A new hand below this score is not reported.', 0.0, 1.0, live=True),
    Setting('smoothing.enabled', False, 'Filter the joints over time (One-Euro).', live=True),
    Setting(
        'smoothing.min_cutoff',
        _FILTER.min_cutoff_hz,
        'Cutoff for a hand at rest, Hz: lower is smoother and slower.',
        0.01,
        100.0,
        live=True,
    ),
    Setting(
        'smoothing.beta',
        _FILTER.beta,
        'Cutoff added per speed, Hz per m/s: higher lags less in motion.',
        0.0,
        1000.0,
        live=True,
    ),
    Setting(
        'smoothing.derivative_cutoff', _FILTER.derivative_cutoff_hz, 'Cutoff of the speed, Hz.', 0.01, 100.0, live=True
    ),
)


class TrackingStage(Protocol):
    """What a stage that tracks hands has."""

    max_hands: int
    min_score: float
    smoothing: OneEuroConfig | None

    def reset(self) -> None:
        """Forgets earlier frames."""


def tracking_arguments(settings: Settings) -> dict[str, Any]:
    """The arguments `max_hands`, `min_score` and `smoothing` of a stage."""
    return {
        'max_hands': settings['max_hands'],
        'min_score': settings['min_score'],
        'smoothing': _smoothing(settings),
    }


def tune_tracking(stage: TrackingStage, settings: Settings) -> None:
    """Hands the live parameters to a stage; on the worker's thread."""
    stage.max_hands, stage.min_score = settings['max_hands'], settings['min_score']
    smoothing = _smoothing(settings)
    if smoothing != stage.smoothing:
        stage.smoothing = smoothing
        stage.reset()  # a tracked hand keeps the filter that it began with


def _smoothing(settings: Settings) -> OneEuroConfig | None:
    if not settings['smoothing.enabled']:
        return None
    return OneEuroConfig(
        settings['smoothing.min_cutoff'], settings['smoothing.beta'], settings['smoothing.derivative_cutoff']
    )
