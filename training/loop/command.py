# SPDX-License-Identifier: Apache-2.0
"""The command line of this process, for the cards of what it trains."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def command_line() -> str:
    """The command with all its options, as it can be repeated; the file's name if the program is another one."""
    program = Path(sys.argv[0])
    parts = ['-m', 'training'] if program.parts[-2:] == ('training', '__main__.py') else [program.name]
    return shlex.join(['python', *parts, *sys.argv[1:]])
