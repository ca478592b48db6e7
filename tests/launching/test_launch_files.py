# SPDX-License-Identifier: Apache-2.0
"""What the launch files start. Where ROS 2's `launch` is not installed, `stand_in/` evaluates the descriptions."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
import yaml

from hoi_ros.systems import PIPELINE
from hoi_ros.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'launch'
REAL = importlib.util.find_spec('launch_ros') is not None
DEPTH = '/camera/camera/aligned_depth_to_color/image_raw'
WITH_CAMERA = pytest.mark.parametrize('system', [name for name, system in SYSTEMS.items() if system.images])
EVERY = pytest.mark.parametrize('system', SYSTEMS)
BESIDE = [name for name, system in SYSTEMS.items() if not system.images]
"""Systems that stand on another: launched with its nodes and the camera, or alone."""
WITH_ALL = {'pipeline': PIPELINE} | {
    name: name for name in BESIDE if 'system_launch(' in (LAUNCH / f'{name}.launch.py').read_text()
}
ALONE = pytest.mark.parametrize('system', [name for name in BESIDE if name not in WITH_ALL])
DRIVER = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

NAMES = 'camera_name', 'serial_no', 'tf_prefix', 'align_depth.enable', 'enable_sync', 'rgb_camera.color_profile'


def generate_launch_description():
    return LaunchDescription([DeclareLaunchArgument(name, default_value='', description=name) for name in NAMES])
"""


