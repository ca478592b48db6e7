# SPDX-License-Identifier: Apache-2.0
"""Where new hands may be: candidates of the RGB detector, of the hand finder on depth, and of given regions."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.engines import Backend
from hoi_ros.hand.estimates import Region
from hoi_ros.stages.parts.hand_finder import HandFinder
from hoi_ros.stages.parts.hand_regions import centre_of
from hoi_ros.stages.parts.hand_regions import is_in
from hoi_ros.stages.parts.hand_square import HandSquare
from hoi_ros.stages.parts.rgb_detector import detect_near
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_detector import moved
from hoi_ros.stages.parts.rgb_detector import RgbDetector

_CANDIDATE, _LIKELY = 0.03, 0.1
"""Lowest score, in the whole image and in a window, of a hand that the network infers, and that below which it does so
in a thorough search only, the surest. On real photos one hand in twenty is less likely, and so is much else."""
WINDOWS = 4
"""Corners of the image, in whose windows small hands are searched for."""
_WINDOW = 0.6
"""Side of such a window, as a share of the image's."""
_SMALL, _SURE = 0.3, 0.3
"""Largest side of the square about a small hand, as a share of the image's height, and its lowest score there: with 0.1
two more non-hands were reported in 337 photos."""
_CLEAR = 0.5
"""Score of a candidate from which on no smaller ones are searched for in that frame."""
_HAND_WIDTH = 0.16
"""Usual side of the square about a hand, at its distance, metres."""
_GIVEN = 0.9
"""Score at least of a candidate that a region gives: whoever sends a region says that a hand is in it."""


class HandProposals:
    """Proposes new hands, and detects tracked ones again.

    Args:
        models: folder of the trained networks; the package's own by default.
        backend, threads: of the engines.

    Raises:
        EngineError: a model is missing or damaged.
    """

    def __init__(self, models: Path | None, backend: Backend, threads: int | None) -> None:
        self._detector = RgbDetector(models, backend, threads)
        self._load_finder = functools.partial(HandFinder, models, backend, threads)

    @functools.cached_property
    def _finder(self) -> HandFinder:
        return self._load_finder()

    def near(self, image: np.ndarray, squares: Sequence[HandSquare]) -> list[DetectedHand | None]:
        """The hands that the detector sees in windows about squares of the image (H, W, 3)."""
        return detect_near(self._detector, image, squares, _CANDIDATE)

    def __call__(
        self,
        image: np.ndarray,
        camera: Pinhole,
        depth: np.ndarray | None,
        known: Sequence[HandSquare],
        most: int,
        thorough: bool,
        windows: Sequence[int] = (),
    ) -> list[DetectedHand]:
        """Candidates in an image, the likeliest first, each detected again in a window about it.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: of the image.
            depth: (H, W) metres, or None.
            known: squares of tracked hands, which are no candidates.
            most: hands that the stage reports; they limit the candidates, and with them the time of a frame.
            thorough: whether the surest of the unlikely ones is a candidate, too.
            windows: numbers, below WINDOWS, of those in which small hands are searched for, where the whole image shows
                no clear new one.
        """
        far = _worth_a_look(self._detector(image, most + 2, _CANDIDATE), thorough)
        if depth is not None:
            far = self._with_depth(far, depth, camera, most)
        far = [hand for hand in far if not square_of(hand).is_one_of(known)]
        if not any(hand.score >= _CLEAR for hand in far):
            far += self._small_ones(image, windows, [*known, *map(square_of, far)])
        found = [_supported(*both) for both in zip(far, self.near(image, [square_of(hand) for hand in far]))]
        likely = sorted((hand for hand in found if hand), key=lambda hand: -hand.score)
        return _worth_a_look(likely, thorough)[: most + 1 + bool(windows) - len(known)]

    def in_regions(self, image: np.ndarray, regions: Iterable[Region]) -> list[tuple[DetectedHand, Region]]:
        """Candidates in given regions: of each the hand that the detector sees, and the region itself, since the
        detector may see a part of the hand."""
        given = [
            (HandSquare(centre_of(region), side), region)
            for region in regions
            if (side := max(region.width, region.height)) > 0
        ]
        proposals: list[tuple[DetectedHand, Region]] = []
        for hand, (square, region) in zip(self.near(image, [square for square, _ in given]), given):
            if hand and is_in(square_of(hand), region):
                proposals.append((dataclasses.replace(hand, score=max(hand.score, _GIVEN)), region))
            proposals.append((DetectedHand(*square, _GIVEN, 0.5, 0.0, None), region))
        return proposals

    def _small_ones(
        self, image: np.ndarray, windows: Sequence[int], others: Sequence[HandSquare]
    ) -> list[DetectedHand]:
        """The two likeliest small hands in some windows, away from other ones."""
        height, width = image.shape[:2]
        rows, columns = (round(_WINDOW * size) for size in (height, width))
        every = [(left, top) for top in (0, height - rows) for left in (0, width - columns)]
        corners = [every[number] for number in windows]
        parts = [image[top : top + rows, left : left + columns] for left, top in corners]
        detected = zip(corners, self._detector.batch(parts, 2, _SURE))
        found = [moved(hand, np.array(corner)) for corner, hands in detected for hand in hands]
        small: list[DetectedHand] = []
        for hand in sorted(found, key=lambda hand: -hand.score):
            apart = not square_of(hand).is_one_of([*others, *map(square_of, small)])
            if apart and hand.side < _SMALL * height:
                small.append(dataclasses.replace(hand, held=None))
        return small[:2]

    def _with_depth(
        self, hands: list[DetectedHand], depth: np.ndarray, camera: Pinhole, most: int
    ) -> list[DetectedHand]:
        """Hands of the image and those that the finder of `depth_pose` finds; where both find one, it has the higher
        score."""
        together = list(hands)
        for found in self._finder(depth, camera, most + 1, _LIKELY):
            side = _HAND_WIDTH * camera.fx / found.centre[2]
            square = HandSquare(camera.project(found.centre), side)
            same = next((k for k, hand in enumerate(together) if square.is_one_of([square_of(hand)])), None)
            if same is None:
                together.append(DetectedHand(*square, found.score, 0.5, 0.0, None, found.score))
            else:
                score = max(found.score, together[same].score)
                together[same] = dataclasses.replace(together[same], score=score, on_depth=found.score)
        return together


def square_of(hand: DetectedHand) -> HandSquare:
    """The square of a detected hand."""
    return HandSquare(hand.centre, hand.side)


def _supported(first: DetectedHand, near: DetectedHand | None) -> DetectedHand | None:
    """A candidate as the detector sees it in a window about it; where depth shows it, at least as likely as there."""
    if not first.on_depth:
        return near
    return dataclasses.replace(near or first, score=max(near.score if near else 0.0, first.on_depth))


def _worth_a_look(hands: list[DetectedHand], thorough: bool) -> list[DetectedHand]:
    """Of hands by falling score, the likely ones, and in a thorough search the first of the others."""
    return hands[: sum(hand.score >= _LIKELY for hand in hands) + thorough]
