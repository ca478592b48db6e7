# SPDX-License-Identifier: Apache-2.0
"""Generated two-hand interactions: determinism, contact without penetration, joint limits, splits, mirrored pairs."""

import itertools
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand.articulation import JOINTS
from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import rotation_of
from hoi_ros.mesh.raycast import TriangleScene
from training.data.synthetic.two_hands.generator import DEEPEST
from training.data.synthetic.two_hands.generator import PairInteractions
from training.data.synthetic.two_hands.interactions import INTERACTIONS
from training.data.synthetic.two_hands.postures import PostureLibrary
from training.data.synthetic.two_hands.postures import SPLITS
from training.data.synthetic.two_hands.regions import surface_regions

DATA = Path(os.environ.get('HOI_DATA') or Path(__file__).parents[6] / 'shared/data') / 'hand_poses'
COUNT = 12


@pytest.fixture(scope='module')
def hands() -> dict[str, HandModel]:
    right = HandModel.load()
    return {'right': right, 'left': right.mirrored()}


@pytest.fixture(scope='module')
def stream() -> PairInteractions:
    return PairInteractions(seed=3, poses=None)


@pytest.fixture(scope='module')
def pairs(stream: PairInteractions) -> np.ndarray:
    return np.array([stream[index] for index in range(COUNT)])


def distance(first: np.ndarray, second: np.ndarray, second_faces: np.ndarray) -> float:
    """Least signed distance of vertices to a mesh, by Open3D's rays instead of the generator's measure."""
    scene = TriangleScene(second, second_faces)
    return float((scene.distances(first) * np.where(scene.inside(first), -1, 1)).min())


def gap_of(hands: dict[str, HandModel], right: np.ndarray, left: np.ndarray) -> float:
    """Least signed distance of the vertices of either hand to the other."""
    first, second = (
        hands[side].forward(*parameters_of(hands[side], vector)).vertices
        for side, vector in (('right', right), ('left', left))
    )
    return min(distance(first, second, hands['left'].faces), distance(second, first, hands['right'].faces))


def test_an_index_always_gives_the_same_pair(stream: PairInteractions, pairs: np.ndarray) -> None:
    again = pickle.loads(pickle.dumps(stream))
    assert again.dtype == pairs.dtype
    for index in (5, 0):
        np.testing.assert_array_equal(again[index], pairs[index])
    other = PairInteractions(seed=3, split='test', poses=None)[0]
    assert np.abs(other['right'] - pairs[0]['right']).max() > 0.01


def test_hands_touch_or_keep_apart_as_their_kind_says_and_hardly_penetrate(
    hands: dict[str, HandModel], pairs: np.ndarray
) -> None:
    assert len(set(pairs['kind'].tolist())) > COUNT // 3
    for pair in pairs:
        measured = gap_of(hands, pair['right'], pair['left'])
        assert measured >= -DEEPEST - 1e-4
        assert measured == pytest.approx(float(pair['gap'] - pair['penetration']), abs=2e-4)
        if INTERACTIONS[pair['kind']].touches:
            assert measured <= 0.004
        else:
            assert measured > 0


def test_the_left_hand_is_the_frame_and_joints_keep_their_limits(
    hands: dict[str, HandModel], pairs: np.ndarray
) -> None:
    np.testing.assert_allclose(rotation_of(pairs['left']), np.broadcast_to(np.eye(3), (COUNT, 3, 3)), atol=1e-6)
    np.testing.assert_allclose(pairs['left'][:, PLACE], 0, atol=1e-7)
    for side, model in hands.items():
        angles = model.anatomical(parameters_of(model, pairs[side]).pose)[:, JOINTS]
        low, high = np.moveaxis(model.limits[JOINTS], -1, 0)
        assert (angles > low - 1e-4).all()
        assert (angles < high + 1e-4).all()


def test_the_mirror_image_is_as_valid_a_pair(hands: dict[str, HandModel], pairs: np.ndarray) -> None:
    for pair in pairs[:6]:
        right, left = mirrored(pair['left']), mirrored(pair['right'])
        gap = gap_of(hands, about_anchor(right, left), anchored(left))
        assert gap == pytest.approx(float(pair['gap'] - pair['penetration']), abs=2e-4)


def test_the_surface_has_every_region_that_meets(hands: dict[str, HandModel]) -> None:
    regions = surface_regions(hands['right'])
    for kind in INTERACTIONS:
        for region, finger in itertools.product(itertools.chain(*kind.contacts), kind.fingers):
            for name in region.format(f=finger, g=finger).split('|'):
                assert len(regions[name]), name


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f'{DATA} is absent (set HOI_DATA)')
def test_no_two_splits_share_a_pose_of_a_real_hand(
    hands: dict[str, HandModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitter = HandFitter(hands['right'])
    kept = fitter.fit(fitter.articulation.posed(np.eye(3), np.zeros(3), np.zeros((5, 3, 3)), np.zeros(10)).keypoints)
    monkeypatch.setattr(HandFitter, 'fit', lambda *_: kept)  # 646 fits take seconds
    libraries = [PostureLibrary(hands['right'], split, DATA) for split in SPLITS]
    tracked = [library.sources[library.sources >= 0] for library in libraries]
    for first, second in itertools.combinations(range(3), 2):
        assert not set(libraries[first].sources) & set(libraries[second].sources)
        assert np.abs(tracked[first][:, None] - tracked[second]).min() > 10
    for library in libraries:
        assert len(library.real) > 50
        assert len(set(library.sources[library.sources < 0])) > 3


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f'{DATA} is absent (set HOI_DATA)')
def test_the_fitted_poses_of_real_hands_are_varied_and_within_the_limits(hands: dict[str, HandModel]) -> None:
    real = PostureLibrary(hands['right'], 'validation', DATA).real
    low, high = np.moveaxis(hands['right'].limits[JOINTS], -1, 0)
    assert ((real > low - 1e-4) & (real < high + 1e-4)).all()
    assert (real[:, 1:, :2, 0].std(0) > 0.3).all()


def test_missing_poses_are_named_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'realsense_tracks.npz: .* pass poses=None'):
        PairInteractions(poses=tmp_path)
    with pytest.raises(KeyError, match='train, validation, test'):
        PairInteractions(split='held_out', poses=None)
