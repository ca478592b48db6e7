# SPDX-License-Identifier: Apache-2.0
"""Conversion of a MANO pickle: the same layout reads, whatever else a pickle may ask for is refused unrun."""

import builtins
import io
import os
import pickle
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import ClassVar

import numpy as np
import pytest
import scipy.sparse

from hoi_ros.hand import HandModel
from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.skeleton import JOINT_PARENTS
from hoi_ros.hand.skeleton import TIP_JOINTS
from training.hand.mano import anatomical_axes
from training.hand.mano import convert
from training.hand.mano import ManoFileError

MANO_TIPS = [745, 317, 444, 556, 673]


class Python2Pickler(pickle._Pickler):
    """Writes what Python 2's cPickle writes: byte strings, and the module names of its time."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)
    renamed: ClassVar = {
        'numpy._core.multiarray': 'numpy.core.multiarray',
        'scipy.sparse._csc': 'scipy.sparse.csc',
        'builtins': '__builtin__',
    }

    def save_text(self, text: str | bytes) -> None:
        content = text.encode('latin1') if isinstance(text, str) else text
        self.write(pickle.BINSTRING + len(content).to_bytes(4, 'little') + content)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_text

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = self.renamed.get(obj.__module__, obj.__module__)
        self.write(f'c{module}\n{name or obj.__name__}\n'.encode())
        self.memoize(obj)

    dispatch[types.FunctionType] = dispatch[type] = save_global


@pytest.fixture
def chumpy() -> Iterator[types.SimpleNamespace]:
    """A stand-in for chumpy that lives only while a pickle is written."""
    modules = {name: types.ModuleType(name) for name in ('chumpy', 'chumpy.ch', 'chumpy.reordering')}
    whole = modules['chumpy.ch'].Ch = type('Ch', (), {'__module__': 'chumpy.ch'})
    some = modules['chumpy.reordering'].Select = type('Select', (whole,), {'__module__': 'chumpy.reordering'})
    sys.modules.update(modules)
    yield types.SimpleNamespace(Ch=whole, Select=some)
    for name in modules:
        sys.modules.pop(name, None)


def mano_content(hand: HandModel, chumpy: types.SimpleNamespace, rows: np.ndarray | None = None) -> dict[str, Any]:
    """The dictionary of a MANO pickle, made from a hand model or from some of its vertices."""
    rows = np.arange(len(hand.template)) if rows is None else rows
    template = hand.template[rows].astype(float)
    regressor = np.zeros((16, len(rows)))
    for joint, place in enumerate(hand.joints.astype(float)):
        near = np.argsort(np.linalg.norm(template - place, axis=1))[:30]
        conditions = np.concatenate([template[near].T, np.ones((1, 30))])
        regressor[joint, near] = np.linalg.lstsq(conditions, np.append(place, 1), rcond=None)[0]
    # As in the real file, shapedirs is chumpy's selection of ten of twenty directions.
    directions = np.concatenate([hand.shape_basis[rows], np.ones((len(rows), 3, 10))], -1).astype(float)
    whole, some = chumpy.Ch(), chumpy.Select()
    whole.__dict__.update(x=directions, _dirty_vars=set())
    picked = np.arange(directions.size).reshape(directions.shape)[..., :10]
    some.__dict__.update(a=whole, idxs=picked.ravel(), preferred_shape=picked.shape, _dirty_vars={'idxs'})
    parents = np.array([2**32 - 1, *JOINT_PARENTS[1:]], np.uint32)
    return {
        'v_template': template,
        'shapedirs': some,
        'J_regressor': scipy.sparse.csc_matrix(regressor),
        'posedirs': np.asfortranarray(np.random.default_rng(0).normal(0, 1e-4, (len(rows), 3, 135))),
        'weights': hand.weights[rows].astype('>f8'),
        'f': (hand.faces % len(rows)).astype(np.uint32),
        'kintree_table': np.stack([parents, np.arange(16, dtype=np.uint32)]),
        'bs_style': 'lbs',
        'hands_mean': np.full(45, 0.1),
        'hands_components': np.eye(45),
        'J': hand.joints.astype(float),
    }


def python2(content: Any) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(content)
    return stream.getvalue()


def in_python3(content: Any, protocol: int) -> bytes:
    return pickle.dumps(content, protocol)


WRITERS = {
    'python 2': python2,
    'python 3, protocol 0': lambda content: in_python3(content, 0),
    'python 3, protocol 2': lambda content: in_python3(content, 2),
    'python 3, protocol 4': lambda content: in_python3(content, 4),
}


@pytest.mark.parametrize('writer', WRITERS)
def test_a_pickle_of_the_layout_gives_its_hand(hand: HandModel, chumpy, tmp_path: Path, writer: str) -> None:
    rows = np.arange(0, len(hand.template), 4)
    content = mano_content(hand, chumpy, rows)
    path = tmp_path / 'MANO_RIGHT.pkl'
    path.write_bytes(WRITERS[writer](content))
    if writer == 'python 2':
        for module in (b'numpy.core.multiarray', b'scipy.sparse.csc', b'chumpy.ch', b'chumpy.reordering'):
            assert b'c' + module + b'\n' in path.read_bytes()
    for module in ('chumpy', 'chumpy.ch', 'chumpy.reordering'):
        del sys.modules[module]
    model = convert(path)
    np.testing.assert_array_equal(model.template, hand.template[rows])
    np.testing.assert_array_equal(model.shape_basis, hand.shape_basis[rows])
    np.testing.assert_array_equal(model.faces, content['f'])
    np.testing.assert_allclose(model.weights, hand.weights[rows], atol=1e-7)
    np.testing.assert_allclose(model.joints, hand.joints, atol=1e-6)
    np.testing.assert_allclose(model.pose_basis, content['posedirs'], atol=1e-7)
    np.testing.assert_array_equal(model.limits, hand.limits)
    assert 'chumpy' not in sys.modules


def test_the_converted_hand_works_like_the_projects_own(hand: HandModel, chumpy, tmp_path: Path) -> None:
    (tmp_path / 'MANO_RIGHT.pkl').write_bytes(python2(mano_content(hand, chumpy)))
    command = [sys.executable, '-m', 'training.hand.mano', '--pickle', 'MANO_RIGHT.pkl', '--out', 'hand.npz']
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and '1159 vertices' in done.stdout, done.stderr
    model = HandModel.load(tmp_path / 'hand.npz')
    carrier = model.weights.argmax(1)
    for tip, joint in zip(model.tips, TIP_JOINTS, strict=True):
        row = int(np.linalg.norm(model.template - tip, axis=1).argmin())
        assert carrier[row] == joint and np.linalg.norm(tip - hand.tips[TIP_JOINTS.index(joint)]) < 0.015

    generator = np.random.default_rng(20)
    for side in (model, model.mirrored()):
        angles = generator.uniform(side.limits[..., 0], side.limits[..., 1])
        geometry = side.forward(side.pose_of(angles), generator.normal(size=10), generator.normal(size=3))
        assert geometry.vertices.shape == (1159, 3)
        assert HandFitter(side).fit(geometry.keypoints).residual < 1e-3


def test_778_vertices_take_the_known_fingertips(hand: HandModel, chumpy, tmp_path: Path) -> None:
    rows = np.random.default_rng(21).permutation(len(hand.template))[:778]
    path = tmp_path / 'MANO_RIGHT.pkl'
    path.write_bytes(python2(mano_content(hand, chumpy, rows)))
    model = convert(path)
    np.testing.assert_array_equal(model.tips, model.template[MANO_TIPS])
    np.testing.assert_array_equal(model.tip_shape_basis, model.shape_basis[MANO_TIPS])
    assert model.forward(np.zeros(48), np.zeros(10), np.zeros(3)).vertices.shape == (778, 3)


def test_anatomical_axes_follow_the_hand_in_any_frame(hand: HandModel) -> None:
    joints, tips = hand.joints.astype(float), hand.tips.astype(float)
    axes = anatomical_axes(joints, tips)
    apart = np.degrees(np.arccos(np.clip((axes * hand.axes).sum(1), -1, 1)))
    assert apart[1:13].max() < 12 and apart[13:].max() < 25
    turn = np.linalg.qr(np.random.default_rng(22).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = anatomical_axes(joints @ turn.T + 1, tips @ turn.T + 1)
    np.testing.assert_allclose(moved[1:], turn @ axes[1:], atol=1e-9)


def test_a_left_hand_is_refused_with_the_mend(hand: HandModel, chumpy, tmp_path: Path) -> None:
    path = tmp_path / 'MANO_LEFT.pkl'
    path.write_bytes(python2(mano_content(hand.mirrored(), chumpy)))
    with pytest.raises(ManoFileError, match=r'MANO_LEFT.pkl: this is a left hand: convert MANO_RIGHT.pkl'):
        convert(path)


class Asks:
    """Unpickles to the result of a call."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.arguments


