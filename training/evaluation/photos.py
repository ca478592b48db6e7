# SPDX-License-Identifier: Apache-2.0
"""A stage of colour images on labelled real photos: hands found, hands said to hold something, false hands."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import zlib
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.playback.cameras import assumed_camera
from hoi_ros.systems import Stage
from hoi_ros.systems import system_of_photos
from training.data.real.photos import Photo
from training.data.real.photos import photos
from training.data.real.photos import Split
from training.evaluation.figures import write_figures

_INSIDE, _GROWN, _COVERED = 0.6, 0.1, 0.25
"""A hand is found if this share of an estimate's joints lies in its box, grown by a share of its sides, and the box of
these joints covers a share of it."""
_OVERLAID, _LARGEST_RATIO, _FARTHEST = 0.45, 1.6, 0.5
"""An estimate lies over a hand if the box of its joints covers this share of the hand's box, is at most so many times
as large or as small, and its centre is within this share of the larger box's longest side. The boxes show the visible
part of a hand; the joints include the fingers behind what it holds."""
_WRIST_AND_THUMB, _SHOWN = 5, 0.15
"""So does one whose wrist and thumb all lie in the grown box, and whose joints' box covers this share of it: a hand
behind a carton shows little more."""


T, R = TypeVar('T'), TypeVar('R')
_SIZE = 640, 480
"""Of the pictures in which photos lie that are made smaller, pixels."""
_NOISE = 2.0
"""Standard deviation of the noise of dark photos, of 255."""


@dataclasses.dataclass(frozen=True)
class PhotosEvaluation:
    """Runs the stage of colour images on labelled real photos, each on its own."""

    photos: Path
    """Folder of the real material."""
    models: Path | None = None
    """Folder of models; the package's own by default."""
    split: Split = 'validation'
    most: int = 0
    """Photos of each group at most, evenly over the group; 0 for all."""
    share: float = 1.0
    """Below 1, photos of hands alone, each as large as this share of a photo of 640x480 without hands on which it lies:
    hands further away."""
    light: float = 1.0
    """Below 1, photos with this share of their light, and noise: dark rooms."""
    min_score: float = 0.5
    """Hands below this score are not counted."""
    workers: int = 2
    """Processes."""
    out: Path | None = None
    """JSON file for the figures."""


@dataclasses.dataclass(frozen=True)
class PhotoResult:
    """The stage's result on one photo.

    Attributes:
        group: kind and source of the photo.
        hands: labelled hands.
        found: of them.
        overlaid: of them, those that an estimate lies over at least; the found ones included.
        holding: of the found hands, those said to hold something.
        false: estimates on no labelled hand.
    """

    group: str
    hands: int
    found: int
    overlaid: int
    holding: int
    false: int


