# SPDX-License-Identifier: Apache-2.0
"""Crops of hands in synthetic depth: training data of `depth_pose`."""

from __future__ import annotations

import dataclasses

import numpy as np

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.crop import normalise_depth
from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.simulation.sensor import grain
from training.data.real.depth_material import DepthMaterial
from training.data.real.depth_material import GENERATED
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_parts import BODY
from training.data.synthetic.scenes import inside_image
from training.data.synthetic.scenes import Scene
from training.data.synthetic.scenes import SceneGenerator
from training.data.synthetic.scenes import View

CROP_SCENES = SceneConfig(hands=(0.0, 0.75, 0.25), handling=0.5, shared=0.12, desk=0.3, typing=0.08)

_ATTEMPTS = 20
_VISIBLE, _HOLDING_VISIBLE = 0.55, 0.35
"""Least visible share of a hand, and of one that holds something."""
PATCH_SIZE = 128
PATCH_DTYPE = np.dtype(
    [
        ('depth', np.uint16, (PATCH_SIZE, PATCH_SIZE)),  # tenths of a millimetre, 0 invalid
        ('focal', np.float64),
        ('principal', np.float64, 2),  # of the window, pixels
        ('centre', np.float32, 3),  # mean of the keypoints, or the centre of a patch without a hand; metres
        ('keypoints', np.float32, (21, 3)),  # metres, optical frame; zero where there is no hand
        ('right', np.bool_),
        ('hand', np.bool_),
    ]
)


class DepthPatches:
    """Streams patches of synthetic depth: windows somewhat larger than the cube around a hand.

    The same index gives the same patch on every machine. One in seven shows no hand: an arm, a head, a table, an
    object, nothing.

    Args:
        seed, split: of the scenes.
        extent: side of the window, metres at the depth of its centre.
        model: the right hand.
        scenes: the distribution of scenes.
        attempts: scenes that are tried for one patch.
        material: as in `SceneGenerator`.
    """

    dtype = PATCH_DTYPE

    def __init__(
        self,
        seed: int = 0,
        split: str = 'train',
        extent: float = 0.36,
        model: HandModel | None = None,
        scenes: SceneConfig = CROP_SCENES,
        attempts: int = _ATTEMPTS,
        material: DepthMaterial = GENERATED,
    ) -> None:
        self._attempts = attempts
        self._scenes = SceneGenerator(model or HandModel.load(), scenes, seed, split, attempts, material)
        self._extent = extent

    def __getitem__(self, index: int) -> np.ndarray:
        """One record of `PATCH_DTYPE`."""
        for attempt in range(self._attempts):
            stream = index * self._attempts + attempt
            scene = self._scenes[stream]
            if not scene.hands:
                continue
            rng = self._scenes.rng(stream, purpose=1)
            patch = self._elsewhere(scene, rng) if index % 7 == 0 else self._of_hand(scene, rng)
            if patch is not None:
                return patch
        raise RuntimeError(f'patch {index}: none of {self._attempts} scenes shows a hand; check the SceneConfig')

    def _of_hand(self, scene: Scene, rng: np.random.Generator) -> np.ndarray | None:
        hand = scene.hands[0]
        view, observed = self._observe(scene, hand.centre, rng)
        least = _VISIBLE if scene.held[0] is None else _HOLDING_VISIBLE
        if scene.visible_share(0, view) < least or view.shown(observed, 0) < 0.5:
            return None
        return self._record(view, observed, hand.centre, hand.keypoints, hand.side == 'right')

    def _elsewhere(self, scene: Scene, rng: np.random.Generator) -> np.ndarray | None:
        overview = scene.look(scene.camera.scaled(64, 48))
        within = (overview.owners < 0) & (overview.depth < 2.0) & (overview.depth > 0.2)
        if rng.random() < 0.5 and (overview.owners == BODY).any():
            within &= overview.owners == BODY
        rows, columns = np.nonzero(within)
        if not len(rows):
            return None
        for pick in rng.integers(len(rows), size=6):
            row, column = rows[pick], columns[pick]
            centre = overview.camera.unproject(np.array([column, row]), overview.depth[row, column])
            centre = centre + rng.normal(0, 0.02, 3)
            if all(
                np.linalg.norm(scene.hands[k].keypoints - centre, axis=1).min() > 0.09 for k in range(len(scene.hands))
            ):
                view, observed = self._observe(scene, centre, rng)
                return self._record(view, observed, centre, np.zeros((21, 3)), True, hand=False)
        return None

    def _observe(self, scene: Scene, centre: np.ndarray, rng: np.random.Generator) -> tuple[View, np.ndarray]:
        middle, half = CubeCrop(scene.camera, centre, self._extent).pixels
        left, top = middle - half
        window = scene.camera.window(left, top, 2 * half[0], 2 * half[1], PATCH_SIZE, PATCH_SIZE)
        view = scene.look(window)
        inside = inside_image(window, scene.camera)
        return view, view.observed(rng, float(2 * half[0] / PATCH_SIZE), inside)

    @staticmethod
    def _record(
        view: View, observed: np.ndarray, centre: np.ndarray, keypoints: np.ndarray, right: bool, hand: bool = True
    ) -> np.ndarray:
        camera = view.camera
        return np.array(
            (
                (observed * 1e4 + 0.5).astype(np.uint16),
                camera.fx,
                (camera.cx, camera.cy),
                centre,
                keypoints,
                right,
                hand,
            ),
            PATCH_DTYPE,
        )