MARKER = 'marker'
TOUCH = f'open({MARKER!r}, "w").close()'
ATTACKS = {
    'os.system': Asks(os.system, f'touch {MARKER}'),
    'subprocess': Asks(subprocess.call, ['touch', MARKER]),
    'eval': Asks(builtins.eval, TOUCH),
    'exec': Asks(builtins.exec, TOUCH),
    'open': Asks(builtins.open, MARKER, 'w'),
    'copy': Asks(shutil.copy, os.devnull, MARKER),
    'a method of an array': Asks(np.ndarray.tofile, np.zeros(1), MARKER),
    'numpy.testing': f'cnumpy.testing\nrunstring\n(V{TOUCH}\n}}tR.'.encode(),
    'instance opcode': f'(Vtouch {MARKER}\nios\nsystem\n.'.encode(),
}


@pytest.mark.parametrize('attack', ATTACKS)
def test_a_pickle_that_asks_for_anything_else_is_refused_and_nothing_runs(
    hand: HandModel, tmp_path: Path, monkeypatch, attack: str
) -> None:
    monkeypatch.chdir(tmp_path)
    payload = ATTACKS[attack]
    if isinstance(payload, Asks):
        payload = pickle.dumps({'v_template': hand.template, 'bs_type': payload})
    path = tmp_path / 'MANO_RIGHT.pkl'
    path.write_bytes(payload)
    with pytest.raises(ManoFileError, match='refused, and nothing run: it asks for'):
        convert(path)
    assert not Path(MARKER).exists()
    pickle.loads(payload)
    assert Path(MARKER).exists(), 'the attack is not one: this test proves nothing'


