# SPDX-License-Identifier: Apache-2.0
"""`reconstruction` on a real video of one hand: how often it is found, on which side, and how its joints lie."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.playback.overlay import draw_hands
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.evaluation.metrics import evaluate_joints


@dataclasses.dataclass(frozen=True)
class RgbVideoEvaluation:
    """Follows the hand of a video, frame after frame, and compares its joints with published ones."""

    video: Path
    joints: Path | None = None
    """.npy of (frames, 21, 3), any scale and frame of reference: another method's result."""
    side: str = 'right'
    """The hand that is seen."""
    focal: float = 0.9
    """Focal length of the unknown camera, as a share of the image's width."""
    models: Path = Path('models')
    pictures: int = 12
    """Overlays to write, spread over the video."""
    out: Path = Path('out/rgb_video')


def evaluate(config: RgbVideoEvaluation) -> dict[str, float]:
    """Prints and returns the shares (percent) of frames in which a hand is found, on its side, and said to hold
    something, and the joint error after similarity alignment (mm)."""
    import imageio.v2 as imageio  # reads videos, and nothing else here does

    stage = ReconstructionStage(config.models)
    reader = imageio.get_reader(config.video)
    count = reader.count_frames()
    published = np.load(config.joints) if config.joints else None
    if published is not None and len(published) != count:
        raise SystemExit(
            f'{config.joints} holds {len(published)} frames, {config.video} {count}: they do not belong together'
        )
    wanted = set(np.linspace(0, count - 1, config.pictures).round().astype(int).tolist())
    faces = {side: stage.hand_model(side).faces for side in ('right', 'left')}
    config.out.mkdir(parents=True, exist_ok=True)
    found, sided, holding, others = 0, 0, 0, 0
    compared: list[tuple[np.ndarray, np.ndarray]] = []
    for number, image in enumerate(tqdm(reader, total=count, unit='frame', mininterval=5)):
        height, width = image.shape[:2]
        camera = Pinhole(width, height, config.focal * width, config.focal * width, (width - 1) / 2, (height - 1) / 2)
        hands = stage(np.ascontiguousarray(image), camera, number / 30)
        found += bool(hands)
        sided += any(hand.side == config.side for hand in hands)
        holding += any(hand.held is not None for hand in hands)
        others += max(len(hands) - 1, 0)
        best = max((hand for hand in hands if hand.side == config.side), key=lambda hand: hand.score, default=None)
        if best is not None and published is not None:
            compared.append((best.joints, published[number]))
        if number in wanted:
            cv2.imwrite(
                str(config.out / f'{number:04d}.png'),
                cv2.cvtColor(draw_hands(image, hands, camera, faces, stage.object_faces), cv2.COLOR_RGB2BGR),
            )
    figures = {
        'frames': count,
        'found_percent': 100 * found / count,
        'side_percent': 100 * sided / count,
        'holding_percent': 100 * holding / count,
        'more_hands': others,
    }
    if compared:
        figures['joint_error_similarity_mm'] = evaluate_joints(*map(np.array, zip(*compared))).similarity_mm
    for name, value in figures.items():
        print(f'{name:28} {value:.4g}')
    return figures
