# SPDX-License-Identifier: Apache-2.0
"""Notices depth that contradicts the colours image after image."""

from __future__ import annotations

_IN_A_ROW = 10
"""Images in a row whose only hand depth denies, after which the depth is doubted."""


class DepthDenials:
    """Counts the images in a row in which depth denies every hand that the colours show."""

    def __init__(self) -> None:
        self._count, self._denied = 0, False

    def deny(self) -> None:
        """A hand of this image cannot be where depth shows it."""
        self._denied = True

    def end(self, found: bool, first: bool = False) -> None:
        """The image, which is the first one after a jump in time or not, is done, with or without a hand."""
        before = 0 if first else self._count
        self._count = before + 1 if self._denied and not found else 0
        self._denied = False

    @property
    def doubt(self) -> str:
        """What is likely wrong with the depth, with the mend; '' if nothing is."""
        if self._count < _IN_A_ROW:
            return ''
        return (
            f'depth denies the only hand that the colours show, in {self._count} images in a row, so none is '
            'reported: check that the depth is aligned with the colour image, and its unit'
        )
