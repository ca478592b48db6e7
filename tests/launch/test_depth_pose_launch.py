# SPDX-License-Identifier: Apache-2.0
import importlib.util
from pathlib import Path

import pytest

LAUNCH_FILE = Path(__file__).parents[2] / 'launch' / 'depth_pose.launch.py'
NO_LAUNCH = 'launch is not among the ROS 2 wheels: run this test on a ROS 2 machine'


def test_it_compiles():
    compile(LAUNCH_FILE.read_text(), str(LAUNCH_FILE), 'exec')


@pytest.fixture
def start():
    """Runs the launch description, no process: arguments in, {executable: the node's action} out."""
    launch_ros_actions = pytest.importorskip('launch_ros.actions', reason=NO_LAUNCH)
    import launch

    spec = importlib.util.spec_from_file_location('depth_pose_launch', LAUNCH_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(**arguments):
        description = module.generate_launch_description()
        context = launch.LaunchContext()
        context.launch_configurations.update(arguments)
        for entity in description.entities:
            if isinstance(entity, launch.actions.DeclareLaunchArgument):
                entity.execute(context)
        active = [
            action
            for action in description.entities
            if action.condition is None or action.condition.evaluate(context)
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


def test_a_real_camera_is_the_default(start):
    nodes, _ = start()
    assert set(nodes) == {'depth_pose_node', 'realsense'}
    assert remapped(nodes['depth_pose_node'])['depth'] == '/camera/camera/aligned_depth_to_color/image_raw'


def test_the_simulated_camera_takes_its_place(start):
    nodes, _ = start(camera='sim')
    assert set(nodes) == {'depth_pose_node', 'sim_camera_node'}


def test_a_running_driver_is_left_alone(start):
    nodes, _ = start(camera='none')
    assert set(nodes) == {'depth_pose_node'}


def test_topics_reach_camera_node_and_rviz(start):
    nodes, _ = start(camera='sim', depth='/head/depth', namespace='/robot', rviz='true')
    assert remapped(nodes['depth_pose_node'])['depth'] == '/head/depth'
    assert (
        remapped(nodes['sim_camera_node'])['/camera/camera/aligned_depth_to_color/image_raw'] == '/head/depth'
    )
    assert remapped(nodes['rviz2'])['/depth_pose/markers'] == '/robot/depth_pose/markers'
    assert nodes['depth_pose_node'].node_name == '/robot/depth_pose'


def test_an_unknown_camera_is_refused(start):
    with pytest.raises(RuntimeError, match='camera'):
        start(camera='webcam')
