# SPDX-License-Identifier: Apache-2.0
"""ContactPose: its hands and thermal maps become records of `contact`."""

from __future__ import annotations

import dataclasses
import itertools
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from hoi_ros.hand import HandModel
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.playback.grasp_lines import grasp_of_line
from tests.training.data.public.contact_miniatures import Held
from tests.training.data.public.contact_miniatures import held_object
from tests.training.data.public.contact_miniatures import MIRROR
from tests.training.data.public.contact_miniatures import SEEN
from tests.training.data.public.contact_miniatures import write_grasp
from training.data.public import contact_pose
from training.data.public.contact_pose import ContactPose
from training.data.public.contact_pose import GraspExport
from training.data.public.contact_pose import PosedGrasp
from training.data.public.contact_pose import split_of
from training.data.public.contact_records import contact_of_heat
from training.data.public.contact_records import REACH
from training.data.public.dataset_files import DatasetError
from training.hand.mano import PoseSpace

APPLE, LEFT, MUG = 'full2_handoff/apple', 'full2_use/apple', 'full10_use/mug'


@pytest.fixture(scope='module')
def held(hand: HandModel) -> Held:
    return held_object(hand)


@pytest.fixture(scope='module')
def original(held: Held, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('contactpose_data')
    write_grasp(root / APPLE, held)
    write_grasp(root / LEFT, held, ('left',))
    write_grasp(root / MUG, held, ('left', 'right'))
    write_grasp(root / 'full10_use' / 'stapler', held, moving=True)
    for name in ('hands', 'palm_print'):
        (root / 'full2_use' / name).mkdir()
    return root


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(original, tmp_path / 'data')
    return tmp_path / 'data'


def grasps(root: Path, hands: str = 'all') -> dict[str, int]:
    """Number of each hand in the splits for training, of a setup that leaves nothing out."""
    stream = everything(root, hands)
    places = [stream.place(number) for number in range(len(stream))]
    return {f'{grasp.folder.parent.name}/{grasp.folder.name} {side}': at for at, (grasp, side) in enumerate(places)}


def scene_of(held: Held) -> TriangleScene:
    return TriangleScene(held.mesh.vertices, held.mesh.faces)


def everything(root: Path, hands: str = 'all', hand: Path | None = None) -> ContactPose:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contact_pose, 'split_of', lambda grasps, setup, split: grasps)
        return ContactPose(root, hands=hands, hand=hand)


def test_a_grasp_is_read(original: Path, held: Held, hand: HandModel) -> None:
    stream, index = everything(original), grasps(original)[f'{APPLE} right']
    record = stream[index]
    assert record['index'] == index and record.dtype == stream.dtype
    posed = hand.forward(record['pose'], record['shape'], record['translation'])
    assert np.linalg.norm(posed.keypoints - held.keypoints, axis=1).mean() < 0.002
    mesh = stream.mesh(index)
    np.testing.assert_allclose(mesh.vertices, held.mesh.vertices, atol=1e-6)
    points, normals = scene_of(held).nearest(record['object_points'])
    np.testing.assert_allclose(points, record['object_points'], atol=1e-6)
    assert np.median((normals * record['object_normals']).sum(1)) > 0.99 and held.mesh.volume > 0


def test_the_map_after_its_sigmoid_is_the_contact_of_the_points(original: Path, held: Held) -> None:
    record = everything(original)[grasps(original)[f'{APPLE} right']]
    seen = np.arange(len(held.heat)) % SEEN != 0
    nearest = cKDTree(held.mesh.vertices[seen]).query(record['object_points'])[1]
    written = held.contact[seen][nearest]
    assert record['object_contact'].min() >= 0.05 and record['object_contact'].max() <= 0.951
    assert np.abs(record['object_contact'] - written).mean() < 0.05
    touched = (written >= 0.4).mean()
    assert 0.01 < touched < 0.9 and (record['object_contact'] >= 0.4).mean() == pytest.approx(touched, abs=0.03)


def test_the_sigmoid_takes_the_seen_heat_to_the_ends_of_contact() -> None:
    contact = contact_of_heat(np.array([0, 0.2, 0.4, 0.6]))
    np.testing.assert_allclose(contact, [0, 0.05, 0.5, 0.95])
    for heat in ([0.0, 0.0], [0.3, 0.3], [0.0, 0.3]):
        with pytest.raises(ValueError, match='one colour'):
            contact_of_heat(np.array(heat))


def test_a_hand_has_the_contact_of_what_it_faces(original: Path, held: Held, hand: HandModel) -> None:
    record = everything(original)[grasps(original)[f'{APPLE} right']]
    vertices = hand.forward(record['pose'], record['shape'], record['translation']).vertices
    gap, inside = scene_of(held).distances(vertices), scene_of(held).inside(vertices)
    contact = record['hand_contact'].astype(float)
    assert not contact[~inside & (gap > REACH + 1e-4)].any()
    hot = held.mesh.vertices[held.contact >= 0.4]
    assert cKDTree(hot).query(vertices[contact >= 0.4])[0].max() < REACH + 0.006
    touching = contact >= 0.4
    near = inside | (gap < 0.003)
    assert touching.sum() > 5 and near[touching].mean() > 0.5 and touching[near].mean() > 0.5


