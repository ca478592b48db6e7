# SPDX-License-Identifier: Apache-2.0
"""A recording as a video and as one picture: hands over the images, frames without an answer marked."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.drawing.depth import colour_depth
from hoi_ros.drawing.hands import draw_hands
from hoi_ros.drawing.text import caption
from hoi_ros.drawing.text import draw_text
from hoi_ros.drawing.text import NO_HAND
from hoi_ros.drawing.text import text_size
from hoi_ros.playback.contact_pictures import ContactPictures
from hoi_ros.playback.contact_pictures import has_contact
from hoi_ros.playback.pair_agreement import moved_stamps
from hoi_ros.playback.picture_files import write_picture
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.video import VideoWriter

_NO_ANSWER = (230, 60, 50)
_TILE = 480
"""Pixels of the longer side of a picture on a sheet of few."""
_WIDEST_SHEET = 2880
"""Pixels; pictures shrink on a sheet of many."""
_STRIP = 30
"""Pixels of the line with the name below a picture."""
_NAME_SIZE = 0.55
"""Of the font."""
_LARGEST = 1280
"""Pixels of the longer side of a video of pictures of several sizes."""


def draw_video(recording: Recording, path: Path, rate_hz: float) -> None:
    """Writes all stored images with their hands; images of several sizes stand in the middle of a black frame."""
    sizes = {kept.image.shape[:2] for kept in recording.pictures}
    height, width = (max(size[axis] for size in sizes) for axis in (0, 1))
    fit = functools.partial(_fitted, height=height, width=width)
    if len(sizes) > 1 and max(height, width) > _LARGEST:
        scale = _LARGEST / max(height, width)
        fit = functools.partial(_fitted, height=round(height * scale), width=round(width * scale))
    drawn = _drawing(recording)
    with VideoWriter(path, rate_hz) as writer:
        for kept in recording.pictures:
            writer.write(drawn(kept) if len(sizes) == 1 else fit(drawn(kept)))


def draw_picture(recording: Recording, path: Path) -> None:
    """Writes one image with its hands, from the middle of those that show any, or contact where it is known, or hands
    that were regularised.

    Raises:
        OSError: it cannot be written.
    """
    shown = [kept for kept in recording.pictures if recording.hands_at(kept.stamp)] or recording.pictures
    shown = [kept for kept in shown if has_contact(recording.hands_at(kept.stamp))] or shown
    moved = moved_stamps(recording)
    shown = [kept for kept in shown if kept.stamp in moved] or shown
    write_picture(path, _drawing(recording)(shown[len(shown) // 2]))


def draw_sheet(recording: Recording, path: Path, names: Sequence[str]) -> None:
    """Writes all stored images with their hands side by side, each above its name.

    Raises:
        OSError: it cannot be written.
    """
    drawn = _drawing(recording, maps=False)
    columns = math.ceil(math.sqrt(len(recording.pictures)))
    side = min(_TILE, _WIDEST_SHEET // columns)
    tiles = [_tile(drawn(kept), name, side) for kept, name in zip(recording.pictures, names, strict=True)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    write_picture(path, np.vstack(rows))


def _tile(picture: np.ndarray, name: str, side: int) -> np.ndarray:
    """A picture in a square above a strip with its name."""
    strip = np.zeros((_STRIP, side, 3), np.uint8)
    size = min(_NAME_SIZE, _NAME_SIZE * 0.95 * side / max(text_size(name, _NAME_SIZE)[0], 1))
    draw_text(strip, name, (round(0.02 * side), _STRIP - 10), size)
    return np.vstack([_fitted(picture, side, side), strip])


def _drawing(recording: Recording, maps: bool = True) -> Callable[[Picture], np.ndarray]:
    """Draws an image of the recording, depth in the same colours in all of them; with `maps`, contact beside it."""
    depths = [kept.image[::8, ::8].ravel() for kept in recording.pictures if kept.image.ndim == 2]
    sample = np.concatenate(depths) if depths else np.empty(0)
    nearest, farthest = np.percentile(sample[sample > 0], [1, 99]).tolist() if (sample > 0).any() else (0.0, 1.0)

    maps = maps and any(has_contact(answer.hands) for answer in recording.answers)
    beside = ContactPictures(recording) if maps else None

    def drawn(kept: Picture) -> np.ndarray:
        image = colour_depth(kept.image, nearest, farthest) if kept.image.ndim == 2 else kept.image
        answer = recording.answer_at(kept.stamp)
        if answer is not None and answer.hands:
            faces = recording.faces
            shown = draw_hands(image, answer.hands, kept.camera, faces, faces.get('object'))
        else:
            shown = caption(image, 'no answer', _NO_ANSWER, True) if answer is None else caption(image, NO_HAND)
        return beside(kept, image, shown) if beside else shown

    return drawn


def _fitted(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture at the size that fits, in the middle of a black one."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas
