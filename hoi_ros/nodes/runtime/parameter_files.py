# SPDX-License-Identifier: Apache-2.0
"""The settings of a node as its parameter file and as a table of the documents.

    python -m hoi_ros.nodes.runtime.parameter_files          # writes config/*.yaml and docs/parameters.md

A test compares the files with the settings.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import textwrap
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import yaml

import hoi_ros.nodes
from hoi_ros.nodes.runtime.settings import Setting

Groups = Mapping[str, Sequence[Setting]]
_WIDTH = 120


def node_settings() -> dict[str, Groups]:
    """The settings of every node of the package, by the name of the node."""
    modules = (module.name for module in pkgutil.iter_modules(hoi_ros.nodes.__path__) if not module.ispkg)
    return {name: importlib.import_module(f'hoi_ros.nodes.{name}').SETTINGS for name in sorted(modules)}


def parameter_file(node: str, groups: Groups) -> str:
    """The parameter file of a node: every parameter at its default, with its description."""
    lines = [
        '# SPDX-License-Identifier: Apache-2.0',
        f'# Parameters of the {node} node, each at its default. Generated from hoi_ros/nodes/{node}.py.',
        '# `live` parameters may change while the node runs; the others take effect when it is configured.',
        f'/**/{node}:',
        '  ros__parameters:',
    ]
    for title, settings in groups.items():
        lines += [*([''] if lines[-1] != '  ros__parameters:' else []), f'    # {title}']
        opened = ''
        for setting in settings:
            parent, _, name = setting.name.rpartition('.')
            if parent and parent != opened:
                lines.append(f'    {parent}:')
            opened = parent
            indent = '      ' if parent else '    '
            lines += _entry(f'{indent}{name}: {_yaml(setting.default)}', _comment(setting), indent)
    return '\n'.join(lines) + '\n'


def parameter_table(groups: Groups) -> str:
    """The parameters of a node as a Markdown table."""
    rows = ['| parameter | default | range | live | what it does |', '|---|---|---|---|---|']
    for settings in groups.values():
        rows += [
            f'| `{setting.name}` | `{_yaml(setting.default)}` | {_range(setting)} | {"yes" if setting.live else ""} | '
            f'{setting.description} |'
            for setting in settings
        ]
    return '\n'.join(rows) + '\n'


def parameter_page(nodes: Mapping[str, Groups]) -> str:
    """The page of the documents that lists the parameters of all nodes."""
    parts = [
        '# Parameters',
        'Generated from the settings of the nodes. `live` parameters may change while a node runs; the others take '
        'effect when it is configured. `config/<node>.yaml` holds them all at their defaults.',
    ]
    for node, groups in nodes.items():
        parts += [f'## {node}', parameter_table(groups).rstrip()]
    return '\n\n'.join(parts) + '\n'


def generated_files(root: Path) -> dict[Path, str]:
    """What each generated file below a source tree has to hold."""
    nodes = node_settings()
    files = {root / 'config' / f'{node}.yaml': parameter_file(node, groups) for node, groups in nodes.items()}
    return files | {root / 'docs' / 'parameters.md': parameter_page(nodes)}


def main() -> None:
    """Writes the files of this source tree."""
    for path, text in generated_files(Path(__file__).parents[3]).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(path)


def _entry(text: str, comment: str, indent: str) -> list[str]:
    line = f'{text}  # {comment}'
    if len(line) <= _WIDTH:
        return [line]
    return [*textwrap.wrap(comment, _WIDTH, initial_indent=f'{indent}# ', subsequent_indent=f'{indent}# '), text]


def _comment(setting: Setting) -> str:
    words = setting.description.rstrip('.')
    text = words if words[:2].isupper() else words[0].lower() + words[1:]
    if setting.choices:
        text += f'; one of {", ".join(setting.choices)}'
    return f'live; {text}' if setting.live else text


def _range(setting: Setting) -> str:
    if setting.choices:
        return ', '.join(setting.choices)
    return '' if math.isnan(setting.lowest) else f'{setting.lowest:g} to {setting.highest:g}'


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True).partition('\n')[0]


if __name__ == '__main__':
    main()
