# SPDX-License-Identifier: Apache-2.0
"""What a stopped command leaves for its next run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from training.data.pool import made_in


def remains(options: object) -> str:
    """A sentence about the samples and the checkpoint of a command.

    Args:
        options: its dataclass; pools are its paths that end in `.pool`, the checkpoint is in `loop.out`.
    """
    fields = dataclasses.fields(options) if dataclasses.is_dataclass(options) else ()
    given = [value for field in fields if isinstance(value := getattr(options, field.name), Path)]
    pools = [path for path in given if path.suffix == '.pool']
    pools += [path.with_stem(f'{path.stem}_validation') for path in pools]
    found = [f'{count:,} samples in {path}' for path in pools if (count := made_in(path))]
    checkpoint = getattr(getattr(options, 'loop', None), 'out', Path()) / 'checkpoint.pt'
    found += [f'the checkpoint {checkpoint}'] if checkpoint.is_file() else []
    again = 'stopped; run the same command again'
    if found:
        return f'{again}: it goes on with {", ".join(found)}'
    return f'{again}: nothing was rendered yet' if pools else again
