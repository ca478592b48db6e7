# SPDX-License-Identifier: Apache-2.0
"""The steps of docs/ros2.md, of the Dockerfile and of the workflow are the same, and the optional packages optional."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from catkin_pkg.package import parse_package

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WORKFLOW = ROOT / '.github' / 'workflows' / 'ci.yml'
OPTIONAL = {'realsense2_camera', 'rviz2', 'vision_msgs_rviz_plugins'}


def steps_of_page() -> list[str]:
    """The commands of the block "Install", as root runs them."""
    block = re.search(r'```bash title="Install"\n(.*?)```', (ROOT / 'docs' / 'ros2.md').read_text(), re.DOTALL)[1]
    return [' '.join(line.split()).removeprefix('sudo ') for line in block.replace('\\\n', ' ').splitlines()]


def steps_of_dockerfile() -> list[str]:
    text = (ROOT / 'docker' / 'Dockerfile').read_text().replace('\\\n', ' ')
    runs = [line.removeprefix('RUN ') for line in text.splitlines() if line.startswith('RUN ')]
    return [' '.join(step.split()) for run in runs for step in run.split('&&')]


def steps_of_workflow() -> list[str]:
    job = yaml.safe_load(WORKFLOW.read_text())['jobs']['ros-jazzy']
    return [line for step in job['steps'] if 'run' in step for line in step['run'].splitlines()]


@pytest.mark.parametrize('steps', [steps_of_dockerfile, steps_of_workflow])
def test_the_steps_are_those_of_the_page_in_its_order(steps):
    remaining = iter(steps())
    missing = [step for step in steps_of_page()[:-1] if step not in remaining]
    assert missing == []
    assert steps_of_page()[-1] == 'source install/setup.bash'
    entry = (ROOT / 'docker' / 'Dockerfile').read_text() + WORKFLOW.read_text()
    assert entry.count('source install/setup.bash') == 2


def test_pip_installs_exactly_what_rosdep_does_not():
    (pip,) = (step for step in steps_of_page() if step.startswith('pip install'))
    named = set(re.split(r'[\s"<>=0-9.]+', pip.removeprefix('pip install'))) - {''}
    runtime = {
        re.split('[<>=]', line)[0]
        for line in (ROOT / 'requirements' / 'runtime.txt').read_text().splitlines()
        if not line.startswith('#')
    }
    from_rosdep = {'numpy', 'opencv-python-headless', 'scipy', 'PyYAML'}
    assert named == runtime - from_rosdep | {'numpy'}


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_rviz_and_the_realsense_driver_are_installed_on_request():
    def required(**environment: str) -> set[str]:
        package = parse_package(ROOT / 'package.xml')
        package.evaluate_conditions(environment)
        return {dependency.name for dependency in package.exec_depends if dependency.evaluated_condition}

    assert required() & OPTIONAL == set()
    assert required(HOI_ROS_CAMERA='realsense') & OPTIONAL == {'realsense2_camera'}
    assert required(HOI_ROS_RVIZ='yes') & OPTIONAL == OPTIONAL - {'realsense2_camera'}


def test_the_launch_arguments_of_the_page_exist():
    text = (ROOT / 'docs' / 'ros2.md').read_text()
    arguments = {
        name
        for command in re.findall(r'ros2 launch hoi_ros .*?(?:\n(?!    )|```)', text, re.DOTALL)
        for name in re.findall(r'(\w+):=', command)
    }
    sources = ''.join(path.read_text() for path in (ROOT / 'hoi_ros' / 'launching').glob('*.py'))
    assert arguments and {name for name in arguments if f"'{name}'" not in sources} == set()


def test_actionlint_accepts_the_workflow():
    result = subprocess.run([BIN / 'actionlint', WORKFLOW], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_pre_commit_runs_the_tools_of_this_environment():
    config = ROOT / '.pre-commit-config.yaml'
    result = subprocess.run(
        [BIN / 'pre-commit', 'validate-config', config], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (repository,) = yaml.safe_load(config.read_text())['repos']
    assert repository['repo'] == 'local'
    for hook in repository['hooks']:
        assert hook['entry'].startswith('.venv/bin/') and (BIN / Path(hook['entry'].split()[0]).name).exists()
