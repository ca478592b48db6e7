# SPDX-License-Identifier: Apache-2.0
"""A stage on real stereo pairs of a hand that handles things: hands found, false hands, joints on the surface.

The folder is `rgbd_hands/` of the real material: a stereo camera on a person's head, with the depth that was computed
from its pairs (CERD, CC BY 4.0). All of it is for validation.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.playback.overlays import overlay
from hoi_ros.systems import Stage
from training.evaluation.figures import print_figures
from training.evaluation.figures import write_figures
from training.evaluation.photos import on_hand

BOXES = Path(__file__).parents[1] / 'data' / 'real' / 'stereo_hand_boxes.csv'
"""Boxes of the hands, drawn by eye: file, x0, y0, x1, y1, shares of width and height."""
_LEFT, _DEPTH = '_left.jpg', '_sgbmdepth.png'
_BEHIND = (-0.015, 0.035)
"""A joint lies on the surface if it is this far behind the depth at its pixel, metres: it is inside the finger."""


@dataclasses.dataclass(frozen=True)
class StereoEvaluation:
    """Runs a stage on real stereo pairs, each on its own."""

    folder: Path
    """`rgbd_hands` of the real material."""
    models: Path | None = None
    """Folder of models; the package's own by default."""
    min_score: float = 0.5
    """Hands below this score are not counted."""
    overlays: Path | None = None
    """Folder for pictures of the hands."""
    out: Path | None = None
    """JSON file for the figures."""


@dataclasses.dataclass(frozen=True)
class StereoPair:
    """The left image (H, W, 3) uint8 RGB of a pair, its depth (H, W) in metres, its camera and the hand's box (4,) in
    pixels."""

    name: str
    image: np.ndarray
    depth: np.ndarray
    camera: Pinhole
    box: np.ndarray


def stereo_pairs(folder: Path) -> list[StereoPair]:
    """The labelled pairs of a folder, in order.

    Raises:
        FileNotFoundError: there are none, or one lacks its depth or calibration.
    """
    pairs = []
    with BOXES.open(newline='') as file:
        for row in csv.DictReader(file):
            path = folder / Path(row['file']).name
            if not path.is_file():
                continue
            session = path.name.removesuffix(_LEFT).rpartition('_')[0]
            calibration = json.loads((folder / f'{session}_calibration.json').read_text())['intrinsic_left']
            image, depth = (
                cv2.imread(str(at), cv2.IMREAD_UNCHANGED)
                for at in (path, path.with_name(path.name.removesuffix(_LEFT) + _DEPTH))
            )
            if image is None or depth is None:
                raise FileNotFoundError(f'{path}: its image or its {_DEPTH} cannot be read')
            height, width = depth.shape
            camera = Pinhole(width, height, *(float(calibration[name]) for name in ('fx', 'fy', 'cx', 'cy')))
            box = np.array([float(row[name]) for name in ('x0', 'y0', 'x1', 'y1')]) * [width, height, width, height]
            pairs.append(
                StereoPair(
                    path.name.removesuffix(_LEFT),
                    cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
                    depth.astype(np.float32) / 1000,
                    camera,
                    box,
                )
            )
    if not pairs:
        raise FileNotFoundError(f'{folder}: none of the stereo pairs in {BOXES.name} is there: name rgbd_hands')
    return pairs


def stereo_figures(
    config: StereoEvaluation, stage: Stage, run: Callable[[StereoPair], Sequence[HandEstimate]]
) -> dict[str, float]:
    """Prints and returns the figures of a stage, run on each pair as if it were the first of a stream."""
    pairs, found, false, right, off = stereo_pairs(config.folder), 0, 0, 0, []
    faces = {side: stage.hand_model(side).faces for side in ('right', 'left')}
    if hasattr(stage, 'object_faces'):
        faces['object'] = stage.object_faces
    for pair in pairs:
        stage.reset()
        hands = [hand for hand in run(pair) if hand.score >= config.min_score]
        hit = next((hand for hand in hands if on_hand(hand, pair.box, pair.camera)), None)
        found += hit is not None
        false += len(hands) - (hit is not None)
        if hit is not None:
            right += hit.side == 'right'
            off.append(behind_surface(hit, pair.depth, pair.camera))
        if config.overlays:
            config.overlays.mkdir(parents=True, exist_ok=True)
            drawn = overlay(pair.image, hands, pair.camera, faces)
            cv2.imwrite(str(config.overlays / f'{pair.name}.jpg'), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    seen = np.concatenate(off) if off else np.zeros(0)
    figures = {
        'pairs': len(pairs),
        'found': found / len(pairs),
        'false_per_pair': false / len(pairs),
        'side_right_of_found': right / max(found, 1),
        'joints_behind_surface_mm': 1e3 * float(np.median(seen)) if len(seen) else float('nan'),
        'joints_on_surface': float(((seen > _BEHIND[0]) & (seen < _BEHIND[1])).mean()) if len(seen) else float('nan'),
    }
    print_figures(figures)
    write_figures(figures, config.out)
    return figures


def behind_surface(hand: HandEstimate, depth: np.ndarray, camera: Pinhole) -> np.ndarray:
    """(N,) how far the joints lie behind the depth at their pixels, metres, where there is any."""
    height, width = depth.shape
    pixels = np.round(camera.project(hand.joints)).astype(int)
    inside = ((pixels >= 0) & (pixels < [width, height])).all(1)
    shown = depth[pixels[inside, 1], pixels[inside, 0]]
    return (hand.joints[inside, 2] - shown)[shown > 0]
