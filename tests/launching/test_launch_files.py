# SPDX-License-Identifier: Apache-2.0
import importlib.util
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / 'launch'
STAGES = ('depth_pose', 'reconstruction')
NO_LAUNCH = 'launch is not among the ROS 2 wheels: run this test on a ROS 2 machine'


@pytest.mark.parametrize('stage', STAGES)
def test_it_compiles(stage):
    path = LAUNCH / f'{stage}.launch.py'
    compile(path.read_text(), str(path), 'exec')


@pytest.fixture
def start():
    """Runs the launch description, no process: arguments in, {executable: the node's action} out."""
    launch_ros_actions = pytest.importorskip('launch_ros.actions', reason=NO_LAUNCH)
    import launch

    def run(stage, **arguments):
        spec = importlib.util.spec_from_file_location(f'{stage}_launch', LAUNCH / f'{stage}.launch.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        description = module.generate_launch_description()
        context = launch.LaunchContext()
        context.launch_configurations.update(arguments)
        for entity in description.entities:
            if isinstance(entity, launch.actions.DeclareLaunchArgument):
                entity.execute(context)
        active = [
            action for action in description.entities if action.condition is None or action.condition.evaluate(context)
        ]
        nodes = {}
        for action in active:
            if isinstance(action, launch_ros_actions.Node):
                action._perform_substitutions(context)
                nodes[action.node_executable] = action
            elif isinstance(action, launch.actions.IncludeLaunchDescription):
                nodes['realsense'] = action
        return nodes, context

    return run


def remapped(node) -> dict[str, str]:
    return dict(node.expanded_remapping_rules)


@pytest.mark.parametrize('stage', STAGES)
def test_a_real_camera_is_the_default(start, stage):
    nodes, _ = start(stage)
    assert set(nodes) == {f'{stage}_node', 'realsense'}
    topics = remapped(nodes[f'{stage}_node'])
    assert topics['depth'] == '/camera/camera/aligned_depth_to_color/image_raw'
    assert topics['image'] == '/camera/camera/color/image_raw'


@pytest.mark.parametrize('stage', STAGES)
def test_the_simulated_camera_takes_its_place(start, stage):
    nodes, _ = start(stage, camera='sim')
    assert set(nodes) == {f'{stage}_node', 'sim_camera_node'}


@pytest.mark.parametrize('stage', STAGES)
def test_a_running_driver_is_left_alone(start, stage):
    nodes, _ = start(stage, camera='none')
    assert set(nodes) == {f'{stage}_node'}


@pytest.mark.parametrize('stage', STAGES)
def test_topics_reach_camera_node_and_rviz(start, stage):
    nodes, _ = start(stage, camera='sim', depth='/head/depth', namespace='/robot', rviz='true')
    assert remapped(nodes[f'{stage}_node'])['depth'] == '/head/depth'
    assert remapped(nodes['sim_camera_node'])['/camera/camera/aligned_depth_to_color/image_raw'] == '/head/depth'
    assert remapped(nodes['rviz2'])[f'/{stage}/markers'] == f'/robot/{stage}/markers'
    assert nodes[f'{stage}_node'].node_name == f'/robot/{stage}'


@pytest.mark.parametrize('stage', STAGES)
def test_an_unknown_camera_is_refused(start, stage):
    with pytest.raises(RuntimeError, match='camera'):
        start(stage, camera='webcam')
