# SPDX-License-Identifier: Apache-2.0
"""Photos into which hands cut out of others are pasted: real skin before any background, and with any object.

Pasting them elsewhere is the augmentation of Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation" (CVPR 2021).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np

from training.data.real.cut_out_hands import AROUND
from training.data.real.cut_out_hands import CHAINS
from training.data.real.cut_out_hands import cut_out
from training.data.real.cut_out_hands import CutOut
from training.data.real.cut_out_hands import PALM
from training.data.real.cut_out_hands import SIZE
from training.data.real.cut_out_hands import warped
from training.data.real.photo_keypoints import labelled_keypoints
from training.data.real.photos import one_of
from training.data.real.photos import Photo
from training.data.real.photos import photos
from training.data.real.photos import Split
from training.data.real.scans import ScannedObjects
from training.data.real.thing_pictures import thing
from training.data.synthetic.colour import encoded
from training.data.synthetic.gloves import Glove
from training.data.synthetic.skin import Skin

_SIDES = (0.08, 0.75)
"""Of pasted hands, shares of the shorter side of the picture."""
_RECOLOURED, _BLACK, _FLAT = 0.35, 0.3, 0.15
"""Share of pasted hands in the colour of another skin or of a glove, of these gloves the black ones, and the share of a
new colour that shading does not change."""
_ENTERING, _REACH, _ALONG = 0.5, (0.3, 0.8), 0.4
"""Share of pasted hands whose forearm enters at the border of the picture, the distance of the middle of such a hand
from it, in its sides, and the deviation of the forearm from the border's normal, radians."""
_TWO, _APART = 0.25, 1.5
"""Share of the pictures with two, and their least distance, in the mean of their sides."""
_UPRIGHT, _MARGIN = 0.3, 0.1
"""Deviation of the roll of every other hand, radians; and least distance of the middle of a hand from the border, as a
share of the picture."""
_HOLDING, _THING = 0.5, (0.6, 1.8)
"""Share of the pasted bare hands that hold something, where there are scanned objects, and range of its longer side,
in sides of the hand's square."""
_BEFORE, _GRIPS = 0.65, 0.7
"""Share of the held things that lie before the palm, and share of these with fingers before them."""
_LEFT = 0.1
"""Share of the pictures with a thing that no hand holds."""
_LIKENESS = 0.6
"""Largest share by which the brightness of a pasted hand follows that of what is around it."""
_GRASP = [5, 6, 9, 10, 13, 14, 17, 18]
"""Joints about whose middle a held thing lies."""
_ASIDE = 0.12
"""Deviation of its middle from theirs, sides of the hand's square."""


@dataclasses.dataclass(frozen=True)
class PastedHand:
    """A hand in a picture.

    Attributes:
        keypoints: (21, 2) pixels.
        right: whether it is a right hand.
        holds: whether it holds something; None for a hand that is cut out with an unknown part of what it holds.
        held: (4,) left, top, right, bottom of a thing that is pasted with it, pixels; None without one.
        shown: share of the hand that this leaves visible.
    """

    keypoints: np.ndarray
    right: bool
    holds: bool | None
    held: np.ndarray | None = None
    shown: float = 1.0

    @property
    def side(self) -> float:
        """Of the square around its keypoints, pixels."""
        return float(np.ptp(self.keypoints, 0).max())


