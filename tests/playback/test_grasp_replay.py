# SPDX-License-Identifier: Apache-2.0
"""Given grasps are replayed without ROS: one line each, whatever is wrong with some of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.surface import Surface
from hoi_ros.playback.replay import main
from hoi_ros.resources import model_dir
from hoi_ros.stages import contact
from hoi_ros.stages.parts.contact_network import ContactMaps
from training.data.synthetic.grasps import GraspGenerator

FLIP = np.diag([-1.0, 1, 1, 1])
CAMERA = np.eye(4)
CAMERA[:3, :3] = Rotation.from_euler('xyz', [0.4, -0.7, 0.9]).as_matrix()
CAMERA[:3, 3] = 0.05, -0.1, 0.6


OFF = np.array([0.004, 0.006, -0.003])
"""What the given hand is beside its true place."""


class NearIsFirm:
    """Stands in for the network: contact falls with the distance from the true hand, 0.4 at 4 mm."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __call__(self, hand: np.ndarray, hand_normals: object, thing: np.ndarray, *others: object) -> ContactMaps:
        apart = cKDTree(thing).query(hand - OFF)[0], cKDTree(hand - OFF).query(thing)[0]
        return ContactMaps(*(1 / (1 + 1.5 * np.exp((each - 0.004) / 0.001)) for each in apart))


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, 'model_dir', lambda _, models: model_dir('hand_model', models))
    monkeypatch.setattr(contact, 'ContactNetwork', NearIsFirm)


