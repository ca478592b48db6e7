# SPDX-License-Identifier: Apache-2.0
"""Poses of the fingers: tracked and named ones of real hands, gestures, and random ones within the joint limits.

`realsense_tracks.npz` (Apache-2.0) holds right hands that an SR300 tracked, as the orientations of 17 bones;
`quest_poses.json` (MIT) holds named poses of both sides as 25 WebXR joints. Both are fitted to the hand model once.
Validation and test have poses that training does not see: blocks of consecutive frames, and names.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.articulation import FINGERS
from hoi_ros.hand.articulation import JOINTS
from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.poses import GESTURES
from hoi_ros.hand.poses import joint_angles
from hoi_ros.hand.poses import sample_angles
from training.data.synthetic.two_hands.clearance import FingerClearance

POSTURES = GESTURES | {
    'prayer': (
        (-0.3, 0.03, 0.03, 0.03, 0.03),
        (-0.3, 0.02, 0.02, 0.02, 0.02),
        (0, 0.02, 0.02, 0.02, 0.02),
        (-1, -0.4, 0, 0.3, 0.7),
    ),
    'fan': ((-0.6, -0.05, -0.05, -0.05, -0.05), (-0.4, 0, 0, 0, 0), (0, 0, 0, 0, 0), (-0.9, 0.6, 0.1, -0.4, -0.7)),
    'clasp': (
        (0.1, 0.3, 0.33, 0.36, 0.38),
        (0.1, 0.3, 0.3, 0.3, 0.3),
        (0.1, 0.25, 0.25, 0.25, 0.25),
        (-0.1, -0.1, 0, 0.1, 0.2),
    ),
    'interlaced': (
        (-0.2, 0.3, 0.3, 0.3, 0.3),
        (0, 0.15, 0.15, 0.15, 0.15),
        (0, 0.1, 0.1, 0.1, 0.1),
        (-0.5, 0.9, 0.25, -0.4, -1),
    ),
    'cup': (
        (-0.1, 0.2, 0.22, 0.24, 0.24),
        (0, 0.15, 0.15, 0.15, 0.15),
        (0, 0.1, 0.1, 0.1, 0.1),
        (-0.9, -0.2, 0, 0.2, 0.4),
    ),
}
"""Shares of the named postures: the gestures, and some for hands that meet."""
HAND_POSES = Path('../shared/data/hand_poses')
"""Folder of both files."""
_FILES = 'realsense_tracks.npz', 'quest_poses.json'
SPLITS = ('train', 'validation', 'test')
_TURN = 8
"""Of this many blocks or names, the last but one is for validation and the last for test."""
_BLOCK, _STRIDE = 73, 4
"""Consecutive frames of a block, and every how many frames one is taken."""
_MARGIN = 12
"""Frames at the ends of a held-out block that no split takes: the hand moves on slowly."""
_TRACKED_FINGERS = np.arange(2, 17).reshape(5, 3)
"""Rows of the finger bones in a track, thumb to little; row 1 is the palm."""
_TRACKED_AXES = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
"""From the palm of a track (x to the thumb, z along the fingers, −y out of the palm) to that of the hand model."""
_WEBXR = 25
"""Joints of a complete named pose."""
_KEYPOINTS = np.array([0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24])
"""The 21 keypoints among the 25 WebXR joints."""


class PostureLibrary:
    """Draws finger angles (5, 3, 3): flexion, abduction and twist of each joint, thumb to little, radians.

    Args:
        model: a right hand.
        split: 'train', 'validation' or 'test'.
        folder: of the files; None draws from gestures and joint limits only.

    Raises:
        KeyError: no such split.
        FileNotFoundError: the folder lacks a file.

    Attributes:
        real: (N, 5, 3, 3) fitted poses of the split.
        sources: (N,) where each is from: the frame of a track, or −1 − the number of a named pose.
    """

    def __init__(self, model: HandModel, split: str, folder: Path | None = HAND_POSES) -> None:
        if split not in SPLITS:
            raise KeyError(f'{split}: the splits are {", ".join(SPLITS)}')
        self._model = model
        self._gestures = {name: joint_angles(model, np.array(shares))[JOINTS] for name, shares in POSTURES.items()}
        none = np.zeros((0, 21, 3)), np.zeros(0, int)
        keypoints, self.sources = none if folder is None else _real(model, split, folder)
        fitter = HandFitter(model)
        self._hand, self._clearance = fitter.articulation, FingerClearance()
        self.real = np.array([self._hand.angles_of(fitter.fit(one).pose) for one in keypoints])
        self.real = self.real.reshape(-1, 5, 3, 3)

    def draw(self, posture: str, rng: np.random.Generator) -> np.ndarray:
        """Draws a posture.

        Args:
            posture: names of POSTURES, or 'any', with '+' between them; a mixture of two of them is drawn.
            rng: of the sample.
        """
        if posture == 'any':
            angles = self._any(rng)
        else:
            names = posture.split('+')
            first, second = (self._named(str(rng.choice(names)), rng) for _ in range(2))
            angles = first + rng.random() * (second - first)
            angles = angles + rng.beta(0.7, 4) * (self._any(rng) - angles)
        noise = rng.normal(0, [0.06, 0.03, 0.015], (5, 3, 3))
        return self._clearance.relaxed(self._hand, np.clip(angles + noise, self._hand.low, self._hand.high))

    def _named(self, name: str, rng: np.random.Generator) -> np.ndarray:
        return self._any(rng) if name == 'any' else self._gestures[name]

    def _any(self, rng: np.random.Generator) -> np.ndarray:
        if len(self.real) and rng.random() < 0.7:
            first, second = self.real[rng.integers(len(self.real), size=2)]
            return first + (rng.random() if rng.random() < 0.5 else 0.0) * (second - first)
        return sample_angles(self._model, rng)[JOINTS]

    @staticmethod
    def key(folder: Path | None) -> str:
        """What samples with these poses depend on: the sizes of the files; '' without them."""
        if folder is None or not all((folder / name).is_file() for name in _FILES):
            return ''
        return ' '.join(f'{name} {(folder / name).stat().st_size}' for name in _FILES)

    @staticmethod
    def files(folder: Path) -> list[Path]:
        """The files of a folder."""
        return [folder / name for name in _FILES]


def postures_of(model: HandModel, split: str, folder: Path | None) -> PostureLibrary | None:
    """The postures of a split of the scenes, for hands that hold nothing; None without the folder."""
    if folder is None:
        return None
    return PostureLibrary(model, 'test' if split == 'held_out' else split, folder)


def _real(model: HandModel, split: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, 21, 3) of the split's poses as right hands, metres, and their sources (N,)."""
    tracks, named = (folder / name for name in _FILES)
    for path in (tracks, named):
        if not path.is_file():
            raise FileNotFoundError(
                f'{path}: the tracked and named hand poses are missing; name their folder (--poses), or '
                'pass poses=None (--poses None) to draw from gestures and the joint limits only'
            )
    with np.load(tracks) as file:
        bones = file['bones']
    frames = np.arange(0, len(bones), _STRIDE)
    block, within = np.divmod(frames, _BLOCK)
    owner = _owner(block)
    inside = (within >= _MARGIN) & (within < _BLOCK - _MARGIN)
    frames = frames[(owner == SPLITS.index(split)) & ((owner == 0) | inside)]
    poses = json.loads(named.read_text())
    numbers, joints = [], []
    for side, sign in (('right', 1.0), ('left', -1.0)):
        for number in np.flatnonzero(_owner(np.arange(len(poses[side]))) == SPLITS.index(split)):
            points = np.array(poses[side][number]['joints_mm'], float)
            if len(points) == _WEBXR:
                numbers.append(-1 - number)
                joints.append(points[_KEYPOINTS] * [sign, 1, 1] / 1000)
    return np.concatenate([_of_tracks(model, bones[frames]), joints]), np.concatenate([frames, numbers])