class PastedHands:
    """Pastes hands of labelled photos of a split into its photos without hands.

    Args:
        root: folder of the real material.
        split: of the photos.
        objects: scanned objects that bare hands may hold.

    Raises:
        FileNotFoundError: the split has no photo without hands, or none whose hands have keypoints.
    """

    def __init__(self, root: Path, split: Split = 'train', objects: ScannedObjects | None = None) -> None:
        self._objects = objects
        shown = photos(root, split)
        known = labelled_keypoints()
        self._hands: dict[str, list[tuple[Photo, int]]] = {}
        for photo in shown:
            for number in range(len(photo.boxes)):
                if (photo.name, number) in known:
                    self._hands.setdefault(photo.source, []).append((photo, number))
        empty: dict[str, list[Photo]] = {}
        for photo in shown:
            if photo.kind == 'none':
                empty.setdefault(photo.source, []).append(photo)
        self._empty = list(empty.values())
        if not self._hands or not self._empty:
            raise FileNotFoundError(f'{root}: the split {split} has no photo without hands, or no hand with keypoints')
        self._cut: dict[tuple[str, int], CutOut | None] = {}

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, list[PastedHand]]:
        """A photo, (H, W, 3) uint8 RGB, into which one or two hands are pasted, and these; none where no outline is
        plausible."""
        image = one_of(self._empty, rng).image()
        size = np.array(image.shape[1::-1])
        hands: list[PastedHand] = []
        if self._objects and rng.random() < _LEFT:
            length = float(size.min()) * math.exp(rng.uniform(*np.log(_SIDES)))
            middle, whole = rng.uniform(_MARGIN, 1 - _MARGIN, 2) * size, (int(size[0]), int(size[1]))
            _lay(image, *_placed(*thing(self._objects, rng), middle, length, whole, rng))
        for _ in range(1 + int(rng.random() < _TWO)):
            cut = self._any(rng)
            turn = rng.uniform(-math.pi, math.pi) if rng.random() < 0.5 else rng.normal(0, _UPRIGHT)
            flip = bool(rng.random() < 0.5)
            side = float(size.min()) * math.exp(rng.uniform(*np.log(_SIDES)))
            centre = rng.uniform(_MARGIN, 1 - _MARGIN, 2) * size
            colour = _other_colour(rng) if rng.random() < _RECOLOURED and not (cut and cut.holds) else None
            if cut is not None and rng.random() < _ENTERING:
                border = int(rng.integers(4))
                turn = _toward(border, cut, flip) + rng.normal(0, _ALONG)
                axis, far = border % 2, border < 2
                reach = rng.uniform(*_REACH) * side
                centre[axis] = size[axis] - reach if far else reach
            apart = [np.linalg.norm(centre - hand.keypoints.mean(0)) for hand in hands]
            if cut is None or any(each < _APART * (side + hand.side) / 2 for each, hand in zip(apart, hands)):
                continue
            how = Pasting(centre, side, turn, flip, _LIKENESS * rng.random(), colour)
            if self._objects and not cut.holds and rng.random() < _HOLDING:
                hands.append(paste_holding(image, cut, how, thing(self._objects, rng), rng))
            else:
                hands.append(PastedHand(paste(image, cut, how), cut.right ^ flip, None if cut.holds else False))
        return image, hands

    def _any(self, rng: np.random.Generator) -> CutOut | None:
        photo, number = one_of(list(self._hands.values()), rng)
        if (photo.name, number) not in self._cut:
            self._cut[photo.name, number] = cut_out(photo, number)
        return self._cut[photo.name, number]


@dataclasses.dataclass(frozen=True)
class Pasting:
    """Where and how a hand is pasted.

    Attributes:
        centre: (2,) pixel of the middle of the cut-out.
        side: of the square around its keypoints before it is turned, pixels.
        turn: clockwise, radians.
        flip: whether it is mirrored first.
        likeness: share by which its brightness follows that of what it hides, 0 to 1.
        colour: (3,) sRGB of another skin or of a glove, 0 to 1; None for its own.
    """

    centre: np.ndarray
    side: float
    turn: float = 0.0
    flip: bool = False
    likeness: float = 0.0
    colour: np.ndarray | None = None

    @property
    def matrix(self) -> np.ndarray:
        """(2, 3) from the cut-out to the picture."""
        scale = self.side * AROUND / SIZE
        cosine, sine = scale * math.cos(self.turn), scale * math.sin(self.turn)
        turned = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1.0 if self.flip else 1.0, 1.0])
        return np.column_stack([turned, self.centre - turned @ np.full(2, (SIZE - 1) / 2)])


