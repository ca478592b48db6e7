# SPDX-License-Identifier: Apache-2.0
"""Which source files a module runs: its own and all that it imports from this repository, directly or not."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The source tree."""


def imported_files(modules: Iterable[str], root: Path = ROOT) -> list[Path]:
    """The files of modules and of everything that they import from a source tree, sorted.

    Imports inside functions count too; a package counts with its `__init__`.

    Args:
        modules: dotted names.
        root: the source tree.

    Raises:
        ModuleNotFoundError: a module is not in the tree.
    """
    waiting, found = list(modules), set()
    for name in waiting:
        if _file(name, root) is None:
            raise ModuleNotFoundError(f'{name}: no such module in {root}')
    while waiting:
        path = _file(waiting.pop(), root)
        if path is not None and path not in found:
            found.add(path)
            waiting += _imports(path, root)
    return sorted(found)


def digest(modules: Iterable[str], root: Path = ROOT) -> str:
    """16 hexadecimal digits of the names and contents of `imported_files`."""
    code = hashlib.sha256()
    for path in imported_files(modules, root):
        content = path.read_bytes()
        code.update(f'{path.relative_to(root)} {len(content)}\n'.encode() + content)
    return code.hexdigest()[:16]


def _imports(path: Path, root: Path) -> Iterator[str]:
    """Dotted names that a file may import, its packages among them."""
    parts = path.relative_to(root).parts
    yield from ('.'.join(parts[:length]) for length in range(1, len(parts)))
    yield from _imported_names(path.read_bytes())


@functools.cache
def _imported_names(code: bytes) -> tuple[str, ...]:
    """Imported modules; a name imported from a module counts as a module too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f'{node.module}.{alias.name}' for alias in node.names)]
    return tuple(names)


def _file(module: str, root: Path) -> Path | None:
    """A module's or a package's file; None for modules that are not in the tree."""
    path = root.joinpath(*module.split('.'))
    for candidate in (path.with_suffix('.py'), path / '__init__.py'):
        if candidate.is_file():
            return candidate
    return None
