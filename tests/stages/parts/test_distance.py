# SPDX-License-Identifier: Apache-2.0
"""The distance of a mesh from a depth image."""

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.parts.distance import NoHandThere
from hoi_ros.stages.parts.distance import shift_along_ray

CAMERA = Pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)


def test_a_wall_behind_the_hand_is_not_the_hand() -> None:
    model = HandModel.load()
    hand = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, 0.5], np.float32))
    wall = np.full((240, 320), 0.9, np.float32)
    anchor = hand.keypoints[9]
    # All vertices of the hand agree on the wall, but it is too far away to be the hand.
    with pytest.raises(
        NoHandThere, match='depth shows the surface 0.9. m away, where a hand of this size would be 0.5'
    ):
        shift_along_ray(hand.vertices, model.faces, anchor, wall, CAMERA)
    assert shift_along_ray(hand.vertices, model.faces, anchor, np.zeros_like(wall), CAMERA) is None


@pytest.mark.parametrize(('observed', 'expected'), [(0.54, 0.54), (0.47, 0.47), (0.9, None), (0.25, None)])
def test_a_plane_moves_to_where_depth_shows_it(observed: float, expected: float | None) -> None:
    grid = np.linspace(-0.05, 0.05, 20)
    vertices = np.stack([*np.meshgrid(grid, grid), np.full((20, 20), 0.5)], -1).reshape(-1, 3)
    corner = (np.arange(19)[:, None] * 20 + np.arange(19)).ravel()
    faces = np.concatenate([corner[:, None] + [0, 20, 1], corner[:, None] + [1, 20, 21]])
    depth = np.full((240, 320), observed, np.float32)
    if expected is None:
        with pytest.raises(NoHandThere):
            shift_along_ray(vertices, faces, np.array([0, 0, 0.5]), depth, CAMERA)
    else:
        place = shift_along_ray(vertices, faces, np.array([0, 0, 0.5]), depth, CAMERA)
        np.testing.assert_allclose(place, [0, 0, expected], atol=1e-3)
    # A plane that faces away has no vertex to compare.
    assert shift_along_ray(vertices, faces[:, ::-1], np.array([0, 0, 0.5]), depth, CAMERA) is None
