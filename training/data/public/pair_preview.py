# SPDX-License-Identifier: Apache-2.0
"""One image of pairs of hands, and how they are placed, beside InterHand2.6M.

Each pair is seen twice, from the thumbs' side and before the left palm; the left hand is blue, an object a cloud.

    python -m training.data.public.pair_preview --data tracks --root leap_tracks.npz --split test --out sheet.png
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import tyro
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import rotation_of
from training.data.public.dataset_files import DatasetError
from training.data.public.pair_choice import PairDataChoice
from training.data.public.recorded import spread
from training.data.real.two_hand_tracks import TwoHandTracks
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.sheet import write_text
from training.data.synthetic.grasp_preview import render

INTERHAND = np.array([[5.0, 82.0, -4.0], [39.0, 75.0, 66.0]])
"""Mean and standard deviation of the right wrist's place in InterHand2.6M, see `placement`, millimetres."""
_SKIN, _LEFT, _OBJECT, _INK = (236, 200, 178), (150, 180, 220), (176, 176, 176), (40, 40, 40)
_TILE, _COLUMNS = 220, 4
_PATCH = 0.003
"""Half the side of the patch that stands for a point of an object, metres."""


@dataclasses.dataclass(frozen=True)
class PairPreviewConfig(PairDataChoice):
    """Options of the preview."""

    out: Path = Path('out/pairs.png')
    count: int = 200
    """Pairs in the statistics; those of recorded hands are spread evenly over the split."""
    shown: int = 24
    """Pairs that are drawn."""
    seed: int = 0
    split: str = 'train'


def main(config: PairPreviewConfig) -> None:
    if not 1 <= config.shown <= config.count:
        raise SystemExit(f'error: --shown is {config.shown}, expected 1 to --count, which is {config.count}')
    right = HandModel.load(config.hand)
    try:
        stream = config.stream(config.split, config.seed)
        numbers = range(config.count) if config.data == 'made' else spread(len(stream), config.count).tolist()
        records = np.array([stream[index] for index in tqdm(numbers, unit='pair')])
    except DatasetError as error:
        raise SystemExit(f'error: {error}') from error
    drawn = records[spread(len(records), config.shown)]
    save_sheet(config.out, rows_of([_tile(record, right) for record in drawn], _COLUMNS, 255))
    print(f'{config.out}: {len(drawn)} of {len(records)} pairs of split {config.split}')
    if isinstance(stream, TwoHandTracks):
        for name, residuals in stream.residuals.items():
            print(
                f'{name}: fitted joints {1e3 * residuals[0]:.1f} mm (right) and {1e3 * residuals[1]:.1f} mm (left) off'
            )
    places = 1e3 * placement(records, right)
    print("right wrist from the left one, mm      along the fingers   out of the palm   to the thumb's side")
    for name, (mean, spread_of) in ((config.data, (places.mean(0), places.std(0))), ('InterHand2.6M', INTERHAND)):
        print(f'{name:37}' + '   '.join(f'{m:6.0f} ± {s:<8.0f}' for m, s in zip(mean, spread_of, strict=True)))
    depths = 1e3 * records['penetration']
    inside = depths[depths > 0]
    middle, most = (np.median(inside), inside.max()) if len(inside) else (0.0, 0.0)
    print(f'{len(inside) / len(depths):.0%} intersect, by {middle:.1f} mm in the median and {most:.1f} mm at most')
    print(
        'gap, mm (10/50/90 %): ' + ' / '.join(f'{gap:.1f}' for gap in np.percentile(1e3 * records['gap'], [10, 50, 90]))
    )


def placement(records: np.ndarray, right: HandModel) -> np.ndarray:
    """(N, 3) place of the right wrist in the frame of the left one, metres: along the left hand's fingers, out of its
    palm, to its thumb's side. These are the axes of the hand model at rest: x, −y and z of MANO's left hand.

    Args:
        records: (N,) of pairs.
        right: the hand model of the records.
    """
    joints = right.mirrored().joints.astype(float)
    along, across = joints[4] - joints[0], joints[1] - joints[7]
    # Of a left hand, the fingers crossed with the direction of the thumb point out of the palm.
    out = np.cross(along, across)
    axes = np.stack([axis / np.linalg.norm(axis) for axis in (along, out, np.cross(out, along))], 1)
    return about_anchor(records['right'], records['left'])[:, PLACE] @ np.rint(axes)


def _tile(record: np.ndarray, right: HandModel) -> np.ndarray:
    meshes = []
    for hand, colour in ((right, _SKIN), (right.mirrored(), _LEFT)):
        vertices = hand.forward(*parameters_of(hand, record[hand.side])).vertices
        meshes.append((vertices, hand.faces, colour))
    if 'object_points' in (record.dtype.names or ()):
        meshes.append((*_patches(record['object_points'], record['object_normals']), _OBJECT))
    own = Rotation.from_matrix(rotation_of(record['left'])).inv()
    views = [[[0, 0, 1], [0, -1, 0], [1, 0, 0]], [[1, 0, 0], [0, -1, 0], [0, 0, -1]]]
    tile = np.hstack([render(meshes, Rotation.from_matrix(view) * own, _TILE) for view in views])
    text = f'{int(record["index"])}: {1e3 * (record["gap"] - record["penetration"]):.0f} mm'
    write_text(tile, text, (4, 14), 0.45, _INK)
    return cv2.copyMakeBorder(tile, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(210, 210, 210))


def _patches(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a square at each point (N, 3) of a surface with normals (N, 3)."""
    first = np.cross(normals, np.where(np.abs(normals[:, :1]) < 0.8, [1.0, 0, 0], [0, 1.0, 0]))
    first = _PATCH * first / np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    corners = np.stack([points + x * first + y * second for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))], 1)
    faces = 4 * np.arange(len(points))[:, None, None] + [[0, 1, 2], [0, 2, 3]]
    return corners.reshape(-1, 3), faces.reshape(-1, 3)


if __name__ == '__main__':
    main(tyro.cli(PairPreviewConfig))
