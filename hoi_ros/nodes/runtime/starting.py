# SPDX-License-Identifier: Apache-2.0
"""The start of a ROS 2 process: what ROS refuses is one sentence that names the file, the line and the remedy."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import rclpy
import yaml
from rclpy.context import Context
from rclpy.exceptions import ParameterException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.utilities import remove_ros_args

Made = TypeVar('Made')
REFUSED = 2
"""Exit code of a process whose start is refused."""

_PARSED = re.compile(r"Couldn't parse (?P<what>[\w ]+): '(?P<flag>-\S+) (?P<given>.*?)'(?:\. Error: (?P<reason>.*))?$")
_REMEDIES = {
    'remap rule': (
        'expected FROM:=TO, such as image:=/camera/image; names hold letters, digits and underscores and begin with no '
        'digit, and a namespace begins with /'
    ),
    'parameter override rule': (
        'expected NAME:=VALUE with a value in YAML, such as min_score:=0.4; an empty text is "NAME:=\'\'", with both '
        'kinds of quotes'
    ),
    'log level': 'expected debug, info, warn, error or fatal, for one logger as NAME:=LEVEL',
}


class StartRefused(RuntimeError):
    """ROS 2 refuses the start of the process; the text is for the user."""


def usage(about: str, topics: Sequence[str]) -> str:
    """The help of a node's executable.

    Args:
        about: one sentence about the node.
        topics: that a user may remap.
    """
    name = Path(sys.argv[0]).stem
    remap = f'  -r {topics[0]}:=TOPIC\n      remap a topic; they are {", ".join(topics)}\n' if topics else ''
    return (
        f'usage: {name} [--ros-args [-r FROM:=TO] [-p NAME:=VALUE] [--params-file FILE] [--log-level LEVEL]]\n\n'
        f'{about}\n\nafter --ros-args, each as often as needed:\n{remap}'
        '  -r __ns:=/NAMESPACE\n      the namespace of the node, such as /left\n'
        '  -p NAME:=VALUE\n      set a parameter; docs/parameters.md lists them\n'
        '  --params-file FILE\n      read parameters from a file of the form of those in config/'
    )


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the arguments of a process ask for its usage."""
    return '-h' in arguments or '--help' in arguments


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Refuses all arguments of a process that are not for ROS.

    Args:
        arguments: of the process, without its name; rclpy has accepted those for ROS.

    Raises:
        StartRefused: there are others.
    """
    if others := remove_ros_args(list(arguments)):
        raise StartRefused(
            f'unknown arguments {" ".join(others)}: write topics, parameters and files after --ros-args; --help '
            'explains them'
        )


def start_ros(arguments: Sequence[str] | None = None, context: Context | None = None) -> None:
    """Initialises rclpy.

    Args:
        arguments: of the process, without its name; None for those of the command line.
        context: None for the default one.

    Raises:
        StartRefused: a ROS argument, a parameter file or the environment is refused.
    """
    try:
        rclpy.init(args=None if arguments is None else list(arguments), context=context)
    except rclpy_implementation.UnknownROSArgsError as error:
        raise StartRefused(f'unknown arguments after --ros-args: {error}; `ros2 run --help` names none such') from None
    except rclpy_implementation.RCLError as error:
        raise StartRefused(_explained(str(error))) from None


def created(create: Callable[[], Made]) -> Made:
    """Creates a node.

    Raises:
        StartRefused: ROS refuses a parameter of every node, such as use_sim_time, or the node itself.
    """
    try:
        return create()
    except ParameterException as error:
        raise StartRefused(f'a parameter is refused: {error}; mend it in the parameter file or after -p') from None
    except rclpy_implementation.RCLError as error:
        if not rclpy.ok():
            raise  # the process is told to end
        raise StartRefused(_explained(str(error))) from None


def say_refused(error: StartRefused) -> int:
    """Prints why the process does not start; its exit code."""
    print(f'{Path(sys.argv[0]).stem}: cannot start: {error}', file=sys.stderr, flush=True)
    return REFUSED


def _explained(text: str) -> str:
    """An error of rcl without the places in its own sources, with the user's."""
    text = re.sub(r',? at /\S+\.c(?:pp)?:\d+', '', text).strip()
    match = _PARSED.search(text)
    if match is None:
        return text
    what, given, reason = match['what'], match['given'], match['reason'] or ''
    if what == 'params file':
        return _explained_file(Path(given), reason)
    return f'the {what} {given!r} after {match["flag"]} is refused: {_REMEDIES.get(what, reason)}'


def _explained_file(path: Path, reason: str) -> str:
    try:
        yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        return f'the parameter file {path} cannot be read ({error.strerror}): give an existing file after --params-file'
    except UnicodeDecodeError as error:
        return f'the parameter file {path} is not text in UTF-8 ({error.reason} at byte {error.start})'
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f'{path}:{mark.line + 1}:{mark.column + 1}' if mark else str(path)
        return f'the parameter file {place} is not valid YAML: {error.problem or error.context}'
    except yaml.YAMLError as error:
        return f'the parameter file {path} is not valid YAML: {error}'
    # Valid YAML that is no parameter file.
    line = re.search(r'\bline(?:_num)? (\d+)', reason)
    place, reason = (f'{path}:{line[1]}', reason[: line.start()]) if line else (str(path), reason)
    reason = reason.removesuffix('near ').removesuffix('at ').strip(' .')
    return (
        f'the parameter file {place} is refused: {reason}; expected NODE: {{ros__parameters: {{NAME: VALUE}}}} with '
        'lists of values of one type'
    )
