# SPDX-License-Identifier: Apache-2.0
"""Real material that generated depth scenes contain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from training.data.real.depth_backgrounds import DepthBackgrounds
from training.data.real.material import origins
from training.data.real.material import TABLE
from training.data.real.scans import ScannedObjects


@dataclasses.dataclass(frozen=True)
class DepthMaterial:
    """Folders of real material; without them every scene is generated.

    Attributes:
        backgrounds: depth images of scenes without hands, behind a share of the hands (`depth_backgrounds.py`).
        scans: scanned objects, half of what hands hold (`scans.py`).
    """

    backgrounds: Path | None = None
    scans: Path | None = None

    @property
    def key(self) -> str:
        """What samples depend on, for the key of a pool."""
        return DepthBackgrounds.key(self.backgrounds) + ScannedObjects.key(self.scans)

    @property
    def origins(self) -> dict[str, str]:
        """Numbers and licences of the images and objects of the training split, by source."""
        found: dict[str, str] = {}
        if self.backgrounds:
            found |= _origins(self.backgrounds, DepthBackgrounds(self.backgrounds, 'train').paths)
        if self.scans:
            names = ScannedObjects(self.scans, 'train').names
            found |= _origins(self.scans, [self.scans / name / 'mesh.obj' for name in names])
        return found


GENERATED = DepthMaterial()
"""No real material."""


def _origins(folder: Path, files: list[Path]) -> dict[str, str]:
    root = folder.parent if (folder.parent / TABLE).is_file() else folder
    return origins(root, files)