@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (lambda content: content.pop('posedirs'), 'lacks posedirs'),
        (lambda content: content.update(weights=content['weights'][:, :15]), r'\(200, 15\), expected \(200, 1'),
        (lambda content: content.update(f=content['f'] + 1), 'f names vertices'),
        (lambda content: content.update(v_template=content['v_template'] * np.nan), 'v_template has numbers'),
        (lambda content: content.update(v_template=np.array([None])), 'v_template cannot be rebuilt'),
        (lambda content: content.update(kintree_table=content['kintree_table'][::-1]), 'kintree_table has the'),
    ],
)
def test_damaged_content_is_named(hand: HandModel, chumpy, tmp_path: Path, spoil, said: str) -> None:
    content = mano_content(hand, chumpy, np.arange(200))
    spoil(content)
    path = tmp_path / 'MANO_RIGHT.pkl'
    path.write_bytes(python2(content))
    with pytest.raises(ManoFileError, match=said):
        convert(path)


def test_damaged_files_are_named(hand: HandModel, chumpy, tmp_path: Path) -> None:
    whole = python2(mano_content(hand, chumpy, np.arange(200)))
    for content, said in (
        (whole[:-20000], 'not a readable pickle'),
        (b'', 'not a readable pickle'),
        (b'GIF89a', 'not a readable pickle'),
        (pickle.dumps([1, 2]), 'holds a list'),
    ):
        path = tmp_path / 'MANO_RIGHT.pkl'
        path.write_bytes(content)
        with pytest.raises(ManoFileError, match=said):
            convert(path)
    with pytest.raises(ManoFileError, match='no such file'):
        convert(tmp_path / 'absent.pkl')
