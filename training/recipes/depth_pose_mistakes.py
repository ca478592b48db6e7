# SPDX-License-Identifier: Apache-2.0
"""Patches around false proposals of the hand finder, from which `depth_pose` learns to reject non-hands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hoi_ros.stages.parts.hand_finder import HandFinder
from training.data.real.depth_material import DepthMaterial
from training.data.real.depth_material import GENERATED
from training.data.synthetic.depth_crops import DepthPatches
from training.data.synthetic.depth_frames import FRAME_SCENES
from training.data.synthetic.depth_frames import small_frame

_APART = 0.1
"""A proposal nearer than this to a hand's centre is no false one, metres."""
_PROPOSALS, _LEAST = 6, 0.05
"""Most proposals of a frame, and the least score of one."""
_ATTEMPTS = 60
"""Scenes that are tried for one patch."""


class MistakenPatches(DepthPatches):
    """Streams patches around the finder's false proposals in whole frames; index and finder determine the patch.

    Args:
        seed, split: of the scenes.
        models: folder of the finder; the package's own by default.
        material: as in `SceneGenerator`.
    """

    def __init__(
        self,
        seed: int = 0,
        split: str = 'train',
        models: Path | None = None,
        material: DepthMaterial = GENERATED,
    ) -> None:
        super().__init__(seed, split, scenes=FRAME_SCENES, attempts=_ATTEMPTS, material=material)
        self._finder = HandFinder(models, threads=1)

    def __getitem__(self, index: int) -> np.ndarray:
        """One record of `PATCH_DTYPE` without a hand."""
        for attempt in range(_ATTEMPTS):
            stream = index * _ATTEMPTS + attempt
            scene = self._scenes[stream]
            rng = self._scenes.rng(stream, purpose=4)
            view, observed = small_frame(scene, rng)
            mistaken = [
                proposal.centre
                for proposal in self._finder(observed, view.camera, _PROPOSALS, _LEAST)
                if all(np.linalg.norm(proposal.centre - hand.centre) > _APART for hand in scene.hands)
            ]
            if mistaken:
                centre = mistaken[rng.integers(len(mistaken))]
                return self._record(*self._observe(scene, centre, rng), centre, np.zeros((21, 3)), True, hand=False)
        raise RuntimeError(f'patch {index}: the finder has no false proposal in {_ATTEMPTS} scenes')