@dataclasses.dataclass(frozen=True)
class CropAugmentation:
    """Random crops of a patch. PAPERS.md, LSPS: centre σ 10 mm, rotation ±180°."""

    cube: float = 0.27
    size: int = 96
    centre_jitter: float = 0.010
    rotation: float = np.pi
    upright: float = 0.0
    """Share of hands that stand upright, as a stage with a known roll crops them; the others have any rotation."""
    roll: float = 0.3
    """Standard deviation of the roll of upright hands, radians."""
    scale: float = 0.06
    fragments: tuple[float, float] = (0.15, 0.5)
    """Share of hands and of non-hands that lose patches, as poorly visible surfaces do."""


def augment(
    patch: np.ndarray, config: CropAugmentation, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    """Crops a randomly moved and rotated cube from a patch; left hands are mirrored.

    The rotation about the crop's centre is exact: a camera rolled about its axis sees it.

    Args:
        patch: a record of `PATCH_DTYPE`.
        config: the distribution of crops.
        rng: None for the plain cube.

    Returns:
        crop (size, size) float32 in [−1, 1] and keypoints (21, 3) normalised.
    """
    centre = patch['centre'].astype(float)
    angle, zoom = 0.0, 1.0
    if rng is not None:
        centre = centre + rng.normal(0, config.centre_jitter, 3)
        angle = rng.uniform(-config.rotation, config.rotation)
        zoom = np.exp(rng.uniform(-config.scale, config.scale))
    camera = Pinhole(PATCH_SIZE, PATCH_SIZE, patch['focal'], patch['focal'], *patch['principal'])
    crop = CubeCrop(camera, centre, config.cube * zoom, mirrored=not patch['right'], turn=angle)
    if patch['hand'] and rng is not None and rng.random() < config.upright:
        crop = crop.upright(patch['keypoints'], rng.normal(0, config.roll))
    cut = crop.warp(patch['depth'], config.size)
    if rng is not None and rng.random() < config.fragments[0 if patch['hand'] else 1]:
        lost = rng.uniform(0, 0.12) if patch['hand'] else rng.uniform(0, 0.7)
        field = grain(rng, cut.shape, config.size * rng.uniform(0.03, 0.2))
        cut[field < np.quantile(field, lost)] = 0
    normalised = normalise_depth(cut.astype(np.float32) * np.float32(1e-4), float(centre[2]), crop.side)
    if not patch['hand']:
        return normalised, np.zeros((21, 3), np.float32)
    return normalised, crop.from_camera(patch['keypoints']).astype(np.float32)
