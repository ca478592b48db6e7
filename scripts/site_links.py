# SPDX-License-Identifier: Apache-2.0
"""Hook of mkdocs.yml: links from the pages to files of the repository outside docs/.

On a Git host such a link opens the file. The site does not contain the file, so the link becomes its path in code
style, or a link to `repo_url` where mkdocs.yml sets one. A link to a file that does not exist fails the strict build.
"""

import logging
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r'\[(?P<text>[^\]]+)\]\((?P<target>(?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)')
log = logging.getLogger('mkdocs.hooks.site_links')


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Replaces the links of a page that lead out of docs/."""
    docs = Path(config.docs_dir)
    root = docs.parent.resolve()
    folder = (docs / page.file.src_uri).parent

    def replaced(match: re.Match[str]) -> str:
        path = (folder / match['target']).resolve()
        if path.is_relative_to(docs.resolve()):
            return match[0]
        if not path.exists() or not path.is_relative_to(root):
            log.warning("%s links to '%s', which does not exist", page.file.src_uri, match['target'])
            return match[0]
        name = path.relative_to(root).as_posix()
        if config.repo_url:
            return f'[{match["text"]}]({config.repo_url.rstrip("/")}/blob/main/{name})'
        text = match['text'].strip('`')
        return f'`{name}`' if text in (name, path.name) else f'{match["text"]} (`{name}`)'

    return LINK.sub(replaced, markdown)
