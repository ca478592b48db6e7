# SPDX-License-Identifier: Apache-2.0
"""Where the images of the real material come from, for the cards of the networks that have seen them."""

from __future__ import annotations

import csv
from collections import Counter
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

TABLE = 'SOURCES.csv'


def origins(*parts: tuple[Path, Iterable[Path]]) -> dict[str, str]:
    """Numbers and licences of files by source, for `training` in a model card.

    Args:
        parts: folders of the real material, or in it, and files of each. A folder outside of it, without `SOURCES.csv`
            in it or above it, counts as one source.
    """
    files: dict[Path, set[Path]] = defaultdict(set)
    for folder, paths in parts:
        files[_root(folder)] |= {path.resolve() for path in paths}
    counts: Counter[tuple[str, str, str]] = Counter()
    for root, found in files.items():
        table = _table(root)
        kind = 'images' if table else 'files'
        other = root.name, 'unknown licence' if table else _licences(root)
        counts.update((*table.get(path.relative_to(root).as_posix(), other), kind) for path in found)
    return {
        source: f'{count} {kind}' + (f', {licence}' if licence else '')
        for (source, licence, kind), count in sorted(counts.items())
    }


def _licences(root: Path) -> str:
    """The first lines of the licence files in a folder without a table."""
    texts = [path.read_text().strip().splitlines() for path in sorted(root.glob('*.LICENSE'))]
    return '; '.join(sorted({text[0].strip() for text in texts if text}))


def _root(folder: Path) -> Path:
    folder = folder.resolve()
    return next((root for root in (folder, folder.parent) if (root / TABLE).is_file()), folder)


def _table(root: Path) -> dict[str, tuple[str, str]]:
    """Source and licence of each file; empty without a table."""
    if not (root / TABLE).is_file():
        return {}
    with (root / TABLE).open(newline='') as file:
        return {row['file']: (row['source'], row['licence']) for row in csv.DictReader(file)}
