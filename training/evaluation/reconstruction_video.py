# SPDX-License-Identifier: Apache-2.0
"""`reconstruction` on a real video of one hand: detection rate, side, and joints against published ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.drawing.hands import draw_hands
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.evaluation.figures import print_figures
from training.evaluation.figures import write_figures
from training.evaluation.metrics import evaluate_joints


@dataclasses.dataclass(frozen=True)
class ReconstructionVideoEvaluation:
    """Runs the stage on the frames of a video and compares the joints with published ones."""

    video: Path
    joints: Path | None = None
    """.npy of (frames, 21, 3) in any scale and frame of reference: the result of another method."""
    side: str = 'right'
    """Side of the hand in the video."""
    focal: float = 0.9
    """Focal length of the unknown camera, as a share of the image's width."""
    models: Path = Path('models')
    overlays: Path | None = None
    """Folder for overlay images."""
    overlay_count: int = 12
    """Overlay images, spread evenly over the video."""
    out: Path | None = None
    """JSON file for the figures."""


def evaluate(config: ReconstructionVideoEvaluation) -> dict[str, float]:
    """Prints and returns the shares (percent) of frames with a hand, with the right side, and with a held object, and
    the joint error after similarity alignment (mm)."""
    import imageio.v2 as imageio  # only this command reads videos

    for given in (config.video, config.joints):
        if given is not None and not given.is_file():
            raise FileNotFoundError(f'{given}: no such file')
    stage = ReconstructionStage(config.models)
    reader = imageio.get_reader(config.video)
    count = reader.count_frames()
    published = np.load(config.joints) if config.joints else None
    if published is not None and len(published) != count:
        raise SystemExit(
            f'{config.joints} holds {len(published)} frames, {config.video} {count}: expected the same number'
        )
    wanted = set(np.linspace(0, count - 1, config.overlay_count).round().astype(int).tolist())
    faces = {side: stage.hand_model(side).faces for side in ('right', 'left')}
    if config.overlays:
        config.overlays.mkdir(parents=True, exist_ok=True)
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
        if config.overlays and number in wanted:
            cv2.imwrite(
                str(config.overlays / f'{number:04d}.png'),
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
    print_figures(figures)
    write_figures(figures, config.out)
    return figures
