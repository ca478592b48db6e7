# SPDX-License-Identifier: Apache-2.0
import importlib

import pytest
import rclpy
import yaml

from hoi_ros.resources import config_dir

NODES = {
    'depth_pose': 'DepthPoseNode',
    'reconstruction': 'ReconstructionNode',
    'sim_camera': 'SimCameraNode',
}
# Declared by rclpy itself.
NOT_OURS = {'use_sim_time', 'start_type_description_service'}


@pytest.fixture(autouse=True)
def nobody_else_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')


def parameters(name: str, *arguments: str) -> dict[str, object]:
    """What the node holds that is started with these ROS arguments and left unconfigured."""
    node_class = getattr(importlib.import_module(f'hoi_ros.nodes.{name}'), NODES[name])
    rclpy.init(args=['--ros-args', *arguments, '-p', 'autostart:=false'])
    try:
        node = node_class()
        try:
            assert node.settings.faults == {}
            names = set(node.list_parameters([], 0).names) - NOT_OURS
            return {each: node.get_parameter(each).value for each in names}
        finally:
            node.close()
            node.destroy_node()
    finally:
        rclpy.shutdown()


def leaves(tree: dict, prefix: str = '') -> dict[str, object]:
    """The parameters of a nested mapping by their dotted names."""
    found = {}
    for name, value in tree.items():
        found |= leaves(value, f'{prefix}{name}.') if isinstance(value, dict) else {f'{prefix}{name}': value}
    return found


@pytest.mark.parametrize('name', NODES)
def test_the_file_holds_every_parameter_at_its_default(name: str):
    content = yaml.safe_load((config_dir() / f'{name}.yaml').read_text())
    in_file = leaves(content[f'/**/{name}']['ros__parameters'])
    assert in_file == parameters(name) | {'autostart': True}


@pytest.mark.parametrize('name', NODES)
def test_a_node_takes_its_parameters_from_a_file(name: str, tmp_path):
    content = yaml.safe_load((config_dir() / f'{name}.yaml').read_text())
    content[f'/**/{name}']['ros__parameters']['output_qos']['depth'] = 7
    changed = tmp_path / f'{name}.yaml'
    changed.write_text(yaml.safe_dump(content))
    for namespace in ('/', '/robot'):
        assert parameters(name, '--params-file', str(changed), '-r', f'__ns:={namespace}')['output_qos.depth'] == 7
