# SPDX-License-Identifier: Apache-2.0
"""Patches of false proposals: reproducible, not empty, away from hands."""

import numpy as np
import pytest

from hoi_ros.stages.parts.hand_finder import FoundHand
from training.data.synthetic.depth_crops import augment
from training.data.synthetic.depth_crops import CropAugmentation
from training.recipes import mistaken_patches
from training.recipes.mistaken_patches import MistakenPatches


@pytest.fixture(scope='module')
def stream() -> MistakenPatches:
    return MistakenPatches(seed=4, split='validation')


def test_the_same_index_gives_the_same_patch(stream: MistakenPatches) -> None:
    again = MistakenPatches(seed=4, split='validation')
    assert [stream[index].tobytes() for index in (2, 3)] == [again[index].tobytes() for index in (2, 3)]
    assert stream[2].tobytes() != stream[3].tobytes() != MistakenPatches(seed=5, split='validation')[3].tobytes()


def test_something_is_there_and_it_is_no_hand(stream: MistakenPatches) -> None:
    records = np.stack([stream[index] for index in range(12)])
    assert not records['hand'].any() and not records['keypoints'].any()
    seen = [(augment(record, CropAugmentation(), None)[0] < 1).mean() for record in records]
    assert np.median(seen) > 0.05


def test_what_lies_at_a_hand_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, shown = MistakenPatches(seed=4, split='validation'), []
    original = mistaken_patches.small_frame
    monkeypatch.setattr(mistaken_patches, 'small_frame', lambda scene, rng: shown.append(scene) or original(scene, rng))

    def finder(*_: object) -> list[FoundHand]:
        places = [hand.centre for hand in shown[-1].hands]
        apart = [place + [0, 0, 0.5] for place in places[:1]]
        return [FoundHand(place, 0.9) for place in [*(place + [0.05, 0, 0] for place in places), *apart]]

    monkeypatch.setattr(stream, '_finder', finder)
    for index in range(6):
        record = stream[index]
        np.testing.assert_allclose(record['centre'], shown[-1].hands[0].centre + [0, 0, 0.5], atol=1e-6)
