# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of an evaluation into a model card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from hoi_ros.engines import Card
from training.installation import InstallOptions
from training.installation import write_card


def write_figures_to_card(folder: Path, name: str, figures: Mapping[str, object], options: InstallOptions) -> Card:
    """Adds figures, rounded to four decimals, to the card of a model folder.

    Args:
        folder: model folder.
        name: entry of the card's figures.
        figures: of an evaluation.
        options: of the command.
    """
    card = with_figures(Card.load(folder), name, figures)
    write_card(folder, card, options)
    return card


def with_figures(card: Card, name: str, figures: Mapping[str, object]) -> Card:
    """A card with more figures, rounded to four decimals."""
    return dataclasses.replace(card, figures={**card.figures, name: _rounded(dict(figures))})


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value