@pytest.fixture(scope='module')
def grasp(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A grasp before the camera, its hand 8 mm too far; the object's file lies beside thing.ply, its mirror image."""
    folder = tmp_path_factory.mktemp('grasps')
    stream = GraspGenerator(HandModel.load(), 0, 'test', pregrasps=0.0)
    made = stream[1]
    mesh = trimesh.Trimesh(made.object.vertices, made.object.faces, process=False)
    mesh.export(folder / 'thing.ply')
    mesh.apply_transform(FLIP)  # turns the triangles, too
    mesh.export(folder / 'mirrored.ply')
    joints = made.keypoints.astype(float) @ CAMERA[:3, :3].T + CAMERA[:3, 3] + OFF
    line = {
        'object': 'thing.ply',
        'object_pose': (CAMERA @ made.object_pose).tolist(),
        'joints': joints.tolist(),
        'side': 'right',
    }
    return {'folder': folder, 'line': line}


@pytest.fixture
def run(grasp: dict[str, Any], tmp_path: Path) -> Callable[..., tuple[int, list[dict[str, Any]]]]:
    def replayed(lines: list[Any], *options: str) -> tuple[int, list[dict[str, Any]]]:
        file = grasp['folder'] / 'grasps.jsonl'
        file.write_text(''.join((line if isinstance(line, str) else json.dumps(line)) + '\n' for line in lines))
        code = main(['--stage', 'contact', '--grasps', str(file), '--out', str(tmp_path), *options])
        return code, [json.loads(line) for line in (tmp_path / 'results.jsonl').read_text().splitlines()]

    return replayed


def test_contact_alone_leaves_everything_where_it_is(run, grasp, tmp_path) -> None:
    code, (found,) = run([grasp['line']], '--no-refine', '--vertices')
    assert code == 0
    np.testing.assert_allclose(found['joints'], grasp['line']['joints'], atol=1e-6)
    np.testing.assert_allclose(found['object_pose'], grasp['line']['object_pose'], atol=1e-9)
    vertices, points = np.array(found['hand_vertices']), np.array(found['object_points'])
    assert len(found['hand_contact']) == len(vertices) == 1159
    assert points.shape == (2048, 3) and len(found['object_contact']) == 2048
    placed = trimesh.load(grasp['folder'] / 'thing.ply').apply_transform(found['object_pose'])
    assert Surface(placed.vertices, placed.faces).distances(points).max() < 1e-5
    apart = cKDTree(vertices - OFF).query(points)[0]
    assert np.corrcoef(apart < 0.004, np.array(found['object_contact']) > 0.4)[0, 1] > 0.9
    assert found['fingers'][0] is True and len(found['fingers']) == 5
    assert found['penetration'] > 0 and found['intersection'] >= 0 and found['fit_error'] < 1e-4
    assert found['line'] == 1 and found['side'] == 'right' and found['notes'] == []
    assert 'penetration_before' not in found and 'error' not in found and 'reason' not in found
    picture = cv2.imread(str(tmp_path / 'grasps' / '00001.png'))
    assert picture.shape[1] == 1280 and picture.std() > 20


def test_the_grasp_is_described_in_both_frames(run, grasp) -> None:
    described = run([grasp['line']], '--no-refine', '--no-pictures')[1][0]['grasp']
    pose = np.array(grasp['line']['object_pose'])
    wrist = described['wrist_in_object']
    np.testing.assert_allclose(
        pose[:3, :3] @ wrist['position'] + pose[:3, 3], described['wrist']['position'], atol=1e-5
    )
    turns = [Rotation.from_quat(each['orientation']).as_matrix() for each in (wrist, described['wrist'])]
    np.testing.assert_allclose(pose[:3, :3] @ turns[0], turns[1], atol=1e-5)
    assert described['type'] in ('power', 'precision', 'lateral') and 0 < described['aperture'] < 0.2
    assert len(described['centroids']) == len(described['normals']) == 5
    assert np.shape(described['object_box']['size']) == (3,) and described['force_closure'] >= 0


def test_refined_hand_and_object_move_together_with_their_points(run, grasp) -> None:
    _, (given, found) = run([grasp['line']] * 2, '--no-pictures', '--no-hold-object')
    assert given | {'line': 0, 'seconds': 0} == found | {'line': 0, 'seconds': 0}
    moved = np.array(found['object_pose']) @ np.linalg.inv(grasp['line']['object_pose'])
    assert np.abs(moved - np.eye(4)).max() > 1e-5
    still = run([grasp['line']], '--no-pictures')[1][0]
    np.testing.assert_allclose(still['object_pose'], grasp['line']['object_pose'], atol=1e-8)
    back = np.array(still['object_points']) @ moved[:3, :3].T + moved[:3, 3]
    np.testing.assert_allclose(back, found['object_points'], atol=2e-6)
    posed = HandModel.load().forward(*(np.float32(found[f'hand_{name}']) for name in ('pose', 'shape', 'translation')))
    np.testing.assert_allclose(posed.keypoints, found['joints'], atol=1e-3)
    assert found['intersection'] < found['intersection_before'] and found['penetration_before'] > 0


@pytest.mark.parametrize('options', [(), ('--no-refine',)])
def test_a_mirrored_line_gives_the_mirrored_result(run, grasp, options) -> None:
    line = grasp['line']
    pose, joints = FLIP @ line['object_pose'] @ FLIP, np.array(line['joints']) @ FLIP[:3, :3]
    left = {'object': 'mirrored.ply', 'object_pose': pose.tolist(), 'joints': joints.tolist(), 'side': 'left'}
    _, (right, other) = run([line, left], '--no-pictures', *options)
    for name in ('joints', 'object_points'):
        np.testing.assert_allclose(np.array(other[name]) @ FLIP[:3, :3], right[name], atol=1e-5)
    np.testing.assert_allclose(FLIP @ other['object_pose'] @ FLIP, right['object_pose'], atol=1e-6)
    for name in ('hand_contact', 'object_contact'):
        np.testing.assert_allclose(other[name], right[name], atol=1e-3)
    assert other['fingers'] == right['fingers'] and other['grasp']['type'] == right['grasp']['type']
    for frame in ('wrist', 'wrist_in_object', 'object_box'):
        one, two = (each['grasp'][frame] for each in (other, right))
        np.testing.assert_allclose(one['position'] @ FLIP[:3, :3], two['position'], atol=1e-5)
        turns = [Rotation.from_quat(each['orientation']).as_matrix() for each in (one, two)]
        np.testing.assert_allclose(FLIP[:3, :3] @ turns[0] @ FLIP[:3, :3], turns[1], atol=1e-4)


BAD_LINES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    'not JSON': (lambda line: '{"object": ', 'the line is not JSON'),
    'a list': (lambda line: [1, 2], r'the line is \[1, 2\], expected an object'),
    'no joints': (lambda line: {'object': 'thing.ply', 'side': 'right'}, 'joints missing; the line has object, side'),
    'no file': (lambda line: line | {'object': 'absent.ply'}, 'absent.ply: there is no such file'),
    'another side': (lambda line: line | {'side': 'both'}, "side is 'both', expected 'right' or 'left'"),
    'few joints': (lambda line: line | {'joints': line['joints'][:20]}, '20×3, expected 21×3'),
    'ragged': (lambda line: line | {'joints': [[1, 2, 3], [4]]}, 'joints is .*, expected 21×3 numbers'),
    'NaN': (lambda line: line | {'joints': [[math.nan] * 3] * 21}, '63 of 63 numbers of joints are not finite'),
    'one point': (lambda line: line | {'joints': [[0, 0, 1]] * 21}, 'the joints measure 0 m across'),
    'millimetres': (lambda line: line | {'joints': (np.array(line['joints']) * 1000).tolist()}, 'in millimetres'),
    'another order': (lambda line: line | {'joints': line['joints'][::-1]}, 'are no right hand.*order of the joints'),
    'a pose in millimetres': (
        lambda line: line | {'object_pose': [[1, 0, 0, 100], [0, 1, 0, 0], [0, 0, 1, 600], [0, 0, 0, 1]]},
        'object_pose moves the object by 608.3 m: it seems to be in millimetres',
    ),
    'a scaled pose': (lambda line: line | {'object_pose': np.diag([2, 2, 2, 1]).tolist()}, 'determinant 8'),
    'a transposed pose': (
        lambda line: line | {'object_pose': np.transpose(line['object_pose']).tolist()},
        'is it transposed',
    ),
    'far away': (lambda line: line | {'object_pose': np.eye(4).tolist()}, 'its object is .* m away'),
}


