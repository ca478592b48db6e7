# SPDX-License-Identifier: Apache-2.0
import ast
import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON_FOLDERS = ('hoi_ros', 'training', 'tests', 'benchmarks', 'launch', 'scripts', 'examples')
SOURCE_FOLDERS = (*PYTHON_FOLDERS, 'msg', 'srv', 'interfaces', 'config', '.ci')
SOURCE_SUFFIXES = {'.py', '.sh', '.msg', '.srv', '.xml', '.yaml', '.in', '.txt'}
NODES = tuple(
    f'{path.stem}_node' for path in sorted((ROOT / 'hoi_ros' / 'nodes').glob('*.py')) if path.stem != '__init__'
)

# The package of each ROS module that has another name.
ROS_PACKAGES = {'tf2_ros': 'tf2_ros_py'}
# rosdep's key for each module that has another name.
ROSDEP_KEYS = {
    'cv2': 'python3-opencv',
    'numpy': 'python3-numpy',
    'scipy': 'python3-scipy',
    'yaml': 'python3-yaml',
}
# pip's name for each module that has another name.
DISTRIBUTIONS = {
    'catkin_pkg': 'catkin-pkg',
    'cv2': 'opencv-python-headless',
    'google': 'onnx',
    'lightning_fabric': 'lightning-fabric',
    'yaml': 'PyYAML',
}
PURPOSES = ('runtime', 'demo', 'training', 'test', 'docs')
# Installed by who has an NVIDIA GPU, and in an environment of its own by who measures the renders' realism.
OPTIONAL_MODULES = {'mediapipe', 'tensorrt'}
ROS_MODULES = re.compile(
    r'rclpy|.*_msgs|.*_srvs|.*_interfaces|sensor_msgs_py|tf2_ros|cv_bridge|launch|launch_ros|ament_index_python'
)

# What runs on the robot loads none of these, whatever else is installed.
OFFLINE_MODULES = (
    'training',
    'torch',
    'onnx',
    'onnxruntime',
    'open3d',
    'trimesh',
    'matplotlib',
    'imageio',
)

ALLOWED_IMPORTS = {
    'mesh': {'mesh'},
    'hand': {'hand', 'mesh', 'resources'},
    'camera': {'camera', 'resources'},
    'engines': {'engines', 'resources'},
    'drawing': {'drawing', 'hand', 'camera', 'mesh'},
    'stages': {'stages', 'engines', 'camera', 'hand', 'mesh', 'resources'},
}


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob('*.py'))]


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = '.'.join([*package, *([node.module] if node.module else [])])
            yield module
            yield from (f'{module}.{alias.name}' for alias in node.names)


def top_level(path: Path) -> set[str]:
    return {module.partition('.')[0] for module in imported_modules(path)}


