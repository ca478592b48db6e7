# SPDX-License-Identifier: Apache-2.0
"""What ROS refuses at the start of a process is one line that names the file, its line and the remedy."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rclpy.context import Context

from hoi_ros.nodes.runtime.parameter_sources import unused_sources
from hoi_ros.nodes.runtime.starting import start_ros
from hoi_ros.nodes.runtime.starting import StartRefused

ROOT = Path(__file__).parents[3]
NODES = sorted(f'hoi_ros.nodes.{path.stem}' for path in (ROOT / 'hoi_ros' / 'nodes').glob('[a-z]*.py'))
FILES = {
    'broken.yaml': 'depth_pose:\n  ros__parameters:\n    min_score: [1, a\n',
    'tab.yaml': 'depth_pose:\n  ros__parameters:\n\tmin_score: 0.4\n',
    'bare.yaml': 'depth_pose:\n  min_score: 0.4\n',
    'mixed.yaml': 'depth_pose:\n  ros__parameters:\n    min_score: [1, x]\n',
}
REFUSED = {
    '--params-file {folder}/absent.yaml': ('{folder}/absent.yaml', 'No such file', 'existing file'),
    '--params-file {folder}': ('{folder}', 'Is a directory'),
    '--params-file {folder}/broken.yaml': ('{folder}/broken.yaml:4:1', "expected ',' or ']'"),
    '--params-file {folder}/tab.yaml': ('{folder}/tab.yaml:3:1', r"'\t'"),
    '--params-file {folder}/bare.yaml': ('{folder}/bare.yaml:2 ', 'ros__parameters: {{NAME: VALUE}}'),
    '--params-file {folder}/mixed.yaml': ('{folder}/mixed.yaml:3 ', 'same type'),
    '-r image': ("remap rule 'image'", 'expected FROM:=TO'),
    '-r image:=/1st/image': ("remap rule 'image:=/1st/image'", 'begin with no digit'),
    '-r __ns:=robot': ("remap rule '__ns:=robot'", 'a namespace begins with /'),
    '-r __node:=my-node': ("remap rule '__node:=my-node'", 'letters, digits and underscores'),
    '-p min_score': ("override rule 'min_score'", 'NAME:=VALUE'),
    '--log-level loud': ("log level 'loud'", 'debug, info'),
    '--parameters x.yaml': ('--parameters',),
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize('arguments', REFUSED)
def test_a_refused_argument_is_named_with_its_file_and_line(folder, arguments):
    given = ['--ros-args', *arguments.format(folder=folder).split()]
    with pytest.raises(StartRefused) as refused:
        start_ros(given, Context())
    for part in REFUSED[arguments]:
        assert part.format(folder=folder) in str(refused.value)
    assert '/src/' not in str(refused.value)


@pytest.mark.slow
@pytest.mark.ros
def test_every_command_that_takes_ros_arguments_ends_with_one_line_and_a_code(folder):
    picture = folder / 'depth' / '1.png'
    picture.parent.mkdir()
    cv2.imwrite(str(picture), np.full((48, 64), 600, np.uint16))
    replay = ('hoi_ros.replay', '--ros', '--depth', str(picture.parent))
    camera = ('--camera', str(ROOT / 'tests' / 'data' / 'sr305_camera.yaml'))
    commands = [*((node,) for node in NODES), (*replay, *camera, '--depth-scale', '0.001')]
    file = folder / 'broken.yaml'
    for command in commands:
        code, lines = run(*command, '--ros-args', '--params-file', str(file))
        assert code == 2
        assert len(lines) == 1 and f'cannot start: the parameter file {file}:4:1' in lines[0]


@pytest.mark.slow
@pytest.mark.ros
def test_a_bad_parameter_that_every_node_has_is_one_line_too():
    code, lines = run(NODES[0], '--ros-args', '-p', 'use_sim_time:=maybe')
    assert code == 2
    assert len(lines) == 1 and "'use_sim_time' to 'maybe'" in lines[0]


@pytest.mark.slow
@pytest.mark.ros
def test_every_node_explains_its_arguments_and_refuses_others():
    topics = {'depth_pose': 'depth, camera_info', 'reconstruction': 'image, camera_info, depth'}
    topics['contact'] = 'reconstruction/hands, reconstruction/objects, reconstruction/mesh_topology'
    topics['two_hand_prior'] = 'depth_pose/hands, depth_pose/mesh_topology'
    for node in NODES:
        ended = subprocess.run([sys.executable, '-m', node, '--help'], capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0 and ended.stdout.startswith('usage: ')
        assert topics.get(node.rpartition('.')[2], 'camera_info') in ended.stdout and 'node: ' not in ended.stderr
        for part in ('--params-file', '-p NAME:=VALUE', '-r __ns:=', 'The '):
            assert part in ended.stdout
        code, lines = run(node, '--depth', '/camera/depth')
        assert code == 2 and len(lines) == 1 and 'unknown arguments --depth /camera/depth: ' in lines[0]


FILE = """
depthpose: {ros__parameters: {min_score: 0.4}}
left: {"*": {ros__parameters: {max_hands: 1}}}
"""


def test_files_and_rules_for_other_nodes_are_named(tmp_path):
    file = tmp_path / 'a.yaml'
    file.write_text(FILE)
    arguments = ['--ros-args', '--params-file', str(file), '-p', 'depthpose:min_score:=0.4', '-p', 'min_score:=0.4']
    first, second = unused_sources(arguments, '/depth_pose')
    assert first.startswith(f'the parameter file {file} has nothing for /depth_pose, only for /depthpose, /left/*: ')
    assert second.startswith('-p depthpose:min_score:=0.4 is for the node depthpose')
    assert unused_sources(arguments[:3], '/left/depth_pose') == unused_sources(arguments[:3], '/depthpose') == []
    assert unused_sources(arguments[1:3], '/depth_pose') == []
    for path in sorted((ROOT / 'config').glob('*.yaml')):
        for node in (f'/{path.stem}', f'/a/b/{path.stem}'):
            assert unused_sources(['--ros-args', '--params-file', str(path)], node) == []
        assert unused_sources(['--ros-args', '--params-file', str(path)], '/other')


def run(*arguments):
    """The exit code of a module and what it prints as an error, without the lines that rcl itself logs."""
    ended = subprocess.run([sys.executable, '-m', *arguments], capture_output=True, text=True, timeout=120)
    return ended.returncode, [line for line in ended.stderr.splitlines() if '[rcl]' not in line]
