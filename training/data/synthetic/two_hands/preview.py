# SPDX-License-Identifier: Apache-2.0
"""Two images of generated two-hand interactions: their statistics, and samples of each kind from two sides.

`python -m training.data.synthetic.two_hands.preview --out out/two_hands.png` writes the statistics there and the
samples beside it, as two_hands_kinds.png.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import cv2
import numpy as np
import tyro
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.hand.skeleton import FINGERS
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.contact import touched
from hoi_ros.mesh.volumes import grid_volume
from training.data.panels import bars
from training.data.panels import histogram
from training.data.panels import INK
from training.data.panels import PANEL
from training.data.panels import panel
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.sheet import write_text
from training.data.synthetic.grasp_preview import render
from training.data.synthetic.two_hands.generator import DEEPEST
from training.data.synthetic.two_hands.generator import PairInteractions
from training.data.synthetic.two_hands.interactions import INTERACTIONS
from training.data.synthetic.two_hands.postures import HAND_POSES

INTERHAND = {'to the thumb': (-4, 66), 'along the fingers': (5, 39), 'out of the palm': (82, 75)}
"""Place of one wrist about the other in InterHand2.6M (Moon et al., ECCV 2020): mean and standard deviation along the
anchor's axes, mm. The published (5, -82, -4) and (39, 75, 66) are along MANO's axes of a left hand: the fingers, the
back, the thumb."""
_SKIN = (232, 190, 168), (140, 172, 214)
"""Of the right and of the left hand, RGB."""
_TILE = 150
_VOXEL = 0.002
"""Edge of the voxels of the penetration volume, metres."""


@dataclasses.dataclass(frozen=True)
class PairPreviewConfig:
    """Options of the preview."""

    out: Path = Path('out/two_hands.png')
    count: int = 300
    """Pairs in the statistics; the samples are among them."""
    shown: int = 6
    """Samples of each kind that are drawn, two views each."""
    seed: int = 0
    split: str = 'train'
    poses: Path = HAND_POSES
    """Folder of the real hands' poses."""


def main(config: PairPreviewConfig) -> None:
    if not (config.count >= 1 and config.shown >= 1):
        raise SystemExit(f'error: --count is {config.count} and --shown {config.shown}, expected 1 or more')
    try:
        stream = PairInteractions(config.seed, config.split, poses=config.poses)
    except (FileNotFoundError, KeyError) as error:
        raise SystemExit(f'error: {error.args[0]}') from error
    began = time.perf_counter()
    records = np.array([stream[index] for index in tqdm(range(config.count), unit='pair')])
    rate = config.count / (time.perf_counter() - began)
    models = HandModel.load(), HandModel.load().mirrored()
    pairs = [surfaces_of(models, record) for record in records]
    save_sheet(config.out, statistics(models, records, pairs))
    samples = config.out.with_stem(f'{config.out.stem}_kinds')
    save_sheet(samples, by_kind(models, records, pairs, config.shown))
    print(
        f'{config.out}, {samples}: seed {config.seed}, split {config.split}, {config.count} pairs, {rate:.1f} a second'
    )
    places = 1000 * records['right'][:, PLACE]
    for axis, (name, (mean, deviation)) in enumerate(INTERHAND.items()):
        made = f'{places[:, axis].mean():6.0f} +- {places[:, axis].std():.0f} mm'
        print(f'right wrist {name:18}{made}   InterHand2.6M {mean:6.0f} +- {deviation} mm')