def test_bad_lines_do_not_stop_the_run(run, grasp, capsys) -> None:
    line = grasp['line']
    code, found = run([line, *(make(line) for make, _ in BAD_LINES.values()), '', line], '--no-pictures')
    assert code == 1 and len(found) == len(BAD_LINES) + 2
    assert found[0]['fingers'] == found[-1]['fingers'] and found[-1]['line'] == len(BAD_LINES) + 3
    for (fault, (_, said)), record in zip(BAD_LINES.items(), found[1:-1], strict=True):
        with pytest.raises(AssertionError, match=said):
            raise AssertionError(record.get('error') or record['reason'])
        assert record['hand_contact'] is None and record['grasp'] is None, fault
    assert 'reason' in found[-2] and found[-2]['joints'] is not None
    printed = capsys.readouterr()
    assert f'grasps        {len(found)}, {len(BAD_LINES)} without contact' in printed.out
    assert f'{len(BAD_LINES)} of {len(found)} grasps failed (line 2, line 3' in printed.err


def test_an_open_object_has_contact_and_withheld_depths(run, grasp) -> None:
    mesh = trimesh.load(grasp['folder'] / 'thing.ply', process=False)
    low = np.median(mesh.vertices[:, 2])
    trimesh.Trimesh(mesh.vertices, mesh.faces[mesh.triangles_center[:, 2] > low]).export(grasp['folder'] / 'open.ply')
    code, (found,) = run([grasp['line'] | {'object': 'open.ply'}])
    assert code == 0 and found['penetration'] is None and found['intersection'] is None
    assert 'the mesh is open' in found['notes'][0] and len(found['hand_contact']) == 1159


def test_earlier_pictures_go_and_the_input_stays(run, grasp, tmp_path, capsys) -> None:
    line = grasp['line']
    run([line, line])
    (tmp_path / 'grasps' / 'mine.png').touch()
    run([line, 'nothing'])
    assert sorted(path.name for path in (tmp_path / 'grasps').iterdir()) == ['00001.png', 'mine.png']
    with pytest.raises(SystemExit):
        main(['--grasps', str(tmp_path / 'results.jsonl'), '--out', str(tmp_path)])
    assert len((tmp_path / 'results.jsonl').read_text().splitlines()) == 2
    (tmp_path / 'results.jsonl').write_text('{"image": "1.png"}\n')
    assert run([line])[0] == 2 and (tmp_path / 'results.jsonl').read_text() == '{"image": "1.png"}\n'
    assert 'is where the results go' in ' '.join(capsys.readouterr().err.replace('│', ' ').split())


def test_a_wrong_side_is_noted(run, grasp) -> None:
    _, (found,) = run([grasp['line'] | {'side': 'left'}], '--no-pictures')
    text = found.get('error') or found['notes'][0]
    assert 'the joints fit a right hand better' in text


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (('--stage', 'depth_pose'), 'the stage depth_pose takes no grasps: give --stage contact'),
        (('--budget', '0'), '--budget is 0.0'),
        (('--restarts', '40'), 'expected 1 to 16'),
    ],
)
def test_a_wrong_command_line_is_named(run, grasp, capsys, options, said) -> None:
    with pytest.raises(SystemExit) as error:
        run([grasp['line']], *options)
    assert error.value.code == 2 and said in ' '.join(capsys.readouterr().err.replace('│', ' ').split())
