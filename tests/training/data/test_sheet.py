# SPDX-License-Identifier: Apache-2.0
"""Sheets: tiles in rows, depth in colours, files that cannot be written."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.sheet import coloured_depth
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.sheet import write_text


def test_tiles_lie_in_rows_on_paper() -> None:
    tiles = [np.full((height, 4, 3), value, np.uint8) for height, value in ((3, 10), (5, 20), (5, 30))]
    sheet = rows_of(tiles, 2, paper=255)
    assert sheet.shape == (10, 8, 3) and sheet.dtype == np.uint8
    assert (sheet[:3, :4] == 10).all() and (sheet[3:5, :4] == 255).all()
    assert (sheet[:5, 4:] == 20).all() and (sheet[5:, :4] == 30).all() and (sheet[5:, 4:] == 255).all()


def test_near_depth_is_yellow_far_depth_violet_and_invalid_depth_black() -> None:
    near, far, invalid = coloured_depth(np.array([[0.3, 1.0, 0.0]]), 0.3, 1.0)[0].astype(int)
    assert near[0] > 200 and near[1] > 200 and near[2] < 100
    assert far[2] > far[1] and far[0] < 100
    assert not invalid.any()


def test_a_sheet_is_written_in_rgb_into_a_new_folder(tmp_path: Path) -> None:
    sheet = np.zeros((20, 60, 3), np.uint8)
    sheet[..., 0] = 200
    write_text(sheet, 'red', (4, 14), 0.4, (255, 255, 255))
    save_sheet(tmp_path / 'new' / 'sheet.png', sheet)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'new' / 'sheet.png'))[..., ::-1], sheet)
    assert (sheet[..., 1] > 0).any()


def test_an_unknown_image_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r'sheet\.txt: no image format'):
        save_sheet(tmp_path / 'sheet.txt', np.zeros((2, 2, 3), np.uint8))
