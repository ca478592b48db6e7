# SPDX-License-Identifier: Apache-2.0
"""The documentation site, and the links of the documents beside it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BESIDE_THE_SITE = ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')
README_BYTES = 10_000


def build(tree: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """A strict build without ROS, without a GPU and without a network."""
    environment = {
        'PATH': os.environ['PATH'],
        'HOME': str(out),
        'NO_MKDOCS_2_WARNING': '1',
        **{name: 'http://127.0.0.1:9' for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY')},
    }
    return subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(out / 'site')],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('site')
    result = build(ROOT, out)
    assert result.returncode == 0, result.stdout + result.stderr
    return out / 'site'


@pytest.mark.slow
def test_the_site_builds_strictly_without_ros_and_without_a_network(site: Path):
    pages = {path.name for path in site.glob('*.html')}
    assert {'index.html', 'real_images.html', 'ros2.html', 'troubleshooting.html', 'api.html'} <= pages
    assert 'load_engine' in (site / 'api.html').read_text()


@pytest.mark.slow
def test_the_pages_load_nothing_from_other_hosts(site: Path):
    loaded = re.compile(
        r'<(?:script|img|iframe|source)[^>]*\ssrc="https?:|<link[^>]*\shref="https?:[^"]*"[^>]*stylesheet'
    )
    for page in site.glob('*.html'):
        assert not loaded.search(page.read_text()), page.name
    assert 'fonts.g' not in (site / 'index.html').read_text()


@pytest.mark.slow
def test_a_link_to_a_missing_file_of_the_repository_fails_the_build(tmp_path: Path):
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'docs' / 'index.md').write_text('[stage](../hoi_ros/absent.py), [hook](../scripts/site_links.py)\n')
    shutil.copytree(ROOT / 'scripts', tmp_path / 'scripts')
    (tmp_path / 'mkdocs.yml').write_text('site_name: x\nhooks: [scripts/site_links.py]\n')
    result = build(tmp_path, tmp_path)
    assert result.returncode != 0
    assert "index.md links to '../hoi_ros/absent.py', which does not exist" in result.stdout + result.stderr
    assert 'scripts/site_links.py' not in result.stdout + result.stderr


def test_every_page_is_in_the_navigation():
    def pages(entries: list) -> set[str]:
        values = [next(iter(entry.values())) for entry in entries]
        return {page for value in values for page in (pages(value) if isinstance(value, list) else {value})}

    navigation = yaml.safe_load((ROOT / 'mkdocs.yml').read_text())['nav']
    assert pages(navigation) == {path.name for path in (ROOT / 'docs').glob('*.md')}


def anchors(path: Path) -> set[str]:
    """The anchors that Git hosts give the headings of a document."""
    headings = re.findall(r'^#+ (.+)$', path.read_text(), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('name', BESIDE_THE_SITE)
def test_links_lead_to_files_and_headings(name: str):
    for target in re.findall(r'\]\((?!https?:)([^)\s]+)\)', (ROOT / name).read_text()):
        path, _, anchor = target.partition('#')
        file = ROOT / path if path else ROOT / name
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_readme_is_short_and_says_first_what_to_expect():
    text = (ROOT / 'README.md').read_text()
    assert len(text.encode()) <= README_BYTES
    assert text.index('real_images.md') < text.index('make demo') < text.index('ros2 launch')


@pytest.mark.slow
def test_the_examples_of_the_python_page_run():
    examples = re.findall(r'```python\n(.*?)```', (ROOT / 'docs' / 'api.md').read_text(), re.DOTALL)
    result = subprocess.run(
        [sys.executable, '-c', '\n'.join(examples)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("[('right', ")