@pytest.fixture(scope='module', autouse=True)
def launch_packages(tmp_path_factory):
    prefix = tmp_path_factory.mktemp('driver')
    index = prefix / 'share/ament_index/resource_index/packages'
    folder = prefix / 'share/realsense2_camera/launch'
    index.mkdir(parents=True), folder.mkdir(parents=True)
    (index / 'realsense2_camera').touch()
    (folder / 'rs_launch.py').write_text(DRIVER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('AMENT_PREFIX_PATH', f'{prefix}:{os.environ["AMENT_PREFIX_PATH"]}')
        for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTDDS_BUILTIN_TRANSPORTS'):
            patch.delenv(name, raising=False)
        yield from packages()


def packages():
    if REAL:
        yield
        return
    sys.path.insert(0, str(Path(__file__).with_name('stand_in')))
    yield
    sys.path.pop(0)
    for name in [name for name in sys.modules if name.partition('.')[0] in ('launch', 'launch_ros')]:
        del sys.modules[name]
    for name in [name for name in sys.modules if name.startswith('hoi_ros.launching')]:
        del sys.modules[name]


def start(file, **arguments):
    """Evaluates a launch file, starts no process: {executable: the node's action}."""
    import launch.actions
    import launch_ros.actions

    import launch

    spec = importlib.util.spec_from_file_location(f'{file}_launch', LAUNCH / f'{file}.launch.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    entities = []
    for entity in description.entities:
        if isinstance(entity, launch.actions.DeclareLaunchArgument):
            entity.execute(context)
        elif isinstance(entity, launch.actions.OpaqueFunction):
            entities += entity.execute(context)
        else:
            entities.append(entity)
    nodes = {}
    for action in entities:
        if action.condition is not None and not action.condition.evaluate(context):
            continue
        if isinstance(action, launch_ros.actions.Node):
            action._perform_substitutions(context)
            nodes[action.node_executable] = action
        else:
            nodes['realsense'] = action
    return nodes


def remapped(node) -> dict[str, str]:
    return dict(node.expanded_remapping_rules or ())


@WITH_CAMERA
def test_the_driver_gets_its_own_arguments_and_nothing_else(system):
    """It warns of each argument that it does not know, and its `tf_prefix` would rename its frames."""
    from launch.actions import GroupAction
    from launch.actions import IncludeLaunchDescription
    from launch.actions import ResetLaunchConfigurations

    given = {'serial_no': '_1234', 'enable_sync': 'false', 'tf_prefix': 'left/', 'camera_name': 'head'}
    group = start(system, image='/head/image', **given)['realsense']
    assert isinstance(group, GroupAction)
    parts = group.get_sub_entities()
    assert any(isinstance(part, ResetLaunchConfigurations) for part in parts)
    (driver,) = (part for part in parts if isinstance(part, IncludeLaunchDescription))
    assert dict(driver.launch_arguments) == {
        'serial_no': '_1234',
        'enable_sync': 'false',
        'tf_prefix': '',
        'camera_name': 'camera',
        'align_depth.enable': 'true',
        'rgb_camera.color_profile': '640x480x30',
    }


@WITH_CAMERA
def test_the_driver_has_shared_memory_for_its_images_unless_the_user_has_chosen(system, monkeypatch):
    from launch.actions import SetEnvironmentVariable

    def chosen():
        return [
            part for part in start(system)['realsense'].get_sub_entities() if isinstance(part, SetEnvironmentVariable)
        ]

    assert len(chosen()) == 1
    monkeypatch.setenv('FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4')
    assert not chosen()


@WITH_CAMERA
def test_a_real_camera_is_the_default(system):
    nodes = start(system)
    assert set(nodes) == {f'{system}_node', 'realsense'}
    topics = remapped(nodes[f'{system}_node'])
    assert topics['depth'] == DEPTH and topics['image'] == '/camera/camera/color/image_raw'


@WITH_CAMERA
def test_the_simulated_camera_takes_its_place(system):
    assert set(start(system, camera='sim')) == {f'{system}_node', 'sim_camera_node'}


@WITH_CAMERA
def test_a_running_driver_is_left_alone(system):
    assert set(start(system, camera='none')) == {f'{system}_node'}


@WITH_CAMERA
def test_topics_reach_camera_node_and_rviz(system):
    nodes = start(system, camera='sim', depth='/head/depth', namespace='/robot', rviz='true')
    assert remapped(nodes[f'{system}_node'])['depth'] == '/head/depth'
    assert remapped(nodes['sim_camera_node'])[DEPTH] == '/head/depth'
    assert remapped(nodes['rviz2'])[f'/{system}/markers'] == f'/robot/{system}/markers'
    assert nodes[f'{system}_node'].node_name == f'/robot/{system}'


@WITH_CAMERA
def test_an_unknown_camera_is_refused(system):
    with pytest.raises(RuntimeError, match='camera'):
        start(system, camera='webcam')


@WITH_CAMERA
@pytest.mark.skipif(REAL, reason='launch_ros keeps the parameters to itself')
def test_parameters_come_from_the_file_the_scene_and_the_arguments(system):
    nodes = start(system, camera='sim', autostart='false')
    node, camera = nodes[f'{system}_node'], nodes['sim_camera_node']
    (file,) = node.parameter_files
    assert file.endswith(f'share/hoi_ros/config/{system}.yaml')
    # Unless they are given, the arguments leave their parameters to the file.
    assert node.parameters == {'autostart': False}
    assert camera.parameters == {**SYSTEMS[system].scene, 'autostart': False}
    # A file of the user's own says what the hands hold.
    own = start(system, camera='sim', camera_params_file='/tmp/mine.yaml')['sim_camera_node']
    assert own.parameters == {} and own.parameter_files == ['/tmp/mine.yaml']
    nodes = start(system, camera='sim', use_sim_time='True', rviz='True', fixed_frame='head')
    for executable in (f'{system}_node', 'sim_camera_node', 'rviz2'):
        assert nodes[executable].parameters['use_sim_time'] is True
    assert nodes['rviz2'].arguments[-2:] == ['-f', 'head']
    for prefix in ('left_', '', '1'):
        assert start(system, tf_prefix=prefix)[f'{system}_node'].parameters['tf_prefix'] == prefix


@EVERY
def test_every_system_has_its_files(system):
    for path in (f'launch/{system}.launch.py', f'config/{system}.yaml', f'rviz/{system}.rviz'):
        assert (ROOT / path).is_file(), path


@EVERY
def test_rviz_loses_no_markers(system):
    """Those of two hands that hold things are too large for best effort."""
    config = yaml.safe_load((ROOT / f'rviz/{system}.rviz').read_text())
    displays = config['Visualization Manager']['Displays']
    (markers,) = [display for display in displays if display['Class'].endswith('/MarkerArray')]
    assert markers['Topic']['Reliability Policy'] == 'Reliable'


@ALONE
def test_a_system_without_images_is_launched_alone(system):
    nodes = start(system, rviz='true', namespace='/robot')
    assert set(nodes) == {f'{system}_node', 'rviz2'}
    assert nodes[f'{system}_node'].node_name == f'/robot/{system}' and not remapped(nodes[f'{system}_node'])


@pytest.mark.parametrize('file', WITH_ALL)
def test_a_pipeline_starts_every_system_that_the_last_one_stands_on(file):
    last = SYSTEMS[WITH_ALL[file]]
    nodes = start(file, camera='sim', image='/head/image', rviz='true')
    chain = [*last.below, last]
    assert set(nodes) == {*(f'{system.name}_node' for system in chain), 'sim_camera_node', 'rviz2'}
    assert len(chain) > 1 and remapped(nodes[f'{chain[0].name}_node'])['image'] == '/head/image'
    assert remapped(nodes['rviz2'])[f'/{last.name}/markers'] == f'/{last.name}/markers'
    assert set(start(file)) == {*(f'{system.name}_node' for system in chain), 'realsense'}


@EVERY
def test_rviz_shows_topics_that_exist(system):
    shown = yaml.safe_load((ROOT / 'rviz' / f'{system}.rviz').read_text())['Visualization Manager']['Displays']
    topics = {display['Topic']['Value'] for display in shown if 'Topic' in display}
    own = {f'/{system}/{output}' for output in SYSTEMS[system].outputs}
    assert topics & own and topics <= own | {DEPTH, '/camera/camera/color/image_raw'}
