# SPDX-License-Identifier: Apache-2.0
"""A sheet of samples of a public data set with the labels drawn over the images, to check the adapter by eye.

`python -m training.data.public.preview freihand --root DIR --split training --out sheet.png`, or `obman`, `ho3d`,
`dexycb`, each with --help. The skeleton has one colour per finger and brighter tips; a contour marks the object, dots
mark the hand's vertices.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated
from typing import Literal

import cv2
import numpy as np
import tyro

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.drawing.hands import draw_skeleton
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import HandModelError
from hoi_ros.simulation.raycast import Raycaster
from training.data.hand_object import HandObjectSample
from training.data.hand_object import HandObjectSamples
from training.data.hand_object import ObjectLabel
from training.data.public.dataset_files import DatasetError
from training.data.public.dexycb import DexYcb
from training.data.public.freihand import FreiHand
from training.data.public.ho3d import Ho3d
from training.data.public.obman import ObMan
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.sheet import write_text
from training.hand.mano import PoseSpace

OUTLINE_COLOUR = (40, 255, 255)
VERTEX_COLOUR = (255, 255, 255)
_COLUMNS = 4
_TILE_WIDTH = 480
_CAPTION_HEIGHT = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sheet:
    """Samples to show, and the file to write."""

    root: Path
    """Folder of the data set, see its adapter."""
    out: Path = Path('out/dataset.png')
    samples: int = 12
    """Number of samples, evenly spread over the split."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FreiHandSheet(Sheet):
    """FreiHAND v2."""

    split: Literal['training', 'evaluation'] = 'training'

    def open(self) -> HandObjectSamples:
        return FreiHand(self.root, self.split)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObManSheet(Sheet):
    """ObMan."""

    split: Literal['train', 'val', 'test'] = 'train'
    shapenet: Path | None = None
    """ShapeNetCore.v2; without it samples have no objects."""

    def open(self) -> HandObjectSamples:
        return ObMan(self.root, self.split, self.shapenet)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ho3dSheet(Sheet):
    """HO-3D v2 or v3."""

    split: Literal['train', 'evaluation'] = 'train'
    version: Literal['v2', 'v3'] = 'v3'
    models: Path | None = None
    """The YCB-Video meshes; without them samples have no objects."""
    hand: Path | None = None
    """Your MANO_RIGHT.pkl as converted by `python -m training.hand.mano`; without it samples have no vertices."""

    def open(self) -> HandObjectSamples:
        hand = None if self.hand is None else HandModel.load(self.hand)
        return Ho3d(self.root, self.split, self.version, self.models, hand)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DexYcbSheet(Sheet):
    """DexYCB."""

    setup: Literal['s0', 's1', 's2', 's3'] = 's0'
    split: Literal['train', 'val', 'test'] = 'train'
    hand: Path | None = None
    """Your MANO_RIGHT.pkl as converted by `python -m training.hand.mano`; without it samples have no vertices."""

    def open(self) -> HandObjectSamples:
        if self.hand is None:
            return DexYcb(self.root, self.setup, self.split)
        hand, space = HandModel.load(self.hand), PoseSpace.load(self.hand)
        if space is None:
            raise HandModelError(
                f'{self.hand}: no MANO pose space in it, in which DexYCB writes its poses; convert '
                'your MANO_RIGHT.pkl with `python -m training.hand.mano` again'
            )
        return DexYcb(self.root, self.setup, self.split, hand, space)


AnySheet = (
    Annotated[FreiHandSheet, tyro.conf.subcommand('freihand')]
    | Annotated[ObManSheet, tyro.conf.subcommand('obman')]
    | Annotated[Ho3dSheet, tyro.conf.subcommand('ho3d')]
    | Annotated[DexYcbSheet, tyro.conf.subcommand('dexycb')]
)


def main(config: AnySheet) -> None:
    try:
        split = config.open()
        chosen = np.unique(np.linspace(0, len(split) - 1, config.samples).astype(int))
        samples = [split[int(index)] for index in chosen]
    except (DatasetError, HandModelError) as error:
        raise SystemExit(f'error: {error}') from error
    tiles = [draw_sample(sample) for sample in samples]
    try:
        save_sheet(config.out, rows_of(tiles, min(_COLUMNS, len(tiles))))
    except OSError as error:
        raise SystemExit(f'error: {error}') from error
    have = {
        name: sum(getattr(sample, name) is not None for sample in samples)
        for name in ('keypoints', 'pose', 'hand_vertices', 'held', 'contact', 'depth')
    }
    print(
        f'{config.out}: {len(samples)} of {len(split)} samples; of these have '
        + ', '.join(f'{name.replace("_", " ")} {count}' for name, count in have.items())
    )


def draw_sample(sample: HandObjectSample) -> np.ndarray:
    """(H, W, 3) RGB: the image at the width of a tile, with the labels drawn over it."""
    height = round(_TILE_WIDTH * sample.camera.height / sample.camera.width)
    shrinks = sample.camera.width > _TILE_WIDTH
    picture = cv2.resize(
        sample.image, (_TILE_WIDTH, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    camera = sample.camera.scaled(_TILE_WIDTH, height)
    if sample.held is not None:
        _draw_silhouette(picture, sample.held, camera)
    if sample.hand_vertices is not None:
        seen = sample.hand_vertices[sample.hand_vertices[:, 2] > 0]
        for pixel in np.round(camera.project(seen)).astype(int).tolist():
            cv2.circle(picture, pixel, 0, VERTEX_COLOUR)
    if sample.keypoints is not None:
        draw_skeleton(picture, sample.keypoints, camera)
    picture[:_CAPTION_HEIGHT] //= 3
    text = f'{sample.side}  {sample.name}' + (f'  {sample.held.name}' if sample.held else '')
    write_text(picture, text, (6, _CAPTION_HEIGHT - 6), 0.38, VERTEX_COLOUR)
    return picture


def _draw_silhouette(picture: np.ndarray, held: ObjectLabel, camera: Pinhole) -> None:
    """Draws the contour of the rendered object."""
    mask = (Raycaster(held.placed, held.faces).look(camera).triangles >= 0).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, OUTLINE_COLOUR, 2, cv2.LINE_AA)


if __name__ == '__main__':
    main(tyro.cli(AnySheet, prog='python -m training.data.public.preview'))
