# SPDX-License-Identifier: Apache-2.0
"""The overlays of a replay: their names, the pictures, and the removal of earlier ones."""

from __future__ import annotations

import collections
import json
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hoi_ros.drawing.depth import colour_depth
from hoi_ros.drawing.hands import Camera
from hoi_ros.drawing.hands import draw_hands
from hoi_ros.drawing.text import caption
from hoi_ros.drawing.text import NO_HAND
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.playback.command import OutputError

RESULTS = 'results.jsonl'
OVERLAYS = 'overlays'


def overlay(
    image: np.ndarray, hands: Sequence[HandEstimate], camera: Camera, faces: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The hands over an image, or its caption where there are none.

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) float32 metres.
        hands: of the image.
        camera: as for `draw_hands`.
        faces: (F, 3) of the 'right' and the 'left' hand's mesh, and of the 'object' where the stage estimates any.
    """
    if hands:
        return draw_hands(image, hands, camera, faces, faces.get('object'))
    return caption(colour_depth(image) if image.ndim == 2 else image, NO_HAND)


def shrunk(image: np.ndarray, longest: int) -> np.ndarray:
    """An image (H, W, ...) whose longer side is at most `longest` pixels; depth (H, W) keeps its own values."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    interpolation = cv2.INTER_NEAREST if image.ndim == 2 else cv2.INTER_AREA
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=interpolation)


def overlay_names(images: Sequence[str]) -> dict[str, str]:
    """The PNG file of each image; it keeps the suffix of an image where two images differ in nothing else."""
    names = {image: str(Path(image).with_suffix('.png')) for image in images}
    counts = collections.Counter(names.values())
    return {image: name if counts[name] == 1 else f'{image}.png' for image, name in names.items()}


def named_before(out: Path, field: str) -> list[Any]:
    """The values of a field in the lines of an earlier `results.jsonl`; none without such a file."""
    try:
        lines = (out / RESULTS).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    values = []
    for line in lines:
        try:
            values.append(json.loads(line)[field])
        except (ValueError, KeyError, TypeError):
            continue  # the end of a run that was interrupted
    return values


def refuse_other_results(out: Path, field: str) -> None:
    """Raises an OutputError where `results.jsonl` is there and not of an earlier run of this kind.

    Args:
        out: the folder.
        field: that each of its lines begins with.
    """
    file, start = out / RESULTS, f'{{"{field}"'.encode()
    if not file.exists():
        return
    with file.open('rb') as lines:
        found = lines.read(len(start))
    if not start.startswith(found):
        raise OutputError(f'{file} is there and of something else: give another folder with --out')


def remove_overlays(out: Path) -> None:
    """Removes the overlays of the images that an earlier `results.jsonl` names; other files stay."""
    images = [str(image) for image in named_before(out, 'image')]
    folder = (out / OVERLAYS).resolve()
    for name in overlay_names(images).values():
        file = (folder / name).resolve()
        if file.is_relative_to(folder):
            file.unlink(missing_ok=True)
