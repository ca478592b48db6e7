# SPDX-License-Identifier: Apache-2.0
"""Tracked pairs of hands: fitted with one shape a recording, in the frame of the left wrist, thinned and sorted out."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.pair import HandParameters
from hoi_ros.hand.pair import parameters_of
from training.data.public.dataset_files import DatasetError
from training.data.public.pair_records import PairRecords
from training.data.real.two_hand_tracks import TwoHandTracks

MIRROR = np.array([-1.0, 1.0, 1.0])
APART, NEARER, INSIDE, FAR = 0.15, 0.13, 0.03, 0.4
"""Distances of two hands whose palms face each other, metres."""
RECORDINGS = {
    'confidence-74fps': (APART, APART, NEARER, INSIDE, FAR),
    'flapping': (APART,),
    'confidence2': (NEARER,),
    'three-claps': (APART, INSIDE),
}


def scene(distance: float) -> HandParameters:
    """A right hand of bent fingers whose palm faces that of its mirror image, x → −x, across a distance."""
    hand = HandModel.load()
    angles = np.zeros((16, 3))
    angles[1:, 0] = 0.02 + distance
    pose = hand.pose_of(angles).copy()
    # Fingers point away from the person (−z), the thumb up (y), and the palm to the left (−x).
    turn = Rotation.from_matrix(np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], float))
    pose[:3] = turn.as_rotvec()
    shape = np.zeros(10)
    shape[:2] = 0.8, -0.5
    parts = pose, shape, np.array([distance / 2, 0.2, 0])
    return HandParameters(*(part.astype(np.float32) for part in parts))


def tracked(distance: float) -> np.ndarray:
    """(2, 24, 3) points of the scene as the tracker writes them."""
    hand, right = HandModel.load(), scene(distance)
    posed = hand.forward(*right)
    turn = posed.transforms[0, :3, :3]
    rest = hand.joints.astype(float)
    along, normal = rest[4] - rest[0], np.cross(rest[1] - rest[7], rest[4] - rest[0])
    palm = np.array([posed.keypoints[[5, 17]].mean(0) * 1000, turn @ normal, turn @ along, np.full(3, np.nan)])
    palm[1:3] /= np.linalg.norm(palm[1:3], axis=1, keepdims=True)
    points = np.concatenate([palm, posed.keypoints[1:] * 1000])
    return np.stack([points * MIRROR, points])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    arrays = {name: np.stack([tracked(distance) for distance in those]) for name, those in RECORDINGS.items()}
    one = arrays['confidence-74fps'][:1].copy()
    one[:, 1] = np.nan
    arrays['confidence-74fps'] = np.concatenate([one, arrays['confidence-74fps']]).astype(np.float32)
    arrays['three-claps'][0, 0, 7] = np.nan
    np.savez(tmp_path / 'leap_tracks.npz', **arrays)
    return tmp_path / 'leap_tracks.npz'


def test_the_hands_are_where_the_tracker_saw_them(file: Path) -> None:
    tracks = TwoHandTracks(file, 'test')
    assert len(tracks) == 2 and tracks.frames == [('three-claps', 0), ('three-claps', 1)]
    assert max(tracks.residuals['three-claps']) < 0.001
    maker = PairRecords(HandModel.load())
    for record, distance in zip(tracks, RECORDINGS['three-claps'], strict=False):
        right = scene(distance)
        left = HandParameters(right.pose * np.tile([1, -1, -1], 16), right.shape, right.translation * MIRROR)
        truth = maker.pair(right, left, 0)
        for side, hand in (('right', maker.right), ('left', maker.left)):
            seen, true = (hand.forward(*parameters_of(hand, pair[side])).keypoints for pair in (record, truth))
            # The tip that is missing may be anywhere.
            known = np.arange(21) != (4 if side == 'left' and distance == APART else -1)
            assert np.linalg.norm(seen - true, axis=1)[known].max() < 1e-4
        np.testing.assert_allclose(record['left'][55:], [1, 0, 0, 0, 1, 0, 0, 0, 0], atol=1e-6)
    shapes = tracks.records['right'][:, 45:55]
    np.testing.assert_array_equal(shapes[0], shapes[1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(tracks))[1], tracks[1])


def test_far_repeated_and_intersecting_frames_do_not_train(file: Path) -> None:
    train, test = TwoHandTracks(file, 'train'), TwoHandTracks(file, 'test')
    assert train.frames == [('confidence-74fps', 1), ('confidence-74fps', 3), ('flapping', 0)]
    assert train.records['index'].tolist() == [0, 1, 2] and train.records['penetration'].max() <= 0.005
    assert test.records['penetration'].max() > 0.01 and test.records['gap'][0] > 0.01
    with pytest.raises(IndexError, match='there are 3'):
        train[3]


def lonely(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    arrays['three-claps'][:, 0] = np.nan
    np.savez(path, **arrays)


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, 'no such file'),
    (lambda path: path.write_bytes(path.read_bytes()[:900]), 'not a readable .npz'),
    (lambda path: np.savez(path, flapping=np.zeros((1, 2, 24, 3))), 'lacks three-claps, has flapping'),
    (lambda path: np.savez(path, **{'three-claps': np.zeros((5, 23, 3))}), r'has shape \(5, 23, 3\)'),
    (lonely, 'three-claps has 2 frames, 0 of them with both palms'),
]


@pytest.mark.parametrize(('spoil', 'message'), FAULTS, ids=[message for _, message in FAULTS])
def test_a_fault_names_the_file_and_the_mend(file: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(file)
    with pytest.raises(DatasetError, match=f'{message}.*Give two_hands/leap_tracks.npz') as raised:
        TwoHandTracks(file, 'test')
    assert str(raised.value).startswith(str(file))
