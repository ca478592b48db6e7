# SPDX-License-Identifier: Apache-2.0
"""The page about real images says what its list says."""

import re
from pathlib import Path

from training.evaluation.real_images import judged_sums
from training.evaluation.real_images import read_list

ROOT = Path(__file__).parents[2]
ROWS = {
    'hands found': 'found',
    'mesh on the hand': 'on_hand',
    'correct side': 'side',
    'every visible finger in its place': 'fingers',
    'hands where there is none': 'false_hands',
}


def sums() -> list[dict[str, int]]:
    rows = read_list(ROOT / 'docs' / 'real_images.csv')
    stages = dict.fromkeys(row['stage'] for row in rows)
    return [judged_sums([row for row in rows if row['stage'] == stage]) for stage in stages]


def test_the_table_holds_the_sums_of_the_list():
    page = (ROOT / 'docs' / 'real_images.md').read_text()
    photos, depth = sums()
    for title, name in ROWS.items():
        assert f'| {title} | {photos[name]} | {depth[name]} |' in page
    assert f'| {photos["pictures"]}, {photos["hands"]} | {depth["pictures"]}, {depth["hands"]} |' in page
    assert f'| {photos["object"]} of {photos["held"]} | – |' in page
    assert f'| objects at an empty hand | {photos["false_objects"]} | – |' in page


def test_the_readme_holds_the_same_sums():
    page = (ROOT / 'README.md').read_text()
    photos, depth = sums()
    for each in (photos, depth):
        assert f' {each["found"]}; {each["on_hand"]}; {each["side"]} of {each["hands"]} |' in page
        assert f' {each["fingers"]} of {each["hands"]} |' in page
    false = f'| {depth["false_hands"]}; – | {photos["false_hands"]}; {photos["false_objects"]} |'
    assert f'| false hands; objects at empty hands {false}' in page


def test_the_pictures_are_small_and_every_source_is_named():
    notices = (ROOT / 'docs' / 'images' / 'LICENSES.md').read_text()
    sources = {
        row['source'] for row in read_list(ROOT / 'docs' / 'real_images.csv') if row['source'].startswith('http')
    }
    assert len(sources) == 7 and all(source in notices for source in sources)
    pictures = set(re.findall(r'images/(\w+\.jpg)', (ROOT / 'docs' / 'real_images.md').read_text()))
    assert pictures == {path.name for path in (ROOT / 'docs' / 'images').glob('real_*.jpg')}
    assert all((ROOT / 'docs' / 'images' / name).stat().st_size <= 300_000 for name in pictures)