def test_a_left_hand_is_read_as_the_right_hand_in_the_mirror(original: Path) -> None:
    stream, numbers = everything(original), grasps(original)
    left, right = stream[numbers[f'{LEFT} left']], stream[numbers[f'{APPLE} right']]
    for name in ('pose', 'shape', 'translation', 'object_points', 'object_normals'):
        np.testing.assert_allclose(left[name], right[name], atol=1e-5)
    for name in ('hand_contact', 'object_contact'):  # a place may be equally near to two vertices
        assert (np.abs(left[name] - right[name]) < 1e-3).mean() > 0.99
    mirrored, plain = (stream.mesh(numbers[name]) for name in (f'{LEFT} left', f'{APPLE} right'))
    np.testing.assert_allclose(mirrored.vertices, plain.vertices, atol=1e-7)
    np.testing.assert_array_equal(mirrored.faces, plain.faces)


def test_the_joints_of_a_moving_hand_are_brought_to_the_object(original: Path, held: Held) -> None:
    stream = everything(original)
    grasp, side = stream.place(grasps(original)['full10_use/stapler right'])
    np.testing.assert_allclose(grasp.joints[side], held.keypoints, atol=1e-9)


def test_the_heat_of_two_hands_is_that_of_the_nearer_one(original: Path, held: Held) -> None:
    stream, numbers = everything(original), grasps(original)
    alone, both, left = (stream[numbers[name]] for name in (f'{APPLE} right', f'{MUG} right', f'{MUG} left'))
    kept = both['object_contact'] > 0
    grasp, _ = stream.place(numbers[f'{MUG} right'])
    own, other = (cKDTree(grasp.joints[side]).query(both['object_points'])[0] for side in ('right', 'left'))
    nearer = own < other - 0.02
    np.testing.assert_array_equal(both['object_contact'][nearer], alone['object_contact'][nearer])
    assert kept[nearer].all() and not kept[other < own - 0.02].any()
    assert 0.3 < kept.mean() < 1
    # The left hand's points are mirrored.
    gap = cKDTree(grasp.joints['right'] * MIRROR).query(left['object_points'])[0]
    far = cKDTree(grasp.joints['left'] * MIRROR).query(left['object_points'])[0]
    assert not left['object_contact'][gap < far - 0.02].any()


def test_without_all_hands_grasps_of_one_right_hand_are_read(original: Path) -> None:
    assert list(grasps(original, 'right')) == [f'{APPLE} right', 'full10_use/stapler right']
    assert list(grasps(original)) == [
        f'{APPLE} right',
        f'{LEFT} left',
        f'{MUG} left',
        f'{MUG} right',
        'full10_use/stapler right',
    ]


def test_the_splits() -> None:
    def named(split: str, setup: str) -> list[str]:
        return [f'{grasp.participant} {grasp.folder.name}' for grasp in split_of(listed, setup, split)]

    listed = [
        PosedGrasp(Path(f'full{number}_use/{name}'), number, 'use', {}, {})
        for number in range(1, 51)
        for name in ('apple', 'mug')
    ]
    for setup in contact_pose.SETUPS:
        parts = [named(split, setup) for split in contact_pose.SPLITS]
        assert sorted(itertools.chain(*parts)) == sorted(f'{grasp.participant} {grasp.folder.name}' for grasp in listed)
    assert len(named('test', 'contactopt')) == 20 and named('test', 'contactopt')[0] == '41 apple'
    assert named('validation', 'contactopt') == [
        f'{number} {name}' for number in range(37, 41) for name in ('apple', 'mug')
    ]
    assert set(named('test', 'objects')) == {f'{number} mug' for number in range(1, 51)}
    assert {name.split()[0] for name in named('test', 'participants')} == {'5', '15', '25', '35', '45'}


def test_a_stream_is_picklable_and_ends(original: Path) -> None:
    stream = everything(original)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stream))[0], stream[0])
    with pytest.raises(IndexError, match='there are 5'):
        stream[5]


