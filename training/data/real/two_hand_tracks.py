# SPDX-License-Identifier: Apache-2.0
"""Two real hands that a Leap Motion tracked, fitted with the hand model: records of `two_hand_prior`.

The file `two_hands/leap_tracks.npz` of the project's data has an array a recording, of those of
https://github.com/leapmotion/leapjs-playback (Apache-2.0):

    three-claps (403, 2, 24, 3)     frames; left, right; points; x right, y up, z towards the person; millimetres

The points are the palm, its normal and its direction (unit vectors), the wrist (unknown), then the fingers from thumb
to little, base to tip, in the order of `KEYPOINT_NAMES`. What was not seen is NaN. Four recordings show both hands:
`three-claps` claps throughout and is for tests; in the others hands lie side by side, cross or clap now and then.

The tracker's skeleton is rigid but for its finger joints. So a hand has one shape a recording, the mean of fits to some
frames, and all frames are fitted with it. The wrist, which the hand model needs, follows from the palm's axes: it lies
where the model has it, seen from the knuckles and scaled by the width of the palm. The palm's own place is rigid to the
knuckles and adds nothing. Fitted joints are 2.3 to 3.1 mm from the tracked ones in the mean of a recording, most at
the base of the thumb.

A record is a frame in which joints of both hands are within NEAR, and that differs by CHANGED from all records before
it. The tracker does not know that hands are solid: in `three-claps` two fifths of the records intersect, by 6.7 mm in
the median and 17.5 mm at most. Training and validation take those that intersect by PENETRATION at most, the test all.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from hoi_ros.hand.annotated import TIP_PLACES
from hoi_ros.hand.annotated import with_tips
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.pair import HandParameters
from training.data.public import dataset_files
from training.data.public.pair_records import PairRecords
from training.data.synthetic.two_hands.records import PAIR_DTYPE

SPLITS = {
    'train': ('confidence-74fps', 'flapping'),
    'validation': ('confidence2',),
    'test': ('three-claps',),
}
"""The recordings of each split."""
NEAR = 0.1
"""Greatest distance between the nearest joints of two hands that interact, metres."""
CHANGED = 0.005
"""Least distance that one joint has moved, seen from the left palm, in a frame that is not thinned out, metres."""
PENETRATION = 0.005
"""Greatest penetration of the pairs that train, metres."""

_LEFT, _RIGHT = 0, 1
_PALM, _NORMAL, _DIRECTION, _JOINTS = 0, 1, 2, slice(4, 24)
_BASES = slice(4, 24, 4)
"""The points on the palm: the bases of the five fingers."""
_KNUCKLES = [5, 9, 13, 17]
_MODEL_KNUCKLES = [1, 4, 10, 7]
"""The four knuckles among the 21 keypoints and among the 16 joints of the hand model, index to little."""
_SHAPED = 12
"""Frames that give the shape of a hand."""
_STEPS = 30
_MILLIMETRE = 0.001
_FLIP = np.array([-1.0, 1.0, 1.0])
_MEND = 'Give two_hands/leap_tracks.npz of the data of the project'


@dataclasses.dataclass(frozen=True)
class TrackedPairs:
    """Both hands in some frames of a recording.

    Attributes:
        frames: (N,) their numbers in the recording.
        right, left: (N,) hands, metres, in the axes of the tracker.
        residuals: mean distance of the fitted joints of the right and of the left hand from the tracked ones, metres.
    """

    frames: np.ndarray
    right: list[HandParameters]
    left: list[HandParameters]
    residuals: tuple[float, float]


class TwoHandTracks:
    """The tracked pairs of a split: a stream of records of PAIR_DTYPE. It is fitted when it is made, in about 10 s.

    Args:
        file: leap_tracks.npz.
        split: one of SPLITS.
        hand: the right hand of the model that is fitted; the installed one by default.

    Attributes:
        dtype: PAIR_DTYPE.
        records: (N,) all records.
        frames: (N,) the recording and the frame of each.
        residuals: those of `TrackedPairs` by recording.

    Raises:
        DatasetError: the file is missing or damaged, lacks a recording, or has no two hands near each other in one.
    """

    def __init__(self, file: str | Path, split: str = 'train', hand: HandModel | None = None) -> None:
        dataset_files.require_choice('split of the tracks', split, tuple(SPLITS))
        maker = PairRecords(hand or HandModel.load())
        self.dtype = PAIR_DTYPE
        self.residuals: dict[str, tuple[float, float]] = {}
        made, frames = [], []
        for name in SPLITS[split]:
            pairs = fit_pairs(read_tracks(Path(file), name), maker.right)
            self.residuals[name] = pairs.residuals
            for number, right, left in zip(pairs.frames.tolist(), pairs.right, pairs.left, strict=True):
                record = maker.pair(right, left, len(made))
                if split == 'test' or record['penetration'] <= PENETRATION:
                    made.append(record)
                    frames.append((name, number))
        if not made:
            raise dataset_files.DatasetError(f'{file}: all pairs of the split {split} intersect. {_MEND}')
        self.records, self.frames = np.array(made, PAIR_DTYPE), frames

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> np.ndarray:
        """One record.

        Raises:
            IndexError: no such record.
        """
        return self.records[dataset_files.sample_number(index, len(self))]


def read_tracks(file: Path, name: str) -> np.ndarray:
    """(N, 2, 24, 3) points of a recording in the frames in which two hands are near each other, NaN elsewhere, metres.

    Args:
        file: leap_tracks.npz.
        name: of the recording.

    Raises:
        DatasetError: the file is missing or damaged, lacks the recording, or shows no two hands that are near.
    """
    points = dataset_files.numbers(dataset_files.read_arrays(file, _MEND), name, (-1, 2, 24, 3), file, _MEND)
    points[:, :, [_PALM, *range(3, 24)]] *= _MILLIMETRE
    palms = np.concatenate([points[:, :, :3], points[:, :, _BASES]], 2)
    seen = np.isfinite(palms).all((1, 2, 3))
    joints = np.where(seen[:, None, None, None], points[:, :, _JOINTS], np.nan)
    gaps = np.linalg.norm(joints[:, _LEFT, :, None] - joints[:, _RIGHT, None], axis=-1)
    near = np.nan_to_num(gaps, nan=np.inf).min((1, 2)) <= NEAR
    if not near.any():
        raise dataset_files.DatasetError(
            f'{file}: {name} has {len(points)} frames, {int(seen.sum())} of them with both palms, none with hands '
            f'within {NEAR} m. {_MEND}'
        )
    points[~near] = np.nan
    return points


def fit_pairs(points: np.ndarray, right: HandModel) -> TrackedPairs:
    """Fits both hands in the frames of a recording that differ.

    Args:
        points: (F, 2, 24, 3) as of `read_tracks`.
        right: the right hand of the model.
    """
    frames = _distinct(points)
    rights, right_residual = _fit_hand(points[frames, _RIGHT], right)
    flipped, left_residual = _fit_hand(points[frames, _LEFT] * _FLIP, right)
    lefts = [
        HandParameters(mirror_pose(hand.pose), hand.shape, (hand.translation * _FLIP).astype(np.float32))
        for hand in flipped
    ]
    return TrackedPairs(frames, rights, lefts, (right_residual, left_residual))


def _distinct(points: np.ndarray) -> np.ndarray:
    """(N,) numbers of the frames of two hands, without those that repeat an earlier one."""
    frames = np.flatnonzero(np.isfinite(points[:, :, _PALM]).all((1, 2)))
    shown = points[frames]
    joints = shown[:, :, _JOINTS].reshape(len(frames), -1, 3)
    own = np.nan_to_num((joints - shown[:, _LEFT, _PALM, None]) @ _palm_axes(shown[:, _LEFT]))
    kept: list[int] = []
    for row, place in enumerate(own):
        if (np.linalg.norm(own[kept] - place, axis=-1).max(1) >= CHANGED).all():
            kept.append(row)
    return frames[kept]


def _fit_hand(points: np.ndarray, right: HandModel) -> tuple[list[HandParameters], float]:
    """The right hands of points (N, 24, 3), all of one shape, and their mean residual, metres."""
    keypoints, weights = _keypoints(points, right)
    some = np.unique(np.linspace(0, len(points) - 1, _SHAPED).astype(int))
    tries = []
    for place in TIP_PLACES:
        model = with_tips(right, place)
        tries.append((model, _fits(model, keypoints[some], weights[some])))
    model, fits = min(tries, key=lambda tried: np.mean([fit.residual for fit in tried[1]]))
    shape = np.mean([fit.shape for fit in fits], 0)
    fits = _fits(_of_shape(model, shape), keypoints, weights)
    off = np.linalg.norm(np.stack([fit.keypoints for fit in fits]) - keypoints, axis=-1)[:, 1:]
    return [HandParameters(fit.pose, shape, fit.translation) for fit in fits], float(off[weights[:, 1:] > 0].mean())


def _fits(model: HandModel, keypoints: np.ndarray, weights: np.ndarray) -> list[HandFit]:
    fitter = HandFitter(model)
    return [fitter.fit(*given, steps=_STEPS) for given in zip(keypoints, weights, strict=True)]


def _keypoints(points: np.ndarray, right: HandModel) -> tuple[np.ndarray, np.ndarray]:
    """(N, 21, 3) keypoints, with the wrist, of a right hand's points (N, 24, 3), and (N, 21) weights: 0 unseen, 1."""
    keypoints = np.concatenate([np.zeros((len(points), 1, 3)), points[:, _JOINTS]], 1)
    knuckles, rest = keypoints[:, _KNUCKLES], right.joints.astype(float)
    along, across = rest[4] - rest[0], rest[1] - rest[7]
    normal = np.cross(across, along)
    axes = _palm_axes(np.stack([rest[0], normal / np.linalg.norm(normal), along / np.linalg.norm(along)])[None])[0]
    from_knuckles = (rest[0] - rest[_MODEL_KNUCKLES].mean(0)) @ axes
    scale = np.linalg.norm(knuckles[:, 0] - knuckles[:, -1], axis=-1) / np.linalg.norm(across)
    keypoints[:, 0] = knuckles.mean(1) + scale[:, None] * (_palm_axes(points) @ from_knuckles)
    seen = np.isfinite(keypoints).all(-1)
    return np.where(seen[..., None], keypoints, 0), seen.astype(float)


def _palm_axes(points: np.ndarray) -> np.ndarray:
    """(N, 3, 3) axes of palms, as columns: across, along the fingers, out of the palm."""
    normal, direction = points[:, _NORMAL], points[:, _DIRECTION]
    return np.stack([np.cross(direction, normal), direction, normal], -1)


def _of_shape(model: HandModel, shape: np.ndarray) -> HandModel:
    """The hand that always has a shape (10,)."""
    joints, tips = (
        (at_rest + basis @ shape).astype(np.float32)
        for at_rest, basis in ((model.joints, model.joint_shape_basis), (model.tips, model.tip_shape_basis))
    )
    still = np.zeros_like(model.joint_shape_basis), np.zeros_like(model.tip_shape_basis)
    return dataclasses.replace(model, joints=joints, tips=tips, joint_shape_basis=still[0], tip_shape_basis=still[1])
