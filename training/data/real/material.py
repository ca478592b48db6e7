# SPDX-License-Identifier: Apache-2.0
"""Where the images of the real material come from, for the cards of the networks that have seen them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

TABLE = 'SOURCES.csv'


def origins(root: Path, files: Iterable[Path]) -> dict[str, str]:
    """Numbers and licences of images by source, for `training` in a model card.

    Args:
        root: folder of the real material; without `SOURCES.csv` the images count as one source, the folder.
        files: images in it.
    """
    names = [path.resolve().relative_to(root.resolve()).as_posix() for path in files]
    table = root / TABLE
    if not table.is_file():
        return {root.name: f'{len(names)} images'}
    with table.open(newline='') as file:
        rows = {row['file']: (row['source'], row['licence']) for row in csv.DictReader(file)}
    counts = Counter(rows.get(name, (root.name, 'unknown licence')) for name in names)
    return {source: f'{count} images, {licence}' for (source, licence), count in sorted(counts.items())}
