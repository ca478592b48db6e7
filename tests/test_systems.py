# SPDX-License-Identifier: Apache-2.0
"""The entries of the systems, and that a new system needs nothing but its own files and its entry."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from hoi_ros.systems import DEFAULT
from hoi_ros.systems import system_of
from hoi_ros.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
OWN_FILES = ROOT / 'tests' / 'sixth_system'
FIELDS = {'training/data/public/preview.py: contact'}
"""Fields of samples that have the name of a system."""
OWN = (*SYSTEMS, 'two_hand')
"""What files of one system are named after: the system, or its subject."""
ENTRY = """    System(
        name='nearest_point',
        stage='hoi_ros.stages.nearest_point:NearestPointStage',
        images=('depth',),
        shown='markers',
    ),
)

SYSTEMS:"""


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    """A copy of the tree with a sixth system: four files of its own, generated parameters and one entry."""
    tree = tmp_path_factory.mktemp('tree')
    for name in ('hoi_ros', 'benchmarks', 'launch', 'config'):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns('__pycache__', 'results'))
    (tree / 'models').symlink_to(ROOT / 'models')
    for source, target in (
        ('stage.py', 'hoi_ros/stages/nearest_point.py'),
        ('node.py', 'hoi_ros/nodes/nearest_point.py'),
        ('launch_file.py', 'launch/nearest_point.launch.py'),
    ):
        shutil.copy(OWN_FILES / source, tree / target)
    entries = tree / 'hoi_ros' / 'systems.py'
    text = entries.read_text()
    assert text.count(')\n\nSYSTEMS:') == 1
    entries.write_text(text.replace(')\n\nSYSTEMS:', ENTRY))
    run(tree, '-m', 'hoi_ros.nodes.runtime.parameter_files')
    return tree


def run(tree: Path, *arguments: str, path: str = '') -> str:
    """What Python prints in the copied tree; it must succeed."""
    others = [each for each in os.environ.get('PYTHONPATH', '').split(os.pathsep) if each and Path(each) != ROOT]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([*filter(None, [path]), str(tree), *others])}
    result = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_sixth_system_is_replayed(tree, tmp_path):
    folder = tmp_path / 'depth'
    folder.mkdir()
    depth = np.full((60, 80), 900, np.uint16)
    depth[20, 30] = 400
    for number in range(3):
        cv2.imwrite(str(folder / f'{number}.png'), depth)
    camera = {
        'image_width': 80,
        'image_height': 60,
        'distortion_model': 'plumb_bob',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': [70.0, 0, 40, 0, 70.0, 30, 0, 0, 1]},
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.0] * 5},
    }
    (tmp_path / 'camera.yaml').write_text(yaml.safe_dump(camera))
    out = tmp_path / 'out'
    arguments = ('--camera', str(tmp_path / 'camera.yaml'), '--depth-scale', '0.001', '--out', str(out))
    printed = run(tree, '-m', 'hoi_ros.replay', '--stage', 'nearest_point', '--depth', str(folder), *arguments)
    assert 'with hands  3' in printed
    record = json.loads((out / 'results.jsonl').read_text().splitlines()[0])
    wrist = np.array(record['hands'][0]['joints'][0])
    np.testing.assert_allclose(wrist, [(30 - 40) / 70 * 0.4, (20 - 30) / 70 * 0.4, 0.4], atol=1e-4)
    assert len(list((out / 'overlays').glob('*.png'))) == 3


@pytest.mark.slow
def test_a_sixth_system_runs_in_the_demo(tree, tmp_path):
    out = tmp_path / 'demo'
    printed = run(tree, '-m', 'hoi_ros.demo', '--stage', 'nearest_point', '--seconds', '2', '--out', str(out))
    assert 'nearest_point on a simulated camera' in printed and 'mean joint error' in printed
    assert (out / 'nearest_point.png').is_file() and (out / 'nearest_point.mp4').is_file()


@pytest.mark.slow
def test_a_sixth_system_is_measured(tree, tmp_path):
    arguments = ('--seconds', '1', '--name', 'test', '--out', str(tmp_path), '--logs', str(tmp_path / 'logs'))
    printed = run(tree, '-m', 'benchmarks', '--parts', 'nearest_point_stage', 'nearest_point_topics', *arguments)
    figures = json.loads((tmp_path / 'test.json').read_text())
    assert figures['nearest_point_stage']['one hand']['hands_a_frame'] == 1
    assert figures['nearest_point_topics']['traffic']['frames_out'] > 10
    assert 'nearest_point' in printed


def test_a_sixth_system_is_launched(tree):
    stand_in = str(ROOT / 'tests' / 'launching' / 'stand_in') if not importlib.util.find_spec('launch_ros') else ''
    program = (
        'import runpy\n'
        'made = runpy.run_path("launch/nearest_point.launch.py")["generate_launch_description"]()\n'
        'print(len(made.entities))'
    )
    assert int(run(tree, '-c', program, path=stand_in)) > 8
    parameters = yaml.safe_load((tree / 'config' / 'nearest_point.yaml').read_text())
    assert parameters['/**/nearest_point']['ros__parameters']['input_timeout'] == 1.0


def test_an_unknown_system_is_named():
    with pytest.raises(ValueError, match="the system is 'feet', expected depth_pose or"):
        system_of('feet')
    assert system_of(DEFAULT) is SYSTEMS[DEFAULT]


def names_in(path: Path) -> list[str]:
    """The paths, topics and modules of a file: dotted modules that it imports, and texts without spaces. Words of
    sentences, attributes, variables and keys may be those of the field, `contact` among them."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    passed = {id(key) for node in nodes if isinstance(node, ast.Dict) for key in node.keys}
    passed |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings
    found = []
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            found.append(f'{node.module}.{node.names[0].name}')
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and id(node) not in passed and ' ' not in str(node.value):
            found.append(str(node.value))
    return [each for each in found if not each.startswith('hoi_ros.mesh.')]


def names_a_system(text: str) -> bool:
    return any(re.search(rf'(?<!\w){name}(?!\w)', text) for name in SYSTEMS)


def is_own_file(path: Path) -> bool:
    """Whether a file belongs to one system: the file or its folder is named after it."""
    return any(part.partition('.')[0].startswith(OWN) for part in path.parts)


def test_no_shared_code_names_a_system():
    """Entries, a system's own files and documents may name it; nothing else does."""
    entries = {ROOT / 'hoi_ros' / 'systems.py', ROOT / 'training' / 'systems.py'}
    named = [
        f'{path.relative_to(ROOT)}: {text}'
        for folder in ('hoi_ros', 'training', 'benchmarks', 'launch', 'scripts')
        for path in sorted((ROOT / folder).rglob('*.py'))
        if path not in entries and not is_own_file(path.relative_to(ROOT))
        for text in names_in(path)
        if names_a_system(text)
    ]
    assert set(named) == FIELDS


def test_a_module_a_topic_and_a_stage_name_a_system(tmp_path):
    named = tmp_path / 'named.py'
    named.write_text(
        '"""Of reconstruction."""\nfrom hoi_ros.stages.reconstruction import Stage\n\nTOPIC = "/depth_pose/hands"\n'
        'word = f"the contact of {Stage}"\ncontact = Stage.contact\nSTAGE = "contact"\n'
    )
    assert [text for text in names_in(named) if names_a_system(text)] == [
        'hoi_ros.stages.reconstruction.Stage',
        '/depth_pose/hands',
        'contact',
    ]
