# SPDX-License-Identifier: Apache-2.0
"""The pictures of two-hand interactions show every kind, and unusable options are one line."""

from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import with_root
from training.data.synthetic.two_hands.interactions import INTERACTIONS
from training.data.synthetic.two_hands.preview import by_kind
from training.data.synthetic.two_hands.preview import main
from training.data.synthetic.two_hands.preview import PairPreviewConfig
from training.data.synthetic.two_hands.preview import statistics
from training.data.synthetic.two_hands.preview import surfaces_of
from training.data.synthetic.two_hands.records import PAIR_DTYPE


def test_the_pictures_have_a_row_for_every_kind_and_colour_what_touches() -> None:
    right = HandModel.load()
    models = right, right.mirrored()
    records = np.zeros(2, PAIR_DTYPE)
    facing = np.diag([1.0, -1.0, -1.0])  # the right hand upside down, its palm towards the left one's
    for record, apart in zip(records, (0.02, 0.15), strict=True):
        record['left'] = with_root(np.zeros(64, np.float32), np.eye(3), np.zeros(3))
        record['right'] = with_root(np.zeros(64, np.float32), facing, np.array([0, 0.18, apart]))
    records['gap'] = 0, 0.1
    records['kind'] = 0, len(INTERACTIONS) - 1
    pairs = [surfaces_of(models, record) for record in records]
    sheet = by_kind(models, records, pairs, 1)
    rows = sheet.reshape(len(INTERACTIONS), -1)
    assert sorted(np.argsort((rows < 250).sum(1))[-2:]) == [0, len(INTERACTIONS) - 1]
    figures = statistics(models, records, pairs).astype(int)
    red = (figures[..., 0] > 150) & (figures[..., 1] < 60)
    assert red[-250:].sum() > 100


def test_unusable_options_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match='error: --count is 0 and --shown 6, expected 1 or more'):
        main(PairPreviewConfig(count=0))
    with pytest.raises(SystemExit, match='error: .*realsense_tracks.npz: the tracked and named hand poses are missing'):
        main(PairPreviewConfig(poses=tmp_path))