def _owner(numbers: np.ndarray) -> np.ndarray:
    """The split of blocks or names."""
    turn: np.ndarray = numbers % _TURN
    return np.where(turn == _TURN - 2, 1, np.where(turn == _TURN - 1, 2, 0))


def _of_tracks(model: HandModel, bones: np.ndarray) -> np.ndarray:
    """(N, 21, 3) the model's own bones in the directions of tracked ones (N, 17, 7)."""
    turns = Rotation.from_quat(bones[..., 3:].reshape(-1, 4)).as_matrix().reshape(len(bones), 17, 3, 3)
    along = turns[:, 1, None].swapaxes(-1, -2) @ turns[:, _TRACKED_FINGERS.ravel(), :, 2:]
    along = (_TRACKED_AXES @ along)[..., 0].reshape(-1, 5, 3, 3)
    rest = np.concatenate([model.joints, model.tips]).astype(float)
    chains = rest[FINGERS]
    lengths = np.linalg.norm(np.diff(chains, axis=1), axis=-1, keepdims=True)
    points = np.empty((len(bones), 21, 3))
    points[:, 0] = rest[0]
    beyond = points[:, 1:].reshape(-1, 5, 4, 3)
    beyond[:, :, 0] = chains[:, 0]
    beyond[:, :, 1:] = chains[:, :1] + (along * lengths).cumsum(2)
    return points
