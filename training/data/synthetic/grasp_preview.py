# SPDX-License-Identifier: Apache-2.0
"""One image of generated grasps: statistics of many grasps above, some of the grasps from two sides below.

`python -m training.data.synthetic.grasp_preview --out out/grasps.png`
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

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.hand.skeleton import FINGERS
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.simulation.raycast import Raycaster
from training.data.panels import bars
from training.data.panels import histogram
from training.data.panels import INK
from training.data.panels import PANEL
from training.data.panels import panel
from training.data.panels import scatter
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.sheet import write_text
from training.data.synthetic.grasps import Grasp
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.grasps import GRIPS
from training.data.synthetic.grasps.approach import FARTHEST
from training.data.synthetic.grasps.generator import DEEPEST
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.objects import HELD_OUT

_SKIN, _OBJECT = (232, 190, 168), (84, 140, 196)
"""Colours, RGB."""
_PAPER = 255
"""Grey value of the background."""
_TILE = 200
"""Side of one view of a grasp, pixels."""
_COLUMNS = 10
"""Grasps in a row."""
_FEWEST = 20
"""Fewer grasps have no statistics: two components of the joint angles, and some of each kind."""


@dataclasses.dataclass(frozen=True)
class GraspPreviewConfig:
    """Options of the preview."""

    out: Path = Path('out/grasps.png')
    count: int = 400
    """Grasps in the statistics."""
    shown: int = 40
    """Grasps that are drawn."""
    seed: int = 0
    split: str = 'train'


def main(config: GraspPreviewConfig) -> None:
    if config.count < _FEWEST:
        raise SystemExit(f'error: --count is {config.count}; the statistics need {_FEWEST} grasps or more')
    model = HandModel.load()
    generator = GraspGenerator(model, config.seed, config.split)
    began = time.perf_counter()
    grasps = [generator[index] for index in tqdm(range(config.count), unit='grasp')]
    rate = config.count / (time.perf_counter() - began)
    figures = _figures(grasps, model)
    tiles = [_tile(grasp, model) for grasp in grasps[: config.shown]]
    save_sheet(config.out, np.vstack([figures, rows_of(tiles, _COLUMNS, _PAPER)]))
    print(f'{config.out}: {config.count} grasps of split {config.split}, {rate:.1f} a second')


def _figures(grasps: list[Grasp], model: HandModel) -> np.ndarray:
    held = [grasp for grasp in grasps if grasp.pregrasp == 0]
    before = [grasp for grasp in grasps if grasp.pregrasp > 0]
    contact = np.array([grasp.contact for grasp in held])
    owners = model.weights.argmax(1)
    touching = [contact[:, np.isin(owners, joints)].any(1).mean() for joints in FINGER_JOINTS]
    touching.append(contact[:, owners == 0].any(1).mean())
    kinds = [f'{name} ({grip.kind})' for name, grip in GRIPS.items()]
    families = [name for name in (*FAMILIES, *HELD_OUT) if any(grasp.object.family == name for grasp in grasps)]
    angles = np.array([model.anatomical(grasp.pose)[1:] for grasp in held])
    components = np.linalg.svd((angles - angles.mean(0)).reshape(len(held), -1), full_matrices=False)
    variance = components[1] ** 2 / (components[1] ** 2).sum()
    around = Rotation.from_rotvec([grasp.pose[:3] for grasp in grasps]).apply([0, 0, 1])
    panels = [
        bars('touches, share of grasps', [*FINGERS, 'palm'], touching),
        bars('grip', kinds, [np.mean([grasp.grip == name for grasp in grasps]) for name in GRIPS]),
        bars('object', families, [np.mean([grasp.object.family == name for grasp in grasps]) for name in families]),
        histogram('penetration, mm', [1e3 * grasp.penetration for grasp in held], (0, 1e3 * DEEPEST)),
        histogram('touching vertices, % of the hand', 100 * contact.mean(1), (0, 40)),
        histogram(
            'thumb tip to index tip, mm',
            [1e3 * np.linalg.norm(grasp.keypoints[4] - grasp.keypoints[8]) for grasp in held],
            (0, 150),
        ),
        histogram(
            f'withdrawn, mm ({len(before)} of {len(grasps)})',
            [1e3 * grasp.pregrasp for grasp in before],
            (0, 1e3 * FARTHEST),
        ),
        histogram("object's longest side, mm", [1e3 * grasp.object.extents.max() for grasp in grasps], (0, 320)),
        bars(
            'variance of the joint angles by component', [str(k + 1) for k in range(len(variance[:10]))], variance[:10]
        ),
        scatter('first two components of the joint angles', components[0][:, :2] * components[1][:2]),
        scatter("where the palm faces, in the object's frame (x, z)", around[:, [0, 2]]),
        _contact_map('how often each place touches', model, contact.mean(0)),
    ]
    half = len(panels) // 2
    figures = np.vstack([np.hstack(panels[:half]), np.hstack(panels[half:])])
    return cv2.resize(
        figures,
        (_COLUMNS * _TILE, figures.shape[0] * _COLUMNS * _TILE // figures.shape[1]),
        interpolation=cv2.INTER_AREA,
    )


def _tile(grasp: Grasp, model: HandModel) -> np.ndarray:
    placed = grasp.object.vertices @ grasp.object_pose[:3, :3].T + grasp.object_pose[:3, 3]
    meshes = [(grasp.vertices, model.faces, _SKIN), (placed, grasp.object.faces, _OBJECT)]
    own = Rotation.from_rotvec(grasp.pose[:3]).inv()
    front = render(meshes, Rotation.from_euler('xyz', [180, 25, 0], degrees=True) * own, _TILE)
    thumb = render(meshes, Rotation.from_euler('xy', [180, 100], degrees=True) * own, _TILE)
    label = f'{grasp.grip} {grasp.object.family}'
    label += f' -{1e3 * grasp.pregrasp:.0f} mm' if grasp.pregrasp else f' {1e3 * grasp.penetration:.1f} mm'
    tile = np.vstack([front, thumb])
    write_text(tile, label, (4, 13), 0.4, INK)
    return tile


def render(
    meshes: list[tuple[np.ndarray, np.ndarray, tuple[int, int, int]]],
    view: Rotation,
    size: int,
    shades: np.ndarray | None = None,
) -> np.ndarray:
    """Renders meshes (vertices, faces, colour) from far away; `shades` (V, 3) replaces the colours by one a vertex.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    points = np.concatenate([view.apply(vertices) for vertices, _, _ in meshes])
    counts = np.cumsum([0] + [len(vertices) for vertices, _, _ in meshes])
    faces = np.concatenate([faces + start for (_, faces, _), start in zip(meshes, counts, strict=False)])
    colours = np.concatenate([np.tile(np.array(colour, float), (len(vertices), 1)) for vertices, _, colour in meshes])
    colours = colours if shades is None else shades
    middle, distance = (points.min(0) + points.max(0)) / 2, 3.0
    focal = 0.9 * size * distance / np.ptp(points[:, :2], axis=0).max()
    camera = Pinhole(size, size, focal, focal, (size - 1) / 2, (size - 1) / 2)
    placed = points - middle + [0, 0, distance]
    hits = Raycaster(placed, faces).look(camera)
    covered = hits.triangles >= 0
    corners, shares = faces[hits.triangles[covered]], hits.shares[covered]
    weights = np.concatenate([1 - shares.sum(1, keepdims=True), shares], 1)[..., None]
    normals = (vertex_normals(placed, faces)[corners] * weights).sum(1)
    light = np.array([-0.45, -0.55, -0.7])
    brightness = 0.35 + 0.65 * np.clip(normals @ light / np.linalg.norm(normals, axis=1), 0, 1)
    picture = np.full((size, size, 3), _PAPER, np.uint8)
    picture[covered] = np.clip((colours[corners] * weights).sum(1) * brightness[:, None], 0, 255)
    return picture


def _contact_map(title: str, model: HandModel, share: np.ndarray) -> np.ndarray:
    """The flat hand from the palm's and from the thumb's side, red where grasps touch most often."""
    strength = (share / max(share.max(), 1e-6))[:, None]
    shades = (1 - strength) * np.array([220, 220, 220]) + strength * np.array([220, 20, 20])
    hand = [(model.template, model.faces, _SKIN)]
    views = [
        render(hand, Rotation.from_euler('xy', [180, turn], degrees=True), PANEL[1] - 30, shades) for turn in (0, 75)
    ]
    sheet = panel(f'{title} (red: {100 * share.max():.0f} %)')
    for number, view in enumerate(views):
        left = 2 + number * (PANEL[0] - view.shape[1] - 4)
        region = sheet[28 : 28 + view.shape[0], left : left + view.shape[1]]
        np.minimum(region, view, out=region)
    return sheet


if __name__ == '__main__':
    main(tyro.cli(GraspPreviewConfig))
