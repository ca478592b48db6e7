# SPDX-License-Identifier: Apache-2.0
"""One image of grasps coloured by contact, and how their contact is distributed beside thermal maps.

Each grasp is seen four times: together, the hand from its palm, the object from the hand and from opposite.

`python -m training.data.synthetic.contact.preview --out out/contact.png`, or with `--data contact_pose --root DIR` the
grasps of a public data set, to check its adapter.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import trimesh
import tyro
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from hoi_ros.hand.model import HandModel
from training.data.object_mesh import ObjectMesh
from training.data.public.contact_choice import ContactDataChoice
from training.data.public.dataset_files import DatasetError
from training.data.public.recorded import spread
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.sheet import write_text
from training.data.synthetic.contact.labels import TOUCHED
from training.data.synthetic.contact.records import ContactGrasps
from training.data.synthetic.grasp_preview import render

THERMAL = (0.43, 0.30, 0.07, 0.035, 0.026, 0.023, 0.023, 0.027, 0.04, 0.024)
"""Mean share of the object points of ContactPose in each tenth of contact."""
THERMAL_TOUCHING = (4.8, 13.6, 31.3)
"""Percent of a grasp's object points that touch in ContactPose: 10th, 50th and 90th percentile of grasps."""
_INK = (40, 40, 40)
_GREY = (200, 200, 200)
_TILE, _COLUMNS = 260, 6
_FINEST = 0.004
"""Longest edge of the object's triangles that are coloured, metres."""
_VIEWS = {'hand': (180, 0), 'near': (180, 180), 'far': (180, 0)}


@dataclasses.dataclass(frozen=True)
class ContactPreviewConfig(ContactDataChoice):
    """Options of the preview."""

    out: Path = Path('out/contact.png')
    count: int = 100
    """Grasps in the distribution; those of a public data set are spread evenly over its split."""
    shown: int = 18
    """Grasps that are drawn."""
    seed: int = 0
    split: str = 'train'


def main(config: ContactPreviewConfig) -> None:
    if not 1 <= config.shown <= config.count:
        raise SystemExit(f'error: --shown is {config.shown}, expected 1 to --count, which is {config.count}')
    hand, synthetic = HandModel.load(), config.data == 'synthetic'
    try:
        stream = ContactGrasps(config.seed, config.split) if synthetic else config.stream(config.split)
        numbers = range(config.count) if synthetic else spread(len(stream), config.count).tolist()
        records = np.array([stream[index] for index in tqdm(numbers, unit='grasp')])
        tiles = [_tile(record, stream.mesh(int(record['index'])), hand) for record in records[: config.shown]]
    except DatasetError as error:
        raise SystemExit(f'error: {error}') from error
    save_sheet(config.out, rows_of(tiles, _COLUMNS, 255))
    print(f'{config.out}: {len(tiles)} of {len(records)} grasps of split {config.split}, red firm, yellow from 0.4 on')
    print(
        'contact             ' + ' '.join(f'{tenth / 10:5.1f}' for tenth in range(10)) + f'   >= {TOUCHED} (10/50/90 %)'
    )
    _print_row('thermal, object', np.array(THERMAL), THERMAL_TOUCHING)
    made = 'generated' if synthetic else 'recorded'
    for surface in ('object', 'hand'):
        _print_row(f'{made}, {surface}', *distribution(records[f'{surface}_contact']))


def distribution(contact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How contact (G, N) of G grasps is distributed.

    Returns:
        (10,) mean share of points in each tenth of [0, 1], and (3,) percent of points that touch: 10th, 50th and 90th
        percentile of grasps.
    """
    tenths = np.minimum((contact.astype(float) * 10).astype(int), 9)
    shares = np.bincount(tenths.ravel(), minlength=10) / contact.size
    return shares, 100 * np.percentile((contact >= TOUCHED).mean(1), [10, 50, 90])


def heat(contact: np.ndarray) -> np.ndarray:
    """(N, 3) RGB colours of contact (N,): grey, from TOUCHED on yellow, and red where it is firm."""
    strength = contact.astype(np.float32)
    steps = np.array([0, TOUCHED - 0.01, TOUCHED, 1])
    colours = np.array([_GREY, (150, 170, 205), (250, 215, 60), (205, 20, 20)], float)
    return np.stack([np.interp(strength, steps, colours[:, channel]) for channel in range(3)], 1)


def _tile(record: np.ndarray, mesh: ObjectMesh, hand: HandModel) -> np.ndarray:
    skin = hand.forward(record['pose'], record['shape'], record['translation']).vertices
    vertices, faces = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, _FINEST, max_iter=20)
    nearest = cKDTree(record['object_points']).query(vertices)[1]
    on_hand = (skin, hand.faces, _GREY), heat(record['hand_contact'])
    on_object = (vertices, faces, _GREY), heat(record['object_contact'][nearest])
    own = Rotation.from_rotvec(record['pose'][:3]).inv()
    around = {name: Rotation.from_euler('xy', angles, degrees=True) * own for name, angles in _VIEWS.items()}
    both = [on_hand[0], on_object[0]], np.concatenate([on_hand[1], on_object[1]])
    together = render(both[0], Rotation.from_euler('xyz', [180, 25, 0], degrees=True) * own, _TILE, both[1])
    palm = render([on_hand[0]], around['hand'], _TILE, on_hand[1])
    near, far = (render([on_object[0]], around[name], _TILE, on_object[1]) for name in ('near', 'far'))
    tile = np.vstack([np.hstack([together, palm]), np.hstack([near, far])])
    write_text(tile, f'{int(record["index"])}: {(record["object_contact"] >= TOUCHED).mean():.0%}', (4, 14), 0.45, _INK)
    return cv2.copyMakeBorder(tile, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(210, 210, 210))


def _print_row(name: str, shares: np.ndarray, touching: np.ndarray | tuple[float, ...]) -> None:
    values = ' '.join(f'{share:5.3f}' for share in shares)
    print(f'{name:20}{values}   {" / ".join(f"{share:.1f}" for share in touching)}')


if __name__ == '__main__':
    main(tyro.cli(ContactPreviewConfig))
