# SPDX-License-Identifier: Apache-2.0
"""Patches of false proposals: reproducible, not empty, away from hands."""

import numpy as np
import pytest

from hoi_ros.stages.parts.hand_finder import FoundHand
from training.data.synthetic.depth_crops import augment
from training.data.synthetic.depth_crops import CropAugmentation
from training.recipes import depth_pose_mistakes
from training.recipes.depth_pose_mistakes import MistakenPatches


@pytest.fixture(scope='module')
def stream() -> MistakenPatches:
    return MistakenPatches(seed=4, split='validation')


def test_the_same_index_gives_the_same_patch(stream: MistakenPatches) -> None:
    again = MistakenPatches(seed=4, split='validation')
    assert [stream[index].tobytes() for index in (2, 3)] == [again[index].tobytes() for index in (2, 3)]
    assert stream[2].tobytes() != stream[3].tobytes() != MistakenPatches(seed=5, split='validation')[3].tobytes()


def test_patches_are_labelled_as_non_hands_and_not_empty(stream: MistakenPatches) -> None:
    records = np.stack([stream[index] for index in range(12)])
    assert not records['hand'].any() and not records['keypoints'].any()
    filled = [(augment(record, CropAugmentation(), None)[0] < 1).mean() for record in records]
    assert np.median(filled) > 0.05


def test_proposals_at_hands_are_no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, shown = MistakenPatches(seed=4, split='validation'), []
    original = depth_pose_mistakes.small_frame
    monkeypatch.setattr(
        depth_pose_mistakes, 'small_frame', lambda scene, rng: shown.append(scene) or original(scene, rng)
    )

    def finder(*_: object) -> list[FoundHand]:
        places = [hand.centre for hand in shown[-1].hands]
        apart = [place + [0, 0, 0.5] for place in places[:1]]
        return [FoundHand(place, 0.9) for place in [*(place + [0.05, 0, 0] for place in places), *apart]]

    monkeypatch.setattr(stream, '_finder', finder)
    for index in range(6):
        record = stream[index]
        np.testing.assert_allclose(record['centre'], shown[-1].hands[0].centre + [0, 0, 0.5], atol=1e-6)
