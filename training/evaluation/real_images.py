# SPDX-License-Identifier: Apache-2.0
"""Stages on real images without labels: a contact sheet for each stage, and the sums of what a person judged.

    python -m training.evaluation.real_images --data ../shared/data

runs the stages on the pictures of a list, each as the first of a stream, and writes `<stage>.jpg` and single overlays.
The list holds a person's judgement of each overlay; judge again when the networks change. `--choose` draws the photos
of the list anew, by their source and a seed, and empties the judgement.
"""

from __future__ import annotations

import csv
import dataclasses
import random
import sys
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.drawing.hands import draw_hands
from hoi_ros.playback.cameras import cameras_of
from hoi_ros.playback.cameras import FIELD_OF_VIEW
from hoi_ros.playback.image_folder import read_colour
from hoi_ros.playback.image_folder import read_metric_depth
from hoi_ros.systems import system_of
from hoi_ros.systems import system_of_photos
from training.data.real.photos import photos

JUDGED = ('hands', 'found', 'on_hand', 'side', 'fingers', 'held', 'object', 'false_hands', 'false_objects')
"""Recognisable hands of the picture; of them: found at all, most of the palm covered by the mesh in the right
direction, of the right side, every visible finger in its place (and of the right side); objects held; object meshes of
the right shape; hand meshes on no hand; objects at an empty hand. What is doubtful counts as wrong."""
COLUMNS = ('stage', 'file', *JUDGED, 'source', 'licence')
_PHOTO_FOLDERS = ('rgb_hands', 'rgb_hands_with_objects')


class RealImagesError(ValueError):
    """A list or a folder that cannot be used."""


@dataclasses.dataclass(frozen=True)
class RealImages:
    """Contact sheets of the stages on real images, and the sums of what a person judged."""

    data: Path = Path('../shared/data')
    """Folder of the real images."""
    list: Path = Path('docs/real_images.csv')
    """The pictures, relative to `data`, with their stage and a person's judgement."""
    out: Path = Path('out/real_images')
    """Folder for the sheets and, by stage, the overlays."""
    fov: float = FIELD_OF_VIEW
    """Field of view across the longer side of photos, degrees; their cameras are unknown."""
    depth_camera: Path = Path('tests/data/sr305_camera.yaml')
    """Calibration of the depth images."""
    depth_scale: float = 0.000125
    """Metres of one unit of the depth images."""
    tile: int = 200
    """Pixels of a picture's longer side in the sheet."""
    columns: int = 7
    """Pictures in a row of the sheet."""
    choose: bool = False
    """Draw the photos of the list anew instead: `photos` of each source, with `seed`."""
    photos: int = 4
    """Photos of each source that `choose` draws; photos of the training are left out."""
    smallest: int = 200
    """Shorter side below which `choose` leaves a photo out, pixels."""
    seed: int = 14
    """Of the draw."""


def choose_photos(config: RealImages) -> list[dict[str, str]]:
    """Rows of the list for at most `config.photos` photos of each source that no training shows, drawn by
    `config.seed`; nobody has judged them."""
    seen = {photo.path for photo in photos(config.data / 'real', 'train')}
    with (config.data / 'real' / 'SOURCES.csv').open(newline='', encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['kind'] in _PHOTO_FOLDERS]
    sources: dict[str, list[dict[str, str]]] = {}
    for row in sorted(rows, key=lambda row: row['file']):
        large = min(int(row['width']), int(row['height'])) >= config.smallest
        if large and config.data / 'real' / row['file'] not in seen:
            sources.setdefault(Path(row['file']).name.split('_')[0], []).append(row)
    draw = random.Random(config.seed)
    chosen = [
        row for name in sorted(sources) for row in draw.sample(sources[name], min(config.photos, len(sources[name])))
    ]
    return [
        {
            'stage': system_of_photos().name,
            'file': f'real/{row["file"]}',
            'source': row['source'],
            'licence': row['licence'],
        }
        for row in chosen
    ]


