# SPDX-License-Identifier: Apache-2.0
"""Would somebody else's hand detector take the rendered hands for hands?

MediaPipe never saw them and is no part of the project, so it works in an environment of its own:

    python -m benchmarks.hand_realism render out/realism            # in the project's environment
    python3 -m venv out/mediapipe && out/mediapipe/bin/pip install mediapipe==0.10.14
    out/mediapipe/bin/python benchmarks/hand_realism.py detect out/realism

Of one-handed frames of which more than half of the hand is visible, it prints the share in which the detector finds
a hand whose palm (mean of the wrist and the four knuckles) lies within 0.6 hand sizes of the rendered one's; the size
of a hand is the longer side of the box around its keypoints. What it missed goes into one sheet beside the frames.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

PALM = [0, 5, 9, 13, 17]
NEAR = 0.6


def render(folder: Path, count: int, seed: int) -> None:
    """Writes frames as PNG and what is known of their hands as frames.json."""
    from hoi_ros.hand.model import HandModel
    from training.data.synthetic.grasps import GraspGenerator
    from training.data.synthetic.rgb_scenes import RgbConfig
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
                'depth': float(sample.keypoints[:, 2].mean()),
            }
        )
    (folder / 'frames.json').write_text(json.dumps(known))
    print(f'{folder}: {count} frames')


def detect(folder: Path, confidence: float) -> None:
    """Prints how many of the frames' hands MediaPipe finds."""
    import mediapipe

    detector = mediapipe.solutions.hands.Hands(
        static_image_mode=True, max_num_hands=2, min_detection_confidence=confidence
    )
    known = json.loads((folder / 'frames.json').read_text())
    found, sides, errors, missed = [], [], [], []
    for index, one in enumerate(known):
        image = cv2.imread(str(folder / f'{index:04d}.png'))
        height, width = image.shape[:2]
        true = np.array(one['keypoints'])
        size = np.ptp(true, axis=0).max()
        result = detector.process(image[..., ::-1])
        hands = [
            np.array([[point.x * width, point.y * height] for point in hand.landmark])
            for hand in result.multi_hand_landmarks or ()
        ]
        gaps = [np.linalg.norm(hand[PALM].mean(0) - true[PALM].mean(0)) / size for hand in hands]
        found.append(bool(gaps) and min(gaps) < NEAR)
        if found[-1]:
            nearest = int(np.argmin(gaps))
            # MediaPipe names the sides as in a mirror.
            side = 'right' if result.multi_handedness[nearest].classification[0].label == 'Left' else 'left'
            sides.append(side == one['side'])
            errors.append(np.linalg.norm(hands[nearest] - true, axis=1).mean() / size)
        else:
            cv2.polylines(image, [np.int32(true[[0, 5, 9, 13, 17, 0]])], True, (0, 255, 0), 1)
            cv2.putText(image, f'{index} {one["held"] or ""}', (5, 25), 0, 0.8, (0, 0, 255), 2)
            missed.append(cv2.resize(image, (320, 240)))
    found = np.array(found)
    held = np.array([one['held'] is not None for one in known])
    sizes = np.array([np.ptp(np.array(one['keypoints']), axis=0).max() for one in known])
    print(
        f'found {found.mean():.1%} of {len(found)}; right side {np.mean(sides):.1%}; '
        f'median keypoint error {np.median(errors):.3f} hand sizes'
    )
    for name, chosen in (
        ('holding', held),
        ('free', ~held),
        ('under 80 px', sizes < 80),
        ('80 to 160 px', (sizes >= 80) & (sizes < 160)),
        ('over 160 px', sizes >= 160),
    ):
        if chosen.any():
            print(f'  {name}: {found[chosen].mean():.1%} of {chosen.sum()}')
    (folder / 'found.json').write_text(json.dumps(found.tolist()))
    if missed:
        blank = np.zeros_like(missed[0])
        missed += [blank] * (-len(missed) % 6)
        cv2.imwrite(
            str(folder / 'missed.png'),
            np.vstack([np.hstack(missed[start : start + 6]) for start in range(0, len(missed), 6)]),
        )


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