def surfaces_of(models: tuple[HandModel, HandModel], record: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) vertices of the right and of the left hand of a record, metres."""
    right, left = (model.forward(*parameters_of(model, record[model.side])).vertices for model in models)
    return right, left


def statistics(
    models: tuple[HandModel, HandModel], records: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The picture of the statistics, (H, W, 3) uint8 RGB."""
    faces = [close_holes(model.faces) for model in models]
    touch = [np.array([touched(pair[one], pair[1 - one], faces[1 - one]) for pair in pairs]) for one in range(2)]
    volumes = np.array([grid_volume(right, faces[0], left, faces[1], _VOXEL) for right, left in pairs])
    apart = records['gap'][records['gap'] > 0]
    owners = models[0].weights.argmax(1)
    links = [*(np.isin(owners, joints) for joints in FINGER_JOINTS), owners == 0]
    shares = [[one[:, link].any(1).mean() for link in links] for one in touch]
    places = 1000 * records['right'][:, PLACE]
    wide = 2 * PANEL[0], 2 * PANEL[1]
    kinds = [np.mean(records['kind'] == number) for number in range(len(INTERACTIONS))]
    left_half = np.vstack(
        [
            bars('kind', [kind.name for kind in INTERACTIONS], kinds, (PANEL[0], wide[1])),
            histogram('distance of the wrists, mm', np.linalg.norm(places, axis=1), (0, 350)),
        ]
    )
    rows = [
        [
            histogram('depth of the deepest vertex, mm', 1000 * records['penetration'], (0, 1000 * DEEPEST)),
            histogram('penetration volume, mm3', 1e9 * volumes, (0, 800)),
            histogram(f'gap, mm ({len(apart)} of {len(records)})', 1000 * apart, (0, 150)),
        ],
        [
            histogram(f'right wrist {name}, mm', places[:, axis], (-250, 250), INTERHAND[name])
            for axis, name in enumerate(INTERHAND)
        ],
        [
            bars('touches, share of pairs', [*FINGERS, 'palm'], np.mean(shares, 0)),
            *(_contact_map(model, one.mean(0)) for model, one in zip(models, touch, strict=True)),
        ],
    ]
    return np.hstack([left_half, np.vstack([np.hstack(row) for row in rows])])


def by_kind(
    models: tuple[HandModel, HandModel], records: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]], shown: int
) -> np.ndarray:
    """A row of samples for each kind, (H, W, 3) uint8 RGB."""
    rows = []
    for number, kind in enumerate(INTERACTIONS):
        chosen = np.flatnonzero(records['kind'] == number)[:shown]
        tiles = [_tile(models, records[index], pairs[index]) for index in chosen]
        tiles += [np.full((_TILE, 2 * _TILE, 3), 255, np.uint8)] * (shown - len(tiles))
        write_text(tiles[0], kind.name, (4, 13), 0.4, INK)
        rows.append(rows_of(tiles, shown, 255))
    return np.vstack(rows)


def _tile(models: tuple[HandModel, HandModel], record: np.ndarray, pair: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """A pair as its person sees it, and from above the hands."""
    turn, place = rotation_of(record['right']), record['right'][PLACE].astype(float)
    # The small numbers decide where hands point against each other, or one is straight ahead of the other.
    ahead = turn[:, 1] + [0, 1, 1e-3]
    ahead = ahead / np.linalg.norm(ahead)
    aside = place + 0.05 * turn[:, 1] - [1e-4, 0.05, 0]
    aside = aside - (aside @ ahead) * ahead
    aside = aside / np.linalg.norm(aside)
    down = np.cross(ahead, aside)
    meshes = [(mesh, model.faces, skin) for mesh, model, skin in zip(pair, models, _SKIN, strict=True)]
    views = np.stack([aside, down, ahead]), np.stack([aside, -ahead, down])
    tile = np.hstack([render(meshes, Rotation.from_matrix(view), _TILE) for view in views])
    gap = f'{1000 * record["gap"]:.0f} mm apart' if record['gap'] else f'{1000 * record["penetration"]:.1f} mm deep'
    write_text(tile, gap, (4, _TILE - 5), 0.33, INK)
    return tile


def _contact_map(model: HandModel, share: np.ndarray) -> np.ndarray:
    """The flat hand from its palm's side and from its back, red where it touches most often."""
    strength = (share / max(share.max(), 1e-6))[:, None]
    shades = (1 - strength) * np.array([220, 220, 220]) + strength * np.array([220, 20, 20])
    sheet = panel(f'where the {model.side} hand touches (red: {100 * share.max():.0f} %)')
    hand, side = [(model.template, model.faces, _SKIN[0])], PANEL[1] - 30
    for number, turned in enumerate((0, 180)):
        view = render(hand, Rotation.from_euler('xy', [180, turned], degrees=True), side, shades)
        left = 2 + number * (PANEL[0] - side - 4)
        region = sheet[28 : 28 + side, left : left + side]
        np.minimum(region, view, out=region)
    return cv2.rectangle(sheet, (0, 0), (PANEL[0] - 1, PANEL[1] - 1), (210, 210, 210), 1)


if __name__ == '__main__':
    main(tyro.cli(PairPreviewConfig))
