# SPDX-License-Identifier: Apache-2.0
"""Real photos with and without hands: training and validation of the RGB detector.

The root is the folder of the real material, with `SOURCES.csv`, `rgb_hands/`, `rgb_hands_with_objects/`,
`backgrounds_rgb/` and the colour images of `backgrounds_depth/`. Boxes of bare hands are those of
`rgb_hands/hand_boxes.csv`; boxes of hands that hold something, of bare hands in photos without one, and of the hands in
five backgrounds that show one, are those beside this file, drawn by hand for this project.

The split is by source, and a source that both splits need is split by content:

| photos | training | validation |
|---|---|---|
| `leb_` | four of five | one of five |
| `rbh_` | none | all |
| `subhi_`, `emre_`, `dexr_`, `asl_` | those with a box of this project | none |
| `grocery_` | two of three products | one of three products |
| `core50_` | the other sessions | sessions 3, 7 and 10 |
| backgrounds `grocery_`, `hdri_`, `coco_` | two of three | one of three |
| backgrounds `cards_`, `snack_`, `azure_` | none | all |
| backgrounds `mosd_`, `redwood_` (colour of the depth scenes) | the others | `mosd_test` |
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from typing import TypeVar

import cv2
import numpy as np

HELD_BOXES = Path(__file__).with_name('held_hand_boxes.csv')
"""Boxes of the hands in a hundred and two validation photos: file, x0, y0, x1, y1, shares of width and height."""
TRAINING_BOXES = Path(__file__).with_name('training_hand_boxes.csv')
"""Boxes of hands in training photos; columns as in HELD_BOXES."""

Split = Literal['train', 'validation']
Kind = Literal['bare', 'held', 'none']
T = TypeVar('T')

_SESSIONS = {'03', '07', '10'}
_ONLY_VALIDATION = (
    'rgb_hands/rbh_',
    'backgrounds_depth/mosd_test',
    *(f'backgrounds_rgb/{name}_' for name in ('cards', 'snack', 'azure')),
)
_STRETCHED = 'rgb_hands/leb_', 'rgb_hands/rbh_'
"""Photos of phones that were made square before they were published. Upright open palms in them are 0.82 as wide as
long (median), in the other sources and in the hand model 0.59 to 0.71: they were portraits of 3 to 4."""
_KINDS: dict[str, Kind] = {
    'rgb_hands': 'bare',
    'rgb_hands_with_objects': 'held',
    'backgrounds_rgb': 'none',
    'backgrounds_depth': 'none',
}
"""By folder."""


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo and its hands.

    Attributes:
        path: of the image.
        kind: whether its hands are bare, hold something, or are absent.
        boxes: (N, 4) left, top, right, bottom of the hands, shares of width and height.
        source: repository that it comes from.
    """

    path: Path
    kind: Kind
    boxes: np.ndarray
    source: str

    @property
    def name(self) -> str:
        """The photo in the tables: its folder and file."""
        return f'{self.path.parent.name}/{self.path.name}'

    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB; photos that were stretched to squares are portraits again.

        Raises:
            ValueError: the file is no image.
        """
        image = cv2.imread(str(self.path))
        if image is None:
            raise ValueError(f'{self.path}: no image that can be read')
        if self.name.startswith(_STRETCHED):
            image = cv2.resize(image, None, fx=0.75, fy=1, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def photos(root: Path, split: Split) -> list[Photo]:
    """The photos of a split that are labelled: with boxes, or without hands.

    Raises:
        FileNotFoundError: the folder is not the real material.
    """
    return [photo for photo in _all(root) if split_of(photo) == split]


def one_of(groups: Sequence[Sequence[T]], rng: np.random.Generator) -> T:
    """One of the members of groups, such as the photos of each source, drawn with shares between equal ones for groups
    and for members: the square roots of their numbers."""
    shares = np.sqrt([len(group) for group in groups])
    group = groups[rng.choice(len(groups), p=shares / shares.sum())]
    return group[rng.integers(len(group))]


def _all(root: Path) -> Iterator[Photo]:
    table = root / 'SOURCES.csv'
    if not table.is_file():
        raise FileNotFoundError(f'{table} is missing: name the folder of the real material')
    boxes: dict[str, list[list[float]]] = defaultdict(list)
    for path in (root / 'rgb_hands' / 'hand_boxes.csv', HELD_BOXES, TRAINING_BOXES):
        with path.open(newline='') as file:
            for row in csv.DictReader(file):
                boxes[row['file']].append([float(row[name]) for name in ('x0', 'y0', 'x1', 'y1')])
    with table.open(newline='') as file:
        for row in csv.DictReader(file):
            name, folder = row['file'], row['file'].split('/')[0]
            kind = _KINDS.get(folder)
            if kind is None or not name.endswith('.jpg') or (kind != 'none' and name not in boxes):
                continue
            if kind == 'none' and name in boxes:
                kind = 'held'
            yield Photo(root / name, kind, np.array(boxes[name]).reshape(-1, 4), row['source'])


def split_of(photo: Photo) -> Split:
    """The split of a photo, by the table above."""
    name = photo.name
    if name.startswith(_ONLY_VALIDATION):
        return 'validation'
    if 'core50_' in name:
        return 'validation' if photo.path.name.split('_')[2] in _SESSIONS else 'train'
    if name.startswith('rgb_hands_with_objects/grocery_'):
        return 'validation' if _drawn(product_of(photo.path.stem), 3) else 'train'
    if name.startswith('rgb_hands/leb_'):
        return 'validation' if _drawn(name, 5) else 'train'
    return 'validation' if name.startswith('backgrounds_rgb/') and _drawn(name, 3) else 'train'


def product_of(stem: str) -> str:
    """The product in the name of a grocery photo: `grocery_train-Fruit-Lime-Lime-004` → `Lime`."""
    words = stem.split('-')[1:-1]
    # The name repeats the product after its categories.
    for length in range(len(words) // 2, 0, -1):
        if words[-length:] == words[-2 * length : -length]:
            return '-'.join(words[-length:])
    return '-'.join(words)


def _drawn(name: str, one_of: int) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % one_of == 0