def identifiers(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def declared_dependencies() -> set[str]:
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    return {element.text for element in package if element.tag.endswith('depend')}


def install_prefix() -> Path:
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if (Path(prefix) / 'share' / 'hoi_ros' / 'package.xml').exists():
            return Path(prefix)
    pytest.fail("hoi_ros is not installed: run 'make build' and source env.sh")


def test_package_manifest_describes_the_package():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    assert package.findtext('name') == 'hoi_ros'
    assert package.findtext('license') == 'Apache-2.0'
    assert package.findtext('export/build_type') == 'ament_cmake'
    assert package.find('license').get('file') == 'LICENSE' and (ROOT / 'LICENSE').exists()
    assert re.fullmatch(r'[^@\s]+@[^@\s]+\.[a-z]+', package.find('maintainer').get('email'))


def test_package_manifest_names_every_ros_import():
    modules = set().union(*(top_level(path) for path in python_files('hoi_ros', 'launch', 'examples')))
    names = ROSDEP_KEYS | ROS_PACKAGES
    needed = {names.get(module, module) for module in modules if module in names or ROS_MODULES.fullmatch(module)}
    assert needed - declared_dependencies() == set()


def requirement_names(purpose: str) -> set[str]:
    lines = (ROOT / 'requirements' / f'{purpose}.txt').read_text().splitlines()
    return {re.split('[<>=]', line)[0] for line in lines if line and not line.startswith('#')}


def test_requirements_name_every_other_import():
    modules = set().union(*(top_level(path) for path in python_files(*PYTHON_FOLDERS)))
    foreign = {
        DISTRIBUTIONS.get(module, module)
        for module in modules - sys.stdlib_module_names - {*PYTHON_FOLDERS} - OPTIONAL_MODULES
        if not ROS_MODULES.fullmatch(module)
    }
    assert foreign - set().union(*(requirement_names(purpose) for purpose in PURPOSES)) == set()


def test_rosdep_names_what_pip_installs_on_the_robot():
    from_rosdep = {DISTRIBUTIONS.get(module, module) for module in ROSDEP_KEYS}
    assert from_rosdep < requirement_names('runtime')
    assert set(ROSDEP_KEYS.values()) < declared_dependencies()


@pytest.mark.parametrize('purpose', PURPOSES)
def test_every_requirement_is_pinned(purpose: str):
    assert requirement_names(purpose) - requirement_names('constraints') == set()


@pytest.mark.parametrize('node', NODES)
def test_node_executables_are_installed(node: str):
    executable = install_prefix() / 'lib' / 'hoi_ros' / node
    assert executable.stat().st_mode & stat.S_IXUSR
    interpreter = executable.read_text().splitlines()[0].removeprefix('#!')
    assert os.access(interpreter, os.X_OK)
    module = node.removesuffix('_node')
    assert f'from hoi_ros.nodes.{module} import main' in executable.read_text()
    tree = ast.parse((ROOT / 'hoi_ros' / 'nodes' / f'{module}.py').read_text())
    assert 'main' in {part.name for part in tree.body if isinstance(part, ast.FunctionDef)}


@pytest.mark.parametrize('example', [path.name for path in python_files('examples')])
def test_examples_are_installed(example: str):
    assert os.access(install_prefix() / 'lib' / 'hoi_ros' / example, os.X_OK)


@pytest.mark.parametrize('resource', ['config', 'launch', 'models', 'rviz'])
def test_resources_are_installed(resource: str):
    source = {path.relative_to(ROOT) for path in (ROOT / resource).rglob('*') if '__pycache__' not in path.parts}
    share = install_prefix() / 'share' / 'hoi_ros'
    assert {path for path in source if not (share / path).exists()} == set()


def test_messages_meet_the_source_tree():
    import hoi_ros.hand
    from hoi_ros.msg import Hand
    from hoi_ros.msg import HandArray
    from hoi_ros.msg import HeldObjectArray
    from hoi_ros.msg import MeshTopology

    assert Path(hoi_ros.hand.__file__).name == '__init__.py'
    assert Hand.LEFT == 0 and Hand.RIGHT == 1
    assert Hand().joints.shape == (63,) and Hand().pose.shape == (48,) and Hand().shape.shape == (10,)
    assert list(HandArray().hands) == [] and list(HeldObjectArray().objects) == []
    assert len(MeshTopology().joint_names) == 21 and len(MeshTopology().bones) == 40


def test_message_comment_and_skeleton_name_the_same_joints():
    from hoi_ros.hand import KEYPOINT_NAMES

    block = (ROOT / 'msg' / 'Hand.msg').read_text().partition('joint after joint:')[2].partition('float32[63]')[0]
    named = re.findall(r'(\d+) (\w+(?: (?:[A-Z]+|tip))?)', block)
    assert [name.lower().replace(' ', '_') for _, name in named] == list(KEYPOINT_NAMES)
    assert [int(number) for number, _ in named] == list(range(21))


def test_message_constants_name_the_joints_by_their_index():
    from hoi_ros.hand import KEYPOINT_NAMES
    from hoi_ros.msg import Hand

    assert [getattr(Hand, name.upper()) for name in KEYPOINT_NAMES] == list(range(21))


@pytest.mark.parametrize('path', identifiers(python_files('hoi_ros')))
def test_imports_run_one_way(path: str):
    modules = set(imported_modules(ROOT / path))
    assert not any(module.partition('.')[0] in ('training', 'tests', 'benchmarks') for module in modules)
    folder = Path(path).parts[1]
    own = {module.split('.')[1] for module in modules if module.startswith('hoi_ros.')}
    if folder in ALLOWED_IMPORTS:
        assert own - ALLOWED_IMPORTS[folder] == set()
    if folder not in ('nodes', 'launching', 'playback'):
        assert not any(ROS_MODULES.fullmatch(module.partition('.')[0]) for module in modules)
        assert 'msg' not in own


@pytest.mark.parametrize('path', identifiers(python_files('training')))
def test_training_knows_no_ros(path: str):
    modules = set(imported_modules(ROOT / path))
    assert not any(ROS_MODULES.fullmatch(module.partition('.')[0]) for module in modules)
    assert not any(module.startswith(('hoi_ros.nodes', 'hoi_ros.msg')) for module in modules)


@pytest.mark.parametrize(
    'module',
    [
        'nodes.contact',
        'nodes.depth_pose',
        'nodes.reconstruction',
        'nodes.sim_camera',
        'nodes.two_hand_prior',
        'stages.depth_pose',
        'stages.reconstruction',
        'replay',
        'demo',
    ],
)
def test_the_robot_loads_no_training_package(module: str):
    program = f'import sys, hoi_ros.{module}; print(*(set(sys.modules) & set({OFFLINE_MODULES!r})))'
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.split() == []


def source_files() -> list[Path]:
    paths = [path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob('*')]
    named = [
        ROOT / name for name in ('CMakeLists.txt', 'Makefile', 'env.sh', 'package.xml', 'pyproject.toml', 'setup.py')
    ]
    sources = [path for path in paths if path.suffix in SOURCE_SUFFIXES or path.name == 'run']
    return named + [path for path in sources if not path.is_relative_to(ROOT / 'tests' / 'data')]


def test_every_source_file_names_its_licence():
    def licensed(path: Path) -> bool:
        return any('SPDX-License-Identifier: Apache-2.0' in line for line in path.read_text().splitlines()[:4])

    unlicensed = [path for path in source_files() if path.stat().st_size > 0 and not licensed(path)]
    assert identifiers(unlicensed) == []


def test_resources_are_found_beside_the_source_or_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from hoi_ros import resources

    monkeypatch.delenv('HOI_ROS_MODELS', raising=False)
    assert resources.models_dir() == ROOT / 'models'
    monkeypatch.setenv('HOI_ROS_MODELS', str(tmp_path))
    assert resources.models_dir() == tmp_path
    monkeypatch.setenv('HOI_ROS_MODELS', str(tmp_path / 'absent'))
    with pytest.raises(resources.ResourceError, match='absent'):
        resources.models_dir()


def test_resources_are_found_in_an_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from hoi_ros import resources

    installed = tmp_path / 'prefix' / 'share' / 'hoi_ros' / 'models'
    installed.mkdir(parents=True)
    monkeypatch.delenv('HOI_ROS_MODELS', raising=False)
    monkeypatch.setattr(resources, '_PACKAGE', tmp_path / 'site-packages' / 'hoi_ros')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path}/other{os.pathsep}{tmp_path}/prefix')
    assert resources.models_dir() == installed
    monkeypatch.setenv('AMENT_PREFIX_PATH', '')
    with pytest.raises(resources.ResourceError, match='no models folder'):
        resources.models_dir()