def evaluate(config: PhotosEvaluation) -> dict[str, dict[str, float]]:
    """Prints and returns the figures of each group of photos.

    Raises:
        FileNotFoundError: the folder is not the real material.
    """
    given = photos(config.photos, config.split)
    chosen: list[tuple[Photo, Photo | None]] = [(photo, None) for photo in _chosen(given, config.most)]
    if config.share < 1:
        empty = [photo for photo in given if photo.kind == 'none']
        shown = [photo for photo, _ in chosen if photo.kind != 'none']
        chosen = [(photo, empty[number * len(empty) // len(shown)]) for number, photo in enumerate(shown)]
    results = _each(functools.partial(_run, config), chosen, config.workers)
    figures = sums(results)
    for group, values in figures.items():
        print(f'{group:16}', '  '.join(f'{name} {value:.3g}' for name, value in values.items()))
    write_figures(figures, config.out)
    return figures


def false_scores(models: Path, empty: Sequence[Photo], workers: int) -> list[float]:
    """The scores of the hands that the stage with these models finds in photos without hands."""
    scores = _each(functools.partial(_scores, models), empty, workers)
    return [score for found in scores for score in found]


def _each(run: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
    """What each item gives, in processes of their own."""
    progress = functools.partial(tqdm, total=len(items), unit='photo', mininterval=5)
    if workers <= 1:
        return [run(item) for item in progress(items)]
    with multiprocessing.get_context('spawn').Pool(workers) as pool:
        return list(progress(pool.imap(run, items, chunksize=8)))


def _scores(models: Path, photo: Photo) -> list[float]:
    stage: Any = _stage(models)
    image = photo.image()
    stage.reset()
    return [hand.score for hand in stage(image, assumed_camera(*image.shape[1::-1]).camera, 0.0)]


def sums(results: Sequence[PhotoResult]) -> dict[str, dict[str, float]]:
    """For each group: photos, hands, share found, share found or overlaid, share of the found ones said to hold, false
    hands a photo."""
    groups: dict[str, list[PhotoResult]] = defaultdict(list)
    for result in results:
        groups[result.group].append(result)
    figures = {}
    for group, members in sorted(groups.items()):
        hands, found, overlaid, holding, false = (
            sum(getattr(member, name) for member in members)
            for name in ('hands', 'found', 'overlaid', 'holding', 'false')
        )
        figures[group] = {'photos': len(members), 'hands': hands, 'false_per_photo': false / len(members)}
        if hands:
            figures[group] |= {
                'found': found / hands,
                'overlaid': overlaid / hands,
                'said_to_hold': holding / max(found, 1),
            }
    return figures


def on_hand(estimate: HandEstimate, box: np.ndarray, camera: Pinhole) -> bool:
    """Whether an estimate lies on the hand of a box.

    Args:
        estimate: of the photo.
        box: (4,) left, top, right, bottom, pixels.
        camera: of the photo.
    """
    pixels = _joints_in(estimate, camera)
    return bool(_inside(pixels, box).mean() >= _INSIDE and _covered(pixels, box) >= _COVERED)


def over_hand(estimate: HandEstimate, box: np.ndarray, camera: Pinhole) -> bool:
    """Whether an estimate lies over the hand of a box, whose fingers may be hidden; arguments as of `on_hand`."""
    pixels = _joints_in(estimate, camera)
    low, high = pixels.min(0), pixels.max(0)
    side, own = float((box[2:] - box[:2]).max()), float((high - low).max())
    apart = float(np.linalg.norm((low + high - box[:2] - box[2:]) / 2))
    alike = max(side, own) < _LARGEST_RATIO * min(side, own) and apart < _FARTHEST * max(side, own)
    shown = bool(_inside(pixels, box)[:_WRIST_AND_THUMB].all())
    covered = _covered(pixels, box)
    return bool((alike and covered >= _OVERLAID) or (shown and covered >= _SHOWN))


def _joints_in(estimate: HandEstimate, camera: Pinhole) -> np.ndarray:
    """(21, 2) pixels of the joints, clipped to the photo."""
    return np.clip(camera.project(estimate.joints), 0, [camera.width, camera.height])


def _inside(pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(N,) bool, whether pixels lie in a grown box (4,)."""
    margin = _GROWN * (box[2:] - box[:2])
    inside: np.ndarray = ((pixels > box[:2] - margin) & (pixels < box[2:] + margin)).all(1)
    return inside


def _covered(pixels: np.ndarray, box: np.ndarray) -> float:
    """Share of a box (4,) that the box around pixels (N, 2) covers."""
    overlap = np.minimum(pixels.max(0), box[2:]) - np.maximum(pixels.min(0), box[:2])
    return float(np.maximum(overlap, 0).prod() / max((box[2:] - box[:2]).prod(), 1e-9))


def _chosen(found: Sequence[Photo], most: int) -> list[Photo]:
    groups: dict[str, list[Photo]] = defaultdict(list)
    for photo in found:
        groups[_group(photo)].append(photo)
    return [
        members[index]
        for members in groups.values()
        for index in np.unique(np.linspace(0, len(members) - 1, min(most or len(members), len(members))).astype(int))
    ]


def _group(photo: Photo) -> str:
    return f'{photo.kind} {photo.path.name.split("_")[0]}'


def _run(config: PhotosEvaluation, pair: tuple[Photo, Photo | None]) -> PhotoResult:
    stage: Any = _stage(config.models)
    photo, behind = pair
    image = photo.image()
    height, width = image.shape[:2]
    boxes = photo.boxes * [width, height, width, height]
    if behind is not None:
        place = np.random.default_rng(zlib.crc32(photo.name.encode()))
        image, boxes = laid_on(image, boxes, behind.image(), config.share, place)
        height, width = image.shape[:2]
    if config.light < 1:
        image = darkened(image, config.light, np.random.default_rng(zlib.crc32(photo.name.encode())))
    camera = assumed_camera(width, height).camera
    stage.reset()
    estimates = [hand for hand in stage(image, camera, 0.0) if hand.score >= config.min_score]
    taken = _matched(estimates, boxes, camera, on_hand)
    found = len(taken)
    holding = sum(estimates[index].held is not None for index in taken.values())
    left = [box for number, box in enumerate(boxes) if number not in taken]
    free = [hand for index, hand in enumerate(estimates) if index not in taken.values()]
    over = _matched(free, left, camera, over_hand)
    return PhotoResult(_group(photo), len(boxes), found, found + len(over), holding, len(estimates) - found - len(over))


def darkened(image: np.ndarray, light: float, rng: np.random.Generator) -> np.ndarray:
    """An image (H, W, 3) uint8 with a share of its light, and noise of a standard deviation of 2."""
    return np.clip(light * image + rng.normal(0, _NOISE, image.shape), 0, 255).astype(np.uint8)


def laid_on(
    image: np.ndarray, boxes: np.ndarray, behind: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A smaller photo somewhere on another one, as a hand further away.

    Args:
        image: (H, W, 3) uint8.
        boxes: (N, 4) of its hands, left, top, right, bottom, pixels.
        behind: (H', W', 3) uint8 without hands.
        share: of the width or height of the result that the photo takes at most.
        rng: of its place.

    Returns:
        (480, 640, 3) uint8, and the boxes in it.
    """
    size = np.array(_SIZE)
    scale = float((size / behind.shape[1::-1]).max())
    whole = cv2.resize(behind, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[: size[1], : size[0]].copy()
    size = np.array(whole.shape[1::-1])
    scale = share * float((size / image.shape[1::-1]).min())
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    left, top = rng.integers(0, size - [width, height] + 1)
    whole[top : top + height, left : left + width] = small
    return whole, boxes * scale + np.array([left, top, left, top])


def _matched(
    estimates: Sequence[HandEstimate],
    boxes: Sequence[np.ndarray],
    camera: Pinhole,
    matches: Callable[[HandEstimate, np.ndarray, Pinhole], bool],
) -> dict[int, int]:
    """Index of the estimate of each box that has one; each estimate counts once."""
    taken: dict[int, int] = {}
    for number, box in enumerate(boxes):
        for index, hand in enumerate(estimates):
            if index not in taken.values() and matches(hand, box, camera):
                taken[number] = index
                break
    return taken


@functools.cache
def _stage(models: Path | None) -> Stage:
    return system_of_photos().load_stage(models=models, threads=1)
