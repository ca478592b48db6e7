# SPDX-License-Identifier: Apache-2.0
"""The messages that docs/troubleshooting.md explains are those of the code."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GAP = '…'


def texts_of(path: Path) -> list[str]:
    """The string literals of a file, with a gap for each formatted value."""
    texts = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            texts.append(''.join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    return texts


def explained_messages() -> list[str]:
    """The code spans in the first column of the tables of messages."""
    page = (ROOT / 'docs' / 'troubleshooting.md').read_text()
    tables = re.findall(r'^\| (?:log|message)[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)', page, re.MULTILINE)
    cells = [row.split('|')[1] for table in tables for row in table.splitlines()]
    return [message for cell in cells for message in re.findall(r'`([^`]+)`', cell)]


def test_the_explained_messages_are_those_of_the_code():
    code = '\n'.join(text for path in (ROOT / 'hoi_ros').rglob('*.py') for text in texts_of(path))
    messages = explained_messages()
    assert len(messages) > 30
    parts = {part.strip() for message in messages for part in message.split(GAP)}
    assert sorted(part for part in parts if part and part not in code) == []