def test_a_mano_model_takes_the_fits_of_the_data_set(
    root: Path, held: Held, hand: HandModel, space: PoseSpace, tmp_path: Path
) -> None:
    hand.save(tmp_path / 'hand.npz')
    with np.load(tmp_path / 'hand.npz') as file:
        np.savez(tmp_path / 'mano.npz', **file, pose_mean=space.mean, pose_components=space.components)
    # A pose that 15 of the 45 components can write.
    written = (held.pose[3:] - space.mean) @ space.components.T
    fingers = space.mean + written[:15] @ space.components[:15]
    pose = np.concatenate([held.pose[:3], fingers])
    posed = hand.forward(pose, held.shape, held.translation)
    known = dataclasses.replace(held, pose=pose, keypoints=posed.keypoints.astype(float), vertices=posed.vertices)
    write_grasp(root / 'full3_use' / 'apple', known, space=space)
    write_grasp(root / 'full4_use' / 'apple', known, moving=True, space=space)
    index = grasps(root)['full3_use/apple right']
    record = everything(root, hand=tmp_path / 'mano.npz')[index]
    np.testing.assert_allclose(record['pose'], pose, atol=1e-5)
    np.testing.assert_allclose(record['shape'], held.shape, atol=1e-6)
    np.testing.assert_allclose(record['translation'], held.translation, atol=1e-5)
    record = everything(root, hand=tmp_path / 'mano.npz')[grasps(root)['full4_use/apple right']]
    np.testing.assert_allclose(record['pose'], pose, atol=1e-5)
    np.testing.assert_allclose(record['translation'], held.translation, atol=1e-5)
    # Fits of another hand are left out.
    fits = json.loads((root / 'full3_use' / 'apple' / 'mano_fits_15.json').read_text())
    fits[1]['mTc']['translation'][0] += 0.03
    (root / 'full3_use' / 'apple' / 'mano_fits_15.json').write_text(json.dumps(fits))
    record = everything(root, hand=tmp_path / 'mano.npz')[index]
    keypoints = hand.forward(record['pose'], record['shape'], record['translation']).keypoints
    assert np.linalg.norm(keypoints - posed.keypoints, axis=1).mean() < 0.005


def empty_hand(path: Path) -> None:
    labels = json.loads(path.read_text())
    labels['hands'][1]['joints'] = np.zeros((21, 3)).tolist()
    path.write_text(json.dumps(labels))


def grey(path: Path) -> None:
    mesh = trimesh.load_mesh(path, process=False)
    mesh.visual.vertex_colors = np.full((len(mesh.vertices), 4), 90, np.uint8)
    mesh.export(path)


def colourless(path: Path) -> None:
    mesh = trimesh.load_mesh(path, process=False)
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(path)


FAULTS: list[tuple[str, Callable[[Path], Any], str]] = [
    (f'{APPLE}/annotations.json', Path.unlink, 'no such file. Download the grasps'),
    (f'{APPLE}/annotations.json', lambda path: path.write_text('{'), 'not readable JSON'),
    (f'{APPLE}/annotations.json', lambda path: path.write_text('{"hands": []}'), 'not the frames and the two hands'),
    (f'{APPLE}/annotations.json', empty_hand, 'the right hand is none'),
    (f'{APPLE}/apple.ply', Path.unlink, 'no such file. Download the grasps and the contact maps'),
    (f'{APPLE}/apple.ply', lambda path: path.write_text('ply'), 'not a readable mesh'),
    (f'{APPLE}/apple.ply', grey, 'no thermal map: all vertices have one colour'),
    (f'{APPLE}/apple.ply', colourless, 'without vertex colours'),
    ('', lambda path: [shutil.rmtree(folder) for folder in path.iterdir()], 'no full1_use/apple/'),
    ('', shutil.rmtree, 'no such folder'),
]


@pytest.mark.parametrize(('spoilt', 'spoil', 'message'), FAULTS, ids=[message for *_, message in FAULTS])
def test_a_fault_names_the_file_and_the_mend(
    root: Path, spoilt: str, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(root / spoilt)
    with pytest.raises(DatasetError, match=message) as raised:
        everything(root)[0]
    assert str(raised.value).startswith(str(root / spoilt)) and 'facebookresearch/ContactPose' in str(raised.value)


def test_grasps_are_written_for_replay(root: Path, held: Held, tmp_path: Path) -> None:
    def written(**options: Any) -> list[dict[str, Any]]:
        out = tmp_path / 'made' / 'grasps.jsonl'
        contact_pose.main(GraspExport(root, out, split='train', setup='participants', **options))
        lines = out.read_text().splitlines()
        assert all(grasp_of_line(line, tmp_path).object.is_file() for line in lines)
        return [json.loads(line) for line in lines]

    write_grasp(root / 'full5_use' / 'apple', held)
    clean = written(hands='all')
    assert [(Path(line['object']).name, line['side']) for line in clean] == [
        ('apple.ply', 'right'),
        ('apple.ply', 'left'),
        ('mug.ply', 'left'),
        ('mug.ply', 'right'),
    ]
    np.testing.assert_allclose(clean[0]['joints'], held.keypoints, atol=1e-6)
    np.testing.assert_allclose(clean[1]['joints'], held.keypoints * MIRROR, atol=1e-6)
    noisy = written(hands='all', noise='large')
    assert written(hands='all', noise='large') == noisy
    for line, true in zip(noisy, clean, strict=True):
        assert line['true_joints'] == true['joints'] and line['side'] == true['side']
        bones = [
            np.linalg.norm(np.diff(np.array(part)[5:9], axis=0), axis=1) for part in (line['joints'], true['joints'])
        ]
        np.testing.assert_allclose(*bones, atol=0.002)
    errors = [np.linalg.norm(np.array(line['joints']) - line['true_joints'], axis=1).mean() for line in noisy]
    assert 0.01 < np.mean(errors) < 0.3
    assert len(written(count=1)) == 1
    with pytest.raises(SystemExit, match='error: --count is 0'):
        written(count=0)
    with pytest.raises(SystemExit, match='error: .*none is in the split'):
        contact_pose.main(GraspExport(root, tmp_path / 'x.jsonl', setup='objects'))
