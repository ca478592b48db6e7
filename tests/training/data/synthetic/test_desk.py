# SPDX-License-Identifier: Apache-2.0
"""A desk lies below hands that face it, its keyboard between both, and under no others."""

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.poses import sample_angles
from training.data.synthetic.depth_crops import CROP_SCENES
from training.data.synthetic.desk import add_desk
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.scenes import SceneGenerator


def hand(turn: Rotation, place: np.ndarray, seed: int, side: str = 'right') -> SceneHand:
    model = HandModel.load() if side == 'right' else HandModel.load().mirrored()
    rng = np.random.default_rng(seed)
    pose = model.pose_of(sample_angles(HandModel.load(), rng) * ([1, 1, 1] if side == 'right' else [1, -1, -1]))
    pose[:3] = turn.as_rotvec()
    shape, nowhere = np.zeros(10, np.float32), np.zeros(3, np.float32)
    shift = place - model.forward(pose.astype(np.float32), shape, nowhere).keypoints.mean(0)
    geometry = model.forward(pose.astype(np.float32), shape, shift.astype(np.float32))
    return SceneHand(side, pose, shape, shift, geometry.keypoints, geometry.vertices)


def back_to_the_camera(side: str) -> Rotation:
    model = HandModel.load() if side == 'right' else HandModel.load().mirrored()
    rest = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.zeros(3, np.float32)).keypoints
    palm = np.cross(rest[5] - rest[0], rest[17] - rest[0]) * (1 if side == 'right' else -1)
    return Rotation.align_vectors([[0, 0, 1.0]], [palm / np.linalg.norm(palm)])[0]


def test_the_desk_is_just_below_the_hand_and_the_keyboard_between_them() -> None:
    meshes = []
    for seed in range(30):
        side = ('right', 'left')[seed % 2]
        shown = hand(back_to_the_camera(side), np.array([0.02, 0.03, 0.5]), seed, side)
        parts = Parts()
        assert add_desk(parts, [shown], np.random.default_rng(seed))
        vertices, _, owners = parts.joined()
        desk = vertices[-4:].astype(float)
        up = np.cross(desk[1] - desk[0], desk[2] - desk[0])
        up /= np.linalg.norm(up) * -np.sign(up[2])
        assert up[2] < -0.7 and (owners == -1).all()
        below, level = (shown.vertices @ up).min(), float(desk[0] @ up)
        assert -1e-4 < below - level < 0.065
        if len(vertices) > 4:
            keys = vertices[:-12]  # the last are the board's and the desk's
            assert (keys @ up).max() < below + 1e-4 and (vertices[:-4] @ up).min() > level - 1e-4
            tips = shown.keypoints[[8, 12, 16, 20]].mean(0)
            across = keys - tips - ((keys - tips) @ up)[:, None] * up
            assert np.linalg.norm(across, axis=1).min() < 0.03
        meshes.append(len(vertices) > 4)
    assert 0.4 < np.mean(meshes) < 0.9


def test_there_is_no_desk_under_a_palm_or_through_another_hand() -> None:
    away = back_to_the_camera('right')
    palm = Rotation.from_euler('y', 180, degrees=True) * away
    parts = Parts()
    assert not add_desk(parts, [hand(palm, np.array([0, 0, 0.5]), 0)], np.random.default_rng(0))
    both = [hand(away, np.array([0, 0, 0.5]), 1), hand(away, np.array([0.1, 0, 0.75]), 2, 'left')]
    assert not add_desk(parts, both, np.random.default_rng(0))
    assert (parts.joined()[2] == -1).all() and len(parts.joined()[0]) == 3  # a distant triangle: nothing was added


def test_scenes_have_desks_and_hands_that_are_seen_above_them(monkeypatch) -> None:
    made = []

    def recording(*arguments):
        made.append(add_desk(*arguments))
        return made[-1]

    monkeypatch.setattr('training.data.synthetic.room.add_desk', recording)
    scenes = SceneGenerator(HandModel.load(), CROP_SCENES, 0)
    with_desk = 0
    for index in range(60):
        made.clear()
        scene = scenes[index]
        if made and made[0]:
            with_desk += 1
            view = scene.look(scene.camera.scaled(160, 120))
            assert scene.visible_share(0, view) > 0 or scene.held[0] is not None
    assert 2 <= with_desk <= 25
