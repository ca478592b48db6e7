# SPDX-License-Identifier: Apache-2.0
"""The distance of a mesh from a depth image."""

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.raycast import TriangleScene
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
    # Through holes on a hand without depth the wall is all that is left: that says nothing.
    holes = np.where(np.arange(240)[:, None] % 8 < 3, wall, 0).astype(np.float32)
    assert shift_along_ray(hand.vertices, model.faces, anchor, holes, CAMERA) is None


def test_a_tin_before_the_palm_is_not_the_palm() -> None:
    model = HandModel.load()
    hand = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, 0.5], np.float32))
    anchor = hand.keypoints[9]
    scene = TriangleScene(hand.vertices * 1.04, model.faces)
    columns, rows = np.meshgrid(np.arange(320.0), np.arange(240.0))
    rays = np.stack([(columns - 159.5) / 300, (rows - 119.5) / 300, np.ones_like(rows)], -1)
    depth = np.minimum(scene.cast(np.zeros(3), rays).reach, 0.9).astype(np.float32)
    middle = CAMERA.project(hand.keypoints[[0, 5, 9, 13, 17]]).mean(0)
    tin = np.hypot(columns - middle[0], rows - middle[1]) < 45
    depth[tin] = 0.44
    reach = np.linspace(-1, 1, 25) * 45 / 300 * 0.43
    centre = np.array([*(middle - [159.5, 119.5]) / 300 * 0.43, 0.43])
    held = np.stack([*np.meshgrid(reach, reach), np.zeros((25, 25))], -1).reshape(-1, 3) + centre
    hidden = shift_along_ray(hand.vertices, model.faces, anchor, depth, CAMERA)
    placed = shift_along_ray(hand.vertices, model.faces, anchor, depth, CAMERA, held)
    assert hidden is not None and placed is not None
    assert abs(hidden[2] / anchor[2] - 1.04) > 0.06 and abs(placed[2] / anchor[2] - 1.04) < 0.01


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


def test_a_hand_that_looks_further_away_than_it_is_is_found_where_depth_shows_it() -> None:
    model = HandModel.load()
    hand = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, 0.4], np.float32))
    columns, rows = np.meshgrid(np.arange(320.0), np.arange(240.0))
    rays = np.stack([(columns - 159.5) / 300, (rows - 119.5) / 300, np.ones_like(rows)], -1)
    reach = TriangleScene(hand.vertices, model.faces).cast(np.zeros(3), rays).reach
    anchor = hand.keypoints[9]
    # A box hides all but the fingertips and the wrist; the network has taken what is left for a hand further away.
    depth = np.minimum(reach, 1.4).astype(np.float32)
    middle = CAMERA.project(hand.keypoints).mean(0)
    depth[np.abs(rows - middle[1]) < 25] = 0.33
    away = 0.45 * anchor
    place = shift_along_ray(hand.vertices + away, model.faces, anchor + away, depth, CAMERA)
    assert place is not None and abs(place[2] - anchor[2]) < 0.02
    # Twice as far away it would be a doll's.
    with pytest.raises(NoHandThere):
        shift_along_ray(hand.vertices + 1.2 * anchor, model.faces, 2.2 * anchor, depth, CAMERA)
