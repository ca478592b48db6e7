# SPDX-License-Identifier: Apache-2.0
"""Detection rate of an independent hand detector, MediaPipe's, on rendered hands.

MediaPipe has an environment of its own, which `python -m benchmarks --install-peers --parts mediapipe` creates:

    python -m benchmarks.hand_realism render out/realism            # in the project's environment
    out/mediapipe/bin/python -I benchmarks/hand_realism.py detect out/realism

The frames show one hand each, more than half of it visible. A hand is detected where the palm (mean of the wrist and
the four knuckles) lies within 0.6 hand sizes of the rendered one. The size of a hand is the longer side of the box
around its keypoints. missed.png, beside the frames, shows the hands that are not detected.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

PALM = [0, 5, 9, 13, 17]
NEAR = 0.6
"""Largest distance between the palms of a detection and of its hand, in hand sizes."""
_MIRRORED = {'Left': 'right', 'Right': 'left'}
"""MediaPipe names the sides as in a mirror."""


@dataclasses.dataclass(frozen=True)
class Detection:
    """The detection nearest to the rendered hand; error is the mean of the keypoints, in hand sizes."""

    side: str
    error: float


def render(folder: Path, count: int, seed: int) -> None:
    """Writes `count` frames as PNG and the truth of their hands as frames.json."""
    from hoi_ros.hand.model import HandModel
    from training.data.synthetic.grasps import GraspGenerator
    from training.data.synthetic.rgb_config import RgbConfig
    from training.data.synthetic.rgb_scenes import RgbScenes

    model = HandModel.load()
    scenes = RgbScenes(
        GraspGenerator(model, seed, 'validation'), seed, 'validation', RgbConfig(hands=(0, 1, 0), visible=0.5), model
    )
    folder.mkdir(parents=True, exist_ok=True)
    known = []
    for index in range(count):
        sample = scenes[index]
        cv2.imwrite(str(folder / f'{index:04d}.png'), sample.image[..., ::-1])
        known.append(
            {
                'keypoints': sample.camera.project(sample.keypoints).tolist(),
                'side': sample.side,
                'held': sample.held.name if sample.held else None,
            }
        )
    (folder / 'frames.json').write_text(json.dumps(known))
    print(f'{folder}: {count} frames')


def detect(folder: Path, confidence: float) -> None:
    """Prints the detection rate and the errors, and writes the hands that are not detected as one picture."""
    import mediapipe

    detector = mediapipe.solutions.hands.Hands(
        static_image_mode=True, max_num_hands=2, min_detection_confidence=confidence
    )
    known = json.loads((folder / 'frames.json').read_text())
    detections: list[Detection | None] = []
    missed: list[np.ndarray] = []
    for index, truth in enumerate(known):
        image = cv2.imread(str(folder / f'{index:04d}.png'))
        keypoints = np.array(truth['keypoints'])
        detections.append(nearest_detection(detector.process(image[..., ::-1]), keypoints, image.shape))
        if detections[-1] is None:
            missed.append(_picture(image, keypoints, f'{index} {truth["held"] or ""}'))
    report(known, detections)
    if missed:
        blank = np.zeros_like(missed[0])
        missed += [blank] * (-len(missed) % 6)
        rows = [np.hstack(missed[start : start + 6]) for start in range(0, len(missed), 6)]
        cv2.imwrite(str(folder / 'missed.png'), np.vstack(rows))


def nearest_detection(result: Any, keypoints: np.ndarray, shape: Sequence[int]) -> Detection | None:
    """The detection whose palm is nearest to that of the rendered hand; None where none is near enough.

    Args:
        result: of MediaPipe, landmarks as shares of the image's width and height.
        keypoints: (21, 2) of the rendered hand, pixels.
        shape: height and width of the image.
    """
    size = np.ptp(keypoints, axis=0).max()
    scale = np.array([shape[1], shape[0]])
    best, least = None, NEAR
    for hand, sides in zip(result.multi_hand_landmarks or (), result.multi_handedness or ()):
        points = np.array([[point.x, point.y] for point in hand.landmark]) * scale
        gap = np.linalg.norm(points[PALM].mean(0) - keypoints[PALM].mean(0)) / size
        if gap < least:
            error = float(np.linalg.norm(points - keypoints, axis=1).mean() / size)
            best, least = Detection(_MIRRORED[sides.classification[0].label], error), gap
    return best


def report(known: Sequence[dict[str, Any]], detections: Sequence[Detection | None]) -> None:
    """Prints the rate of all hands, and of the holding and the free, the small and the large ones."""
    found = np.array([detection is not None for detection in detections])
    sides = [detection.side == truth['side'] for truth, detection in zip(known, detections) if detection]
    errors = [detection.error for detection in detections if detection]
    print(f'detected {found.mean():.1%} of {len(found)}', end='')
    if errors:
        print(f'; correct side {np.mean(sides):.1%}; median keypoint error {np.median(errors):.3f} hand sizes', end='')
    print()
    held = np.array([truth['held'] is not None for truth in known])
    sizes = np.array([np.ptp(np.array(truth['keypoints']), axis=0).max() for truth in known])
    groups = {
        'holding': held,
        'free': ~held,
        'under 80 px': sizes < 80,
        '80 to 160 px': (sizes >= 80) & (sizes < 160),
        'over 160 px': sizes >= 160,
    }
    for name, chosen in groups.items():
        if chosen.any():
            print(f'  {name}: {found[chosen].mean():.1%} of {chosen.sum()}')


def _picture(image: np.ndarray, keypoints: np.ndarray, text: str) -> np.ndarray:
    """The frame with the outline of the palm and a text, 320×240."""
    cv2.polylines(image, [np.int32(keypoints[[*PALM, 0]])], True, (0, 255, 0), 1)
    cv2.putText(image, text, (5, 25), 0, 0.8, (0, 0, 255), 2)
    return cv2.resize(image, (320, 240))


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('command', choices=['render', 'detect'])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--count', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--confidence', type=float, default=0.5, help="MediaPipe's own default")
    arguments = parser.parse_args()
    if arguments.command == 'render':
        render(arguments.folder, arguments.count, arguments.seed)
    else:
        detect(arguments.folder, arguments.confidence)