def read_list(path: Path) -> list[dict[str, str]]:
    """Rows of the list.

    Raises:
        RealImagesError: the file is missing or its columns are not `COLUMNS`.
    """
    if not path.is_file():
        raise RealImagesError(f'{path}: no such file: name the list of the pictures')
    with path.open(newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise RealImagesError(f'{path}: the columns are {reader.fieldnames}, expected {", ".join(COLUMNS)}')
        return list(reader)


def write_list(path: Path, rows: list[dict[str, str]]) -> None:
    """Writes rows of the list; what a row lacks stays empty."""
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, COLUMNS, restval='', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def judged_sums(rows: list[dict[str, str]]) -> dict[str, int]:
    """Sums of the columns `JUDGED` of some rows, and the number of pictures.

    Raises:
        RealImagesError: a picture has not been judged.
    """
    for row in rows:
        if not all(row[name] for name in JUDGED):
            raise RealImagesError(f'{row["file"]} has not been judged: look at its overlay and fill in the list')
    return {'pictures': len(rows)} | {name: sum(int(row[name]) for row in rows) for name in JUDGED}


def draw_overlays(config: RealImages, stage_name: str, files: list[str]) -> list[np.ndarray]:
    """Runs a stage on pictures, each as the first of a stream, and returns the overlays."""
    system = system_of(stage_name)
    stage = system.load_stage()
    stage.warm_up()
    faces = {side: np.asarray(stage.hand_model(side).faces) for side in ('right', 'left')}
    object_faces = np.asarray(stage.object_faces) if system.has_objects else None
    overlays = []
    for file in files:
        path = config.data / file
        depth = system.images == ('depth',)
        image = read_metric_depth(path, config.depth_scale) if depth else read_colour(path)
        calibration = cameras_of(config.depth_camera if depth else None, config.fov)(image.shape[1], image.shape[0])
        rectifier = Rectifier(calibration)
        image, camera = (rectifier.depth if depth else rectifier.colour)(image), rectifier.camera
        stage.reset()
        overlays.append(draw_hands(image, stage(image, camera, 0.0), camera, faces, object_faces))
    return overlays


def contact_sheet(pictures: list[np.ndarray], tile: int, columns: int) -> np.ndarray:
    """One RGB picture with the given ones in rows, each shrunk to `tile` pixels and numbered from 1."""
    rows = []
    for first in range(0, len(pictures), columns):
        tiles = [
            _tile(picture, number, tile) for number, picture in enumerate(pictures[first : first + columns], first + 1)
        ]
        height = max(len(each) for each in tiles)
        row = np.full((height, columns * tile, 3), 255, np.uint8)
        for column, each in enumerate(tiles):
            row[: each.shape[0], column * tile : column * tile + each.shape[1]] = each
        rows.append(row)
    return np.concatenate(rows)


def evaluate(config: RealImages) -> None:
    """Writes the sheets and overlays, prints the sums; or draws the list anew."""
    if config.choose:
        others = [row for row in read_list(config.list) if row['stage'] != system_of_photos().name]
        write_list(config.list, [*choose_photos(config), *others])
        return
    stages: dict[str, list[dict[str, str]]] = {}
    for row in read_list(config.list):
        stages.setdefault(row['stage'], []).append(row)
    for stage, own in stages.items():
        overlays = draw_overlays(config, stage, [row['file'] for row in own])
        for number, (row, overlay) in enumerate(zip(own, overlays), 1):
            _write(config.out / stage / f'{number:02d}_{Path(row["file"]).stem}.png', overlay)
        _write(config.out / f'{stage}.jpg', contact_sheet(overlays, config.tile, config.columns))
    print(f'written to {config.out}: compare the overlays with the judgement in {config.list}')
    for stage, own in stages.items():
        print(f'{stage}: ' + ', '.join(f'{name} {number}' for name, number in judged_sums(own).items()))


def _tile(picture: np.ndarray, number: int, size: int) -> np.ndarray:
    scale = size / max(picture.shape[:2])
    width, height = (max(1, round(side * scale)) for side in (picture.shape[1], picture.shape[0]))
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(small, str(number), (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA)
    return small


def _write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 82] if path.suffix == '.jpg' else []
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality):
        raise OSError(f'{path}: the picture cannot be written')


def main() -> int:
    """Command line."""
    import tyro

    try:
        evaluate(tyro.cli(RealImages, prog='python -m training.evaluation.real_images'))
    except (RealImagesError, OSError) as error:
        print(f'real_images: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
