# SPDX-License-Identifier: Apache-2.0
"""Maps → hands, whatever the size of the image; the trained network itself is not asked here."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.stages.parts import hand_finder
from hoi_ros.stages.parts.hand_finder import decode
from hoi_ros.stages.parts.hand_finder import finder_input
from hoi_ros.stages.parts.hand_finder import HandFinder

CAMERA = Pinhole(160, 120, 140.0, 140.0, 79.5, 59.5)


def maps(*peaks: tuple[int, int, float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """heat (1, 30, 40) and place (3, 30, 40) with peaks of row, column, score, across, down and metres."""
    heat, place = np.full((1, 30, 40), 0.01, np.float32), np.zeros((3, 30, 40), np.float32)
    for row, column, score, across, down, metres in peaks:
        heat[0, row, column] = score
        place[:, row, column] = across, down, (metres - 0.7) * 2
    return heat, place


def test_a_peak_is_a_hand_at_its_place() -> None:
    heat, place = maps((10, 20, 0.8, 0.25, -0.5, 0.6))
    heat[0, 9:12, 19:22] = 0.7
    heat[0, 10, 20] = 0.8
    (hand,) = decode(heat, place, CAMERA, 2, 0.3)
    assert hand.score == pytest.approx(0.8)
    # The middle of the cell (20, 10) is the pixel (81.5, 41.5); a cell is four pixels wide.
    np.testing.assert_allclose(CAMERA.project(hand.centre), [82.5, 39.5], atol=1e-4)
    assert hand.centre[2] == pytest.approx(0.6)


def test_hands_come_in_order_of_their_scores_up_to_the_number_asked_for() -> None:
    peaks = maps((5, 5, 0.5, 0, 0, 0.6), (25, 35, 0.9, 0, 0, 0.6), (15, 20, 0.7, 0, 0, 0.6), (5, 35, 0.29, 0, 0, 0.6))
    assert [hand.score for hand in decode(*peaks, CAMERA, 9, 0.3)] == pytest.approx([0.9, 0.7, 0.5])
    assert [hand.score for hand in decode(*peaks, CAMERA, 2, 0.3)] == pytest.approx([0.9, 0.7])
    assert decode(*peaks, CAMERA, 2, 0.95) == []


def test_two_peaks_on_one_hand_are_one_hand() -> None:
    beside = maps((10, 20, 0.8, 0, 0, 0.6), (10, 23, 0.9, 0, 0, 0.6))
    (hand,) = decode(*beside, CAMERA, 2, 0.3)
    assert hand.score == pytest.approx(0.9)
    behind = maps((10, 20, 0.8, 0, 0, 0.9), (10, 23, 0.9, 0, 0, 0.6))
    assert len(decode(*behind, CAMERA, 2, 0.3)) == 2
    plateau = maps((10, 20, 0.8, 0.5, 0, 0.6), (10, 21, 0.8, -0.5, 0, 0.6))
    assert len(decode(*plateau, CAMERA, 2, 0.3)) == 1


def test_known_hands_take_no_place_among_the_most() -> None:
    peaks = maps((5, 5, 0.5, 0, 0, 0.6), (25, 35, 0.9, 0, 0, 0.6), (15, 20, 0.7, 0, 0, 0.6))
    first, second, third = decode(*peaks, CAMERA, 9, 0.3)
    others = decode(*peaks, CAMERA, 2, 0.3, [first.centre + 0.03])
    assert [hand.score for hand in others] == [second.score, third.score]


@pytest.mark.parametrize(('said', 'taken'), [(-1.0, 0.12), (9.0, 2.5)])
def test_a_hand_is_never_in_the_camera_nor_beyond_its_range(said: float, taken: float) -> None:
    (hand,) = decode(*maps((10, 20, 0.8, 0, 0, said)), CAMERA, 2, 0.3)
    assert hand.centre[2] == pytest.approx(taken)


def test_the_networks_input_marks_what_is_no_depth() -> None:
    depth = np.array([[0.7, 1.2, 0.0], [np.nan, 0.05, 2.5]], np.float32)
    scaled, valid = finder_input(depth)
    np.testing.assert_array_equal(valid, [[1, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(scaled, [[0, 1, 2.6], [2.6, 2.6, 2.6]], atol=1e-6)
    assert finder_input(depth).dtype == np.float32


class NearestThing:
    """An engine that says that the middle of what is nearer than 0.5 m is a hand."""

    inputs = (SimpleNamespace(shape=(1, 2, 120, 160)),)

    def __call__(self, frame: np.ndarray) -> dict[str, np.ndarray]:
        assert frame.shape == (1, 2, 120, 160) and frame.dtype == np.float32
        scaled, valid = frame[0]
        rows, columns = np.nonzero((scaled < -0.4) & (valid == 1))
        across, down = (columns.mean() + 0.5) / 4 - 0.5, (rows.mean() + 0.5) / 4 - 0.5
        row, column = round(down), round(across)
        heat, place = maps((row, column, 0.9, across - column, down - row, 0.45))
        return {'heat': heat[None], 'place': place[None]}


@pytest.mark.parametrize(
    ('width', 'height', 'focal'),
    [(160, 120, 140.0), (640, 480, 590.0), (848, 480, 420.0), (1280, 720, 900.0), (320, 240, 280.0), (480, 640, 590.0)],
)
def test_images_of_any_size_are_searched(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int, focal: float
) -> None:
    monkeypatch.setattr(hand_finder, 'load_engine', lambda *_, **__: NearestThing())
    camera = Pinhole(width, height, focal, focal, width / 2 - 3.0, height / 2 + 5.0)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    for centre in (np.array([0.02, -0.04, 0.45]), np.array([-0.09, 0.07, 0.45])):
        points = camera.unproject(np.stack([columns, rows], -1), np.full((height, width), 0.45))
        depth = np.where(np.linalg.norm(points - centre, axis=-1) < 0.04, 0.45, 1.5).astype(np.float32)
        (hand,) = HandFinder(Path('models'))(depth, camera)
        np.testing.assert_allclose(hand.centre, centre, atol=0.003)
