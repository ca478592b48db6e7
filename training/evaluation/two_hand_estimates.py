# SPDX-License-Identifier: Apache-2.0
"""Pairs of hands that `depth_pose` estimates in simulated frames of interacting hands, kept in a file.

Each hand is estimated by itself in its true box, as beside a detector of hands: the stage takes two hands in the same
place for one, so that it would report few pairs that touch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.depth_pose import DepthPoseStage
from training.data import sources
from training.data.record_file import read_records
from training.data.record_file import write_records
from training.data.synthetic.pair_frames import digest_of
from training.data.synthetic.pair_frames import PairFrames
from training.data.synthetic.scene_parts import SceneHand
from training.terminal import ProgressBar

ESTIMATE_DTYPE = np.dtype(
    [
        ('frame', np.int32),
        ('record', np.uint64),
        ('visible', np.float32, (2,)),
        ('found', np.bool_, (2,)),
        ('true_pose', np.float32, (2, 48)),
        ('true_shape', np.float32, (2, 10)),
        ('true_translation', np.float32, (2, 3)),
        ('pose', np.float32, (2, 48)),
        ('shape', np.float32, (2, 10)),
        ('translation', np.float32, (2, 3)),
        ('score', np.float32, (2,)),
        ('side_score', np.float32, (2,)),
        ('joint_scores', np.float32, (2, 21)),
    ]
)
"""A frame: the true right and left hand and the estimates of both, in the camera's frame; `record`, the digest of the
pair; `found`, whether the stage reports a hand of that side; `visible`, the share of each hand that is seen."""
SIDES = 'right', 'left'
_CODE = 'training.data.synthetic.pair_frames', 'hoi_ros.stages.depth_pose'
"""Modules that decide the estimates."""


class Hands(NamedTuple):
    """Joints (2, 21, 3) and vertices (2, V, 3) of a right and a left hand, metres."""

    joints: np.ndarray
    vertices: np.ndarray


def estimates_of(
    records: np.ndarray, cache: Path, models: Path = Path('models'), until: float = math.inf
) -> np.ndarray:
    """(N,) of ESTIMATE_DTYPE for records of pairs, from the cache as far as it goes.

    Args:
        records: (N,) of PAIR_DTYPE.
        cache: file that is written after every 16 frames; it belongs to these models, and to these records as far as
            they are the same.
        models: folder of the models of `depth_pose`.
        until: value of `time.monotonic()` after which no more are made: there may be fewer than records.
    """
    kept = hashlib.sha256((models / 'depth_pose' / 'card.yaml').read_bytes()).hexdigest() + sources.digest(_CODE)
    digests = np.array([digest_of(record) for record in records], np.uint64)
    done = read_records(cache, ESTIMATE_DTYPE, kept)
    same = done['record'][: len(records)] == digests[: len(done)]
    known = len(same) if same.all() else int(np.argmin(same))
    if known == len(records):
        return done[:known]
    frames, stage = PairFrames(records), DepthPoseStage(models, threads=1)
    stage.warm_up()
    rows = list(done[:known])
    with ProgressBar('depth_pose estimates pairs of hands') as bar:
        for number in range(len(rows), len(records)):
            if time.monotonic() >= until:
                break
            rows.append(_estimated(frames, number, stage))
            rows[-1]['record'] = digests[number]
            bar.show(len(rows) / len(records), f'{len(rows)}/{len(records)}')
            if len(rows) % 16 == 0:
                write_records(cache, np.array(rows, ESTIMATE_DTYPE), kept)
    made = np.array(rows, ESTIMATE_DTYPE)
    write_records(cache, made, kept)
    return made


def _estimated(frames: PairFrames, number: int, stage: DepthPoseStage) -> np.ndarray:
    frame = frames[number]
    row = np.zeros((), ESTIMATE_DTYPE)
    row['frame'], row['visible'] = number, frame.visible
    for place, truth in enumerate((frame.right, frame.left)):
        for name in ('pose', 'shape', 'translation'):
            row[f'true_{name}'][place] = getattr(truth, name)
        stage.reset()
        hands = stage(frame.depth, frame.camera, float(number), [box_of(truth, frame.camera)])
        hand = next((hand for hand in hands if hand.side == truth.side), None)
        if hand is not None:
            row['found'][place] = True
            for name in ('pose', 'shape', 'translation', 'score', 'side_score', 'joint_scores'):
                row[name][place] = getattr(hand, name)
    return row


def box_of(hand: SceneHand, camera: Pinhole) -> Region:
    """The box around a hand in the image."""
    pixels = camera.project(hand.vertices)
    low, high = pixels.min(0), pixels.max(0)
    return Region(*low.tolist(), *(high - low).tolist(), hand.side)


def estimated_hands(row: np.ndarray, models: tuple[HandModel, HandModel]) -> list[HandEstimate]:
    """The right and the left hand that the stage reported.

    Args:
        row: of ESTIMATE_DTYPE, with both found.
        models: right and left.
    """
    hands = []
    for place, model in enumerate(models):
        geometry = model.forward(row['pose'][place], row['shape'][place], row['translation'][place])
        hands.append(
            HandEstimate(
                side=model.side,
                track_id=place + 1,
                score=float(row['score'][place]),
                joints=geometry.keypoints,
                joint_scores=row['joint_scores'][place].copy(),
                pose=row['pose'][place].copy(),
                shape=row['shape'][place].copy(),
                translation=row['translation'][place].copy(),
                vertices=geometry.vertices,
                side_score=float(row['side_score'][place]),
            )
        )
    return hands


def true_hands(row: np.ndarray, models: tuple[HandModel, HandModel]) -> Hands:
    """The right and the left hand that are seen."""
    posed = [
        model.forward(row['true_pose'][place], row['true_shape'][place], row['true_translation'][place])
        for place, model in enumerate(models)
    ]
    return Hands(np.stack([one.keypoints for one in posed]), np.stack([one.vertices for one in posed]))


def shifted(hand: HandEstimate, by: np.ndarray) -> HandEstimate:
    """A hand that is elsewhere."""
    places = {name: (getattr(hand, name) + by).astype(np.float32) for name in ('joints', 'vertices', 'translation')}
    return dataclasses.replace(hand, **places)
