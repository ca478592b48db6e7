# SPDX-License-Identifier: Apache-2.0
"""Parameters that are given to a process and reach no parameter of its node: misspelt names, files for other nodes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

_PARAMETERS = 'ros__parameters'
_WILDCARDS = {'**': r'(/\w+)*', '*': r'/\w+'}


def unknown_parameters(given: Sequence[str], declared: Sequence[str]) -> tuple[list[str], list[str]]:
    """A sentence for each given name that the node does not declare: for those like a declared one, and for others.

    The others may be for other nodes of the robot: parameter files with /** and launch files give theirs to every node.
    """
    misspelt, foreign = [], []
    for name in given:
        if name not in declared:
            said = f'unknown parameter {name}, it has no effect'
            if similar := difflib.get_close_matches(name, declared, 1):
                misspelt.append(f'{said}: did you mean {similar[0]}?')
            else:
                foreign.append(f'{said}: `ros2 param list` names the parameters of the node')
    return misspelt, foreign


def unused_sources(arguments: Sequence[str], node: str) -> list[str]:
    """A sentence for each parameter file and each prefixed `-p` rule that is for other nodes.

    Args:
        arguments: of the process.
        node: the fully qualified name, such as /left/depth_pose.
    """
    found = []
    for flag, value in _pairs(arguments):
        if flag == '--params-file':
            names = list(_node_names(yaml.load(Path(value).read_text(encoding='utf-8'), Loader=yaml.BaseLoader)))
            if not any(_matches(name, node) for name in names):
                found.append(
                    f'the parameter file {value} has nothing for {node}, only for {", ".join(names) or "no node"}: '
                    f'write {node} or /** above its {_PARAMETERS}'
                )
        elif flag in ('-p', '--param'):
            name, _, parameter = value.partition(':=')[0].partition(':')
            if parameter and not _matches(name, node):
                found.append(f'-p {value} is for the node {name}, and this one is {node}: remove the prefix {name}:')
    return found


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each ROS argument with the one after it."""
    ros = False
    for argument, following in zip(arguments, [*arguments[1:], '']):
        ros = argument == '--ros-args' or (ros and argument != '--')
        if ros:
            yield argument, following


def _node_names(tree: Any, prefix: str = '') -> Iterator[str]:
    """The names of nodes, with their wildcards, that a parameter file has parameters for."""
    for key, value in tree.items() if isinstance(tree, Mapping) else ():
        if key != _PARAMETERS and isinstance(value, Mapping):
            name = f'{prefix}/{str(key).strip("/")}'
            if _PARAMETERS in value:
                yield name
            yield from _node_names(value, name)


def _matches(pattern: str, node: str) -> bool:
    parts = pattern.strip('/').split('/')
    return bool(re.fullmatch(''.join(_WILDCARDS.get(part, f'/{re.escape(part)}') for part in parts), node))
