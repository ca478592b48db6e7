# SPDX-License-Identifier: Apache-2.0
"""Scenes: reproducible, with hands of the model and arms at their wrists."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from hoi_ros.hand import mirror_pose
from hoi_ros.hand.fitting import HandFitter
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.scenes import Scene
from training.data.synthetic.scenes import SceneGenerator

EMPTY_ROOM = {'person': 0.0, 'table': 0.0, 'wall': 0.0, 'clutter': 0.0, 'held': 0.0}
FLIP = np.array([-1, 1, 1], np.float32)


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def scenes(hand: HandModel) -> list[Scene]:
    generator = SceneGenerator(hand, seed=3)
    return [generator[index] for index in range(40)]


@pytest.fixture(scope='module')
def shown(scenes: list[Scene]) -> list[SceneHand]:
    return [hand for scene in scenes for hand in scene.hands]


def digest(scene: Scene) -> str:
    parts = [
        np.array([scene.camera.fx, scene.camera.cx, scene.camera.cy]),
        scene.vertices,
        scene.faces,
        scene.owners,
        *(array for hand in scene.hands for array in (hand.pose, hand.shape, hand.translation)),
    ]
    return hashlib.sha256(b''.join(np.round(part, 5).tobytes() for part in parts)).hexdigest()


def covered_by(scene: Scene, depth: float, left: float, right: float) -> Scene:
    """The scene with an upright plate before it, from one column of the image to another."""
    camera = scene.camera
    plate = camera.unproject(np.array([[left, -9], [right, -9], [right, 999], [left, 999]]), np.full(4, depth))
    faces = np.array([[0, 1, 2], [0, 2, 3]]) + len(scene.vertices)
    return Scene(
        camera,
        scene.hands,
        np.concatenate([scene.vertices, plate]).astype(np.float32),
        np.concatenate([scene.faces, faces]),
        np.concatenate([scene.owners, [-1, -1]]),
    )


def test_an_index_gives_the_same_scene_in_every_process(hand: HandModel, scenes: list[Scene]) -> None:
    code = (
        f'import runpy; here = runpy.run_path({__file__!r})\n'
        'print(here["digest"](here["SceneGenerator"](here["HandModel"].load(), seed=3)[7]))'
    )
    elsewhere = subprocess.run(
        [sys.executable, '-c', code], cwd=Path(__file__).parents[4], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert digest(SceneGenerator(hand, seed=3)[7]) == digest(scenes[7]) == elsewhere


def test_index_seed_and_split_change_the_scene(hand: HandModel, scenes: list[Scene]) -> None:
    others = [
        SceneGenerator(hand, seed=3)[8],
        SceneGenerator(hand, seed=4)[7],
        SceneGenerator(hand, seed=3, split='validation')[7],
        SceneGenerator(hand, seed=3, split='test')[7],
    ]
    assert len({digest(scene) for scene in [scenes[7], *others]}) == 5
    with pytest.raises(KeyError, match='holdout'):
        SceneGenerator(hand, split='holdout')


def test_hands_are_left_and_right_single_and_paired(scenes: list[Scene], shown: list[SceneHand]) -> None:
    share_right = np.mean([hand.side == 'right' for hand in shown])
    assert 0.3 < share_right < 0.7
    counts = np.bincount([len(scene.hands) for scene in scenes], minlength=3)
    assert counts[0] == 0 and counts[1] > 15 and counts[2] > 4
    assert any({hand.side for hand in scene.hands} == {'left', 'right'} for scene in scenes)


def test_hands_are_in_the_image_and_in_range(scenes: list[Scene]) -> None:
    limits = SceneConfig()
    for scene in scenes:
        for hand in scene.hands:
            assert limits.nearest - 1e-5 <= hand.centre[2] <= limits.farthest + 1e-5
            assert hand.vertices[:, 2].min() > 0.15
            column, row = scene.camera.project(hand.centre)
            assert 0 < column < scene.camera.width and 0 < row < scene.camera.height


def test_pose_and_shape_give_the_vertices_of_both_sides(hand: HandModel, shown: list[SceneHand]) -> None:
    fitter = HandFitter(hand)
    for one in shown[:16]:
        model = hand if one.side == 'right' else hand.mirrored()
        posed = model.forward(one.pose, one.shape, one.translation)
        np.testing.assert_allclose(posed.vertices, one.vertices, atol=1e-5)
        np.testing.assert_allclose(posed.keypoints, one.keypoints, atol=1e-5)
        keypoints, pose = one.keypoints, one.pose
        if one.side == 'left':
            keypoints, pose = keypoints * FLIP, mirror_pose(pose)
            mirrored = hand.forward(pose, one.shape, one.translation * FLIP)
            np.testing.assert_allclose(mirrored.keypoints, keypoints, atol=1e-5)
        angles = hand.anatomical(pose)[1:]
        assert (angles >= hand.limits[1:, :, 0] - 1e-4).all() and (angles <= hand.limits[1:, :, 1] + 1e-4).all()
        assert fitter.fit(keypoints).residual < 0.001


def test_viewpoints_cover_all_directions(hand: HandModel) -> None:
    generator = SceneGenerator(hand, SceneConfig(hands=(0, 1, 0), **EMPTY_ROOM), seed=9)
    palms = []
    for index in range(40):
        one = generator[index].hands[0]
        wrist, index_mcp, little_mcp = one.keypoints[[0, 5, 17]]
        normal = np.cross(index_mcp - wrist, little_mcp - wrist)
        palms.append(normal / np.linalg.norm(normal) * (1 if one.side == 'right' else -1))
    assert (np.max(palms, 0) > 0.7).all() and (np.min(palms, 0) < -0.7).all()


def test_a_forearm_is_attached_at_the_wrist_and_leads_away_from_the_fingers(hand: HandModel) -> None:
    generator = SceneGenerator(hand, SceneConfig(hands=(0, 1, 0), **EMPTY_ROOM), seed=4)
    for index in range(12):
        scene = generator[index]
        (one,) = scene.hands
        arm = scene.vertices[np.unique(scene.faces[scene.owners < 0])]
        wrist = one.keypoints[0]
        from_wrist = np.linalg.norm(arm - wrist, axis=1)
        # The arm's first ring goes around the wrist, a little inside of the hand.
        ring = arm[np.argsort(from_wrist)[:16]]
        assert np.linalg.norm(ring.mean(0) - wrist) < 0.01 and from_wrist.min() < 0.03
        far = arm[from_wrist.argmax()] - wrist
        fingers = one.keypoints[9] - wrist
        assert 0.15 < np.linalg.norm(far) < 0.45 and far @ fingers < 0


@pytest.mark.parametrize('backed', [True, False])
def test_an_unhidden_hand_is_fully_visible(hand: HandModel, backed: bool) -> None:
    generator = SceneGenerator(hand, SceneConfig(hands=(0, 1, 0), farthest=0.8, **EMPTY_ROOM), seed=6)
    for index in range(6):
        scene = generator[index]
        kept = scene.owners >= 0
        scene = Scene(scene.camera, scene.hands, scene.vertices, scene.faces[kept], scene.owners[kept])
        if backed:
            scene = covered_by(scene, 2.0, -9, 999)
        pixels = scene.camera.project(scene.hands[0].vertices)
        inside = ((pixels >= -0.5) & (pixels < [639.5, 479.5])).all(1).mean()
        assert scene.visible_share(0, scene.look(scene.camera)) == pytest.approx(inside, abs=0.01)


def test_an_occluder_hides_its_share_of_a_hand(hand: HandModel) -> None:
    scene = SceneGenerator(hand, SceneConfig(hands=(0, 1, 0), farthest=0.8, **EMPTY_ROOM), seed=6)[0]
    scene = covered_by(scene, 2.0, -9, 999)
    columns = scene.camera.project(scene.hands[0].vertices)[:, 0]
    before = scene.visible_share(0, scene.look(scene.camera))
    middle = float(np.median(columns))
    half = covered_by(scene, 0.14, middle, 999)
    assert half.visible_share(0, half.look(half.camera)) == pytest.approx(before / 2, abs=0.03)
    all_of_it = covered_by(scene, 0.14, -9, 999)
    assert all_of_it.visible_share(0, all_of_it.look(all_of_it.camera)) == 0

    left, top = columns.min() - 5, -0.5
    window = scene.camera.window(left, top, middle - left, 480, 320, 480)
    assert scene.visible_share(0, scene.look(window)) == pytest.approx(before / 2, abs=0.03)


def test_owners_match_the_rendered_points(scenes: list[Scene]) -> None:
    scene = next(scene for scene in scenes if len(scene.hands) == 2)
    view = scene.look(scene.camera.scaled(320, 240))
    rows, columns = np.nonzero(view.owners >= 0)
    points = view.camera.unproject(np.stack([columns, rows], -1), view.depth[rows, columns])
    for number, hand in enumerate(scene.hands):
        own = points[view.owners[rows, columns] == number]
        assert len(own) > 100
        assert (np.linalg.norm(own - hand.centre, axis=1) < 0.2).all()
    np.testing.assert_array_equal(view.owners == -2, view.depth == 0)
