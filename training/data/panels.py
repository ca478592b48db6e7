# SPDX-License-Identifier: Apache-2.0
"""Panels of statistics on a sheet: bars, histograms and scatter plots, drawn into pixels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from training.data.sheet import write_text

PANEL = (400, 250)
"""Width and height of a panel, pixels."""
INK = (40, 40, 40)
"""Colour of text, RGB."""
_BAR, _MARK, _FRAME, _PAPER = (84, 140, 196), (205, 20, 20), (210, 210, 210), 255


def panel(title: str, size: tuple[int, int] = PANEL) -> np.ndarray:
    """An empty panel (H, W, 3) uint8 RGB of a size, width and height."""
    picture = np.full((size[1], size[0], 3), _PAPER, np.uint8)
    cv2.rectangle(picture, (0, 0), (size[0] - 1, size[1] - 1), _FRAME, 1)
    write_text(picture, title, (8, 18), 0.45, INK)
    return picture


def bars(
    title: str, labels: Sequence[str], shares: Sequence[np.floating] | np.ndarray, size: tuple[int, int] = PANEL
) -> np.ndarray:
    """A panel with a bar and a percentage for each label; shares of 1."""
    picture = panel(title, size)
    pitch = (size[1] - 36) / len(labels)
    text = min(0.4, 0.4 * pitch / 14)
    for row, (label, share) in enumerate(zip(labels, shares, strict=True)):
        top = int(32 + row * pitch)
        write_text(picture, label, (8, top + int(0.65 * pitch)), text, INK)
        right = 130 + int((size[0] - 190) * share / max(max(shares), 1e-9))
        cv2.rectangle(picture, (130, top), (right, top + int(0.75 * pitch)), _BAR, -1)
        write_text(picture, f'{100 * share:.0f} %', (right + 4, top + int(0.65 * pitch)), text, INK)
    return picture


def histogram(
    title: str,
    values: list[float] | np.ndarray,
    limits: tuple[float, float],
    reference: tuple[float, float] | None = None,
) -> np.ndarray:
    """A panel with a histogram; values beyond the limits count in the outer bins.

    Args:
        title: of the panel.
        values: any number.
        limits: of the axis.
        reference: a mean and a standard deviation that are marked.
    """
    values = np.asarray(values, float)
    picture = panel(title)
    counts, edges = np.histogram(np.clip(values, *limits), bins=25, range=limits)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        left, right = _pixel(low, limits), _pixel(high, limits)
        height = int((PANEL[1] - 70) * count / max(counts.max(), 1))
        cv2.rectangle(picture, (left, PANEL[1] - 25 - height), (right - 1, PANEL[1] - 25), _BAR, -1)
    for share in (0, 0.5, 1):
        mark = f'{limits[0] + share * (limits[1] - limits[0]):g}'
        write_text(picture, mark, (20 + int((PANEL[0] - 55) * share), PANEL[1] - 8), 0.4, INK)
    if reference is not None:
        mean, deviation = reference
        ends = (_pixel(mean + sign * deviation, limits) for sign in (-1, 1))
        cv2.line(picture, (next(ends), 58), (next(ends), 58), _MARK, 2)
        cv2.line(picture, (_pixel(mean, limits), 50), (_pixel(mean, limits), PANEL[1] - 25), _MARK, 1)
        found = f'{values.mean():.0f} +- {values.std():.0f}, marked {mean:.0f} +- {deviation:.0f}'
        write_text(picture, found, (PANEL[0] - 210, 40), 0.4, INK)
    elif len(values):
        write_text(
            picture, f'median {np.median(values):.3g}, largest {values.max():.3g}', (PANEL[0] - 210, 40), 0.4, INK
        )
    return picture


def scatter(title: str, points: np.ndarray) -> np.ndarray:
    """A panel with points (N, 2) about its middle."""
    picture = panel(title)
    scale = (PANEL[1] / 2 - 20) / max(np.abs(points).max(), 1e-9)
    for x, y in points:
        place = (int(PANEL[0] / 2 + scale * x), int(PANEL[1] / 2 + 10 - scale * y))
        cv2.circle(picture, place, 2, _BAR, -1, cv2.LINE_AA)
    return picture


def _pixel(value: float, limits: tuple[float, float]) -> int:
    return 20 + int((PANEL[0] - 40) * (value - limits[0]) / (limits[1] - limits[0]))