def paste(image: np.ndarray, cut: CutOut, how: Pasting) -> np.ndarray:
    """Pastes a hand into an image (H, W, 3) uint8 RGB, in place, and returns its keypoints, (21, 2) pixels."""
    matrix, size = how.matrix, (image.shape[1], image.shape[0])
    # Colours that fade to black at the border of the cut-out would draw a line.
    picture, cover = warped(cut.image, matrix, size, cv2.BORDER_REPLICATE), warped(cut.cover, matrix, size)
    hidden = cover > 128
    if how.colour is not None and hidden.any():
        shading = picture.mean(-1, keepdims=True) / max(float(picture[hidden].mean()), 8.0)
        picture = np.clip(255 * how.colour * (_FLAT + (1 - _FLAT) * shading), 0, 255)
    if hidden.any():
        own, around = (max(float(each[hidden].mean()), 8.0) for each in (picture, image))
        gain = min(max((around / own) ** how.likeness, 0.4), 1.8)
        picture = np.clip(picture * gain, 0, 255)
    _lay(image, picture, cover)
    return cut.keypoints @ matrix[:, :2].T + matrix[:, 2]


def paste_holding(
    image: np.ndarray, cut: CutOut, how: Pasting, held: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> PastedHand:
    """Pastes a hand into an image, in place, and a thing that it holds: behind the hand, before it, or before its palm
    and behind some of its fingers.

    Args:
        image: (H, W, 3) uint8 RGB.
        cut: the hand.
        how: where and how it is pasted.
        held: the picture of a thing, (S, S, 3) uint8, and its cover, (S, S) uint8.
        rng: draws the place of the thing.
    """
    matrix, size = how.matrix, (image.shape[1], image.shape[0])
    places = cut.keypoints @ matrix[:, :2].T + matrix[:, 2]
    middle = places[_GRASP].mean(0) + rng.normal(0, _ASIDE, 2) * how.side
    length = how.side * math.exp(rng.uniform(*np.log(_THING)))
    picture, cover = _placed(*held, middle, length, size, rng)
    hidden = cover > 128
    if rng.random() >= _BEFORE:
        _lay(image, picture, cover)
        paste(image, cut, how)
        # A hand before a thing may hold it or not.
        return PastedHand(places, cut.right ^ how.flip, None)
    paste(image, cut, how)
    before = image.copy()
    _lay(image, picture, cover)
    own = warped(cut.cover, matrix, size) > 128
    if rng.random() < _GRIPS:
        chains = CHAINS[:1] if rng.random() < 0.3 else CHAINS[1:] if rng.random() < 0.6 else CHAINS
        fingers = warped(cut.part([chain[int(rng.integers(2, 4)) :] for chain in chains]), matrix, size)
        _lay(image, before, fingers)
        hidden &= fingers <= 128
    shown = 1 - float((own & hidden).sum()) / max(int(own.sum()), 1)
    if not (cover > 128).any():
        return PastedHand(places, cut.right ^ how.flip, None)
    rows, columns = (np.flatnonzero((cover > 128).any(axis)) for axis in (1, 0))
    box = np.array([columns[0], rows[0], columns[-1], rows[-1]], float)
    return PastedHand(places, cut.right ^ how.flip, True, box, shown)


def _placed(
    picture: np.ndarray,
    cover: np.ndarray,
    middle: np.ndarray,
    length: float,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """A square picture and its cover in an image of a size (width, height): about a pixel `middle`, `length` pixels
    large, turned at random."""
    scale, angle = length / len(cover), rng.uniform(-math.pi, math.pi)
    turned = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = np.column_stack([turned, middle - turned @ np.full(2, (len(cover) - 1) / 2)])
    return warped(picture, matrix, size, cv2.BORDER_REPLICATE), warped(cover, matrix, size)


def _lay(image: np.ndarray, picture: np.ndarray, cover: np.ndarray) -> None:
    """Lays a picture (H, W, 3) over an image (H, W, 3) uint8, in place, where `cover` (H, W) says, 0 to 255."""
    share = (cover / 255)[..., None]
    image[:] = np.round(image * (1 - share) + picture * share).astype(np.uint8)


def _other_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) sRGB of another skin or of a glove, 0 to 1."""
    if rng.random() < 0.5:
        return encoded(Skin.sample(rng).back)
    if rng.random() < _BLACK:
        return np.full(3, rng.uniform(0.05, 0.2))
    return encoded(Glove.sample(rng).shell.colours[0])


def _toward(border: int, cut: CutOut, flip: bool) -> float:
    """The turn of a hand, radians, with which its forearm points right, down, left or up (0 to 3)."""
    across, down = cut.keypoints[0] - cut.keypoints[PALM[2:]].mean(0)
    return border * math.pi / 2 - math.atan2(down, -across if flip else across)
