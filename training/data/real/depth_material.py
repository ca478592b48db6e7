# SPDX-License-Identifier: Apache-2.0
"""Real material that generated depth scenes contain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from training.data.real.depth_backgrounds import DepthBackgrounds
from training.data.real.scans import ScannedObjects
from training.data.synthetic.two_hands.postures import PostureLibrary


@dataclasses.dataclass(frozen=True)
class DepthMaterial:
    """Folders of real material; without them every scene is generated.

    Attributes:
        backgrounds: depth images of scenes without hands, behind a share of the hands (`depth_backgrounds.py`).
        scans: scanned objects, half of what hands hold (`scans.py`).
        poses: tracked and named poses of real hands, for half of those that hold nothing (`two_hands/postures.py`).
    """

    backgrounds: Path | None = None
    scans: Path | None = None
    poses: Path | None = None

    @property
    def key(self) -> str:
        """What samples depend on, for the key of a pool."""
        scenes = DepthBackgrounds.key(self.backgrounds) + ScannedObjects.key(self.scans)
        return scenes + PostureLibrary.key(self.poses)

    @property
    def files(self) -> list[tuple[Path, list[Path]]]:
        """The folders and their files that the training split shows, for `material.origins`."""
        found = []
        if self.backgrounds:
            found.append((self.backgrounds, DepthBackgrounds(self.backgrounds, 'train').paths))
        if self.scans:
            found.append((self.scans, ScannedObjects(self.scans, 'train').meshes))
        if self.poses:
            found.append((self.poses, PostureLibrary.files(self.poses)))
        return found


GENERATED = DepthMaterial()
"""No real material."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthMaterialOptions:
    """Real material of a training on depth."""

    backgrounds: Path | None = None
    """Folder of real depth scenes without hands that stand behind a share of the generated ones
    (`training/data/real/depth_backgrounds.py`)."""
    scans: Path | None = None
    """Folder of scanned objects, half of what generated hands hold (`training/data/real/scans.py`)."""
    poses: Path | None = None
    """Folder of tracked and named poses of real hands, half of those of generated hands that hold nothing
    (`training/data/synthetic/two_hands/postures.py`)."""

    @property
    def material(self) -> DepthMaterial:
        """The folders."""
        return DepthMaterial(self.backgrounds, self.scans, self.poses)
