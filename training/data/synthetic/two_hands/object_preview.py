# SPDX-License-Identifier: Apache-2.0
"""One image of two hands on one object: some records, each from the person's eyes and from the front.

`python -m training.data.synthetic.two_hands.object_preview --scans objects --out out/object_pairs.png`
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import tyro
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import rotation_of
from training.data.real.scans import scanned_objects
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.sheet import write_text
from training.data.synthetic.grasp_preview import render
from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.two_hands.object_pairs import KINDS
from training.data.synthetic.two_hands.object_pairs import ObjectPairs

_RIGHT, _LEFT, _OBJECT, _INK = (232, 190, 168), (214, 150, 130), (84, 140, 196), (40, 40, 40)
"""Colours, RGB."""
_TILE, _COLUMNS, _PAPER = 260, 6, 255


@dataclasses.dataclass(frozen=True)
class ObjectPreviewConfig:
    """Options of the preview."""

    out: Path = Path('out/object_pairs.png')
    count: int = 24
    first: int = 0
    """Index of the first record."""
    seed: int = 0
    split: str = 'train'
    scans: Path | None = None
    """Folder of scanned objects."""


def main(config: ObjectPreviewConfig) -> None:
    hand = HandModel.load()
    stream = ObjectPairs(config.seed, config.split, scanned_objects(config.scans, config.split), hand)
    tiles = [_tile(*stream.with_mesh(config.first + number), hand) for number in tqdm(range(config.count))]
    save_sheet(config.out, rows_of(tiles, _COLUMNS, _PAPER))


def _tile(record: np.ndarray, thing: ObjectShape, hand: HandModel) -> np.ndarray:
    meshes = [(thing.vertices, thing.faces, _OBJECT)]
    for model, field, colour in ((hand, 'right', _RIGHT), (hand.mirrored(), 'left', _LEFT)):
        meshes.append((model.forward(*parameters_of(model, record[field])).vertices, model.faces, colour))
    turn = _upright(record)
    tile = np.vstack([render(meshes, Rotation.from_euler('x', tilt, degrees=True) * turn, _TILE) for tilt in (-70, 10)])
    label = f'{int(record["index"])} {KINDS[int(record["kind"])]} {thing.family}'
    write_text(tile, label, (4, 13), 0.38, _INK)
    write_text(tile, f'gap {1e3 * record["gap"]:.0f} mm', (4, 2 * _TILE - 6), 0.38, _INK)
    return tile


def _upright(record: np.ndarray) -> Rotation:
    """To a frame of a picture: x from the left wrist to the right one, y down towards the forearms, z away."""
    wrists = np.stack([record[side][PLACE] for side in ('right', 'left')]).astype(float)
    arms = -rotation_of(np.stack([record[side] for side in ('right', 'left')]))[..., 1].mean(0)
    across = wrists[0] - wrists[1] + 1e-6
    across = across / np.linalg.norm(across)
    down = arms - arms @ across * across
    down = down / max(np.linalg.norm(down), 1e-6)
    return Rotation.from_matrix(np.stack([across, down, np.cross(across, down)]))


if __name__ == '__main__':
    main(tyro.cli(ObjectPreviewConfig))
