# SPDX-License-Identifier: Apache-2.0
"""The generated parameter files and tables, and nodes that start from them."""

import importlib
from pathlib import Path

import pytest
import rclpy
import yaml

from hoi_ros.nodes.runtime.managed_node import ManagedNode
from hoi_ros.nodes.runtime.parameter_files import generated_files
from hoi_ros.nodes.runtime.parameter_files import node_settings

ROOT = Path(__file__).parents[1]
NODES = tuple(node_settings())
# Declared by rclpy itself.
NOT_OURS = {'use_sim_time', 'start_type_description_service'}


@pytest.fixture(autouse=True)
def nobody_else_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')


def node_class(name: str) -> type[ManagedNode]:
    module = importlib.import_module(f'hoi_ros.nodes.{name}')
    (found,) = (
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, ManagedNode) and each.__module__ == module.__name__
    )
    return found


def parameters(name: str, *arguments: str) -> dict[str, object]:
    """The parameters of a node that is started with these ROS arguments and left unconfigured."""
    create = node_class(name)
    rclpy.init(args=['--ros-args', *arguments, '-p', 'autostart:=false'])
    try:
        node = create()
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


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / 'config' / f'{name}.yaml').read_text())


@pytest.mark.parametrize('path', [str(path.relative_to(ROOT)) for path in generated_files(ROOT)])
def test_generated_files_are_current(path: str):
    assert (ROOT / path).read_text() == generated_files(ROOT)[ROOT / path], (
        'run python -m hoi_ros.nodes.runtime.parameter_files'
    )


@pytest.mark.parametrize('name', NODES)
def test_the_file_holds_every_parameter_at_its_default(name: str):
    assert leaves(read(name)[f'/**/{name}']['ros__parameters']) == parameters(name) | {'autostart': True}


@pytest.mark.parametrize('name', NODES)
def test_a_node_takes_its_parameters_from_a_file(name: str, tmp_path: Path):
    content = read(name)
    content[f'/**/{name}']['ros__parameters']['output_qos']['depth'] = 7
    changed = tmp_path / f'{name}.yaml'
    changed.write_text(yaml.safe_dump(content))
    for namespace in ('/', '/robot'):
        assert parameters(name, '--params-file', str(changed), '-r', f'__ns:={namespace}')['output_qos.depth'] == 7
