# SPDX-License-Identifier: Apache-2.0
"""Real material that generated colour scenes contain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from training.data.real.light_probes import LightProbes
from training.data.real.scans import ScannedObjects
from training.data.real.scenery import Scenery
from training.data.real.surface_photos import SurfacePhotos
from training.data.synthetic.two_hands.postures import PostureLibrary


@dataclasses.dataclass(frozen=True)
class ColourMaterial:
    """Folders of real material; without them every scene is generated.

    Attributes:
        scans: scanned objects, half of what hands hold, in their own colours (`scans.py`).
        surfaces: photographed surfaces of tables, walls, cloth and things (`surface_photos.py`), and light of real
            rooms where the folder has any (`light_probes.py`).
        photos: root of the real material, whose photos without hands stand behind a share of the hands (`scenery.py`).
        poses: tracked and named poses of real hands, for half of those that hold nothing (`two_hands/postures.py`).
    """

    scans: Path | None = None
    surfaces: Path | None = None
    photos: Path | None = None
    poses: Path | None = None

    @property
    def key(self) -> str:
        """What samples depend on, for the key of a pool."""
        surfaces = SurfacePhotos.key(self.surfaces) + LightProbes.key(self.surfaces)
        photos = Scenery.key(self.photos) + PostureLibrary.key(self.poses)
        return ScannedObjects.key(self.scans) + surfaces + photos

    @property
    def files(self) -> list[tuple[Path, list[Path]]]:
        """The folders and their files that the training split shows, for `material.origins`."""
        found = []
        if self.scans:
            found.append((self.scans, ScannedObjects(self.scans, 'train').meshes))
        if self.surfaces:
            paths = SurfacePhotos(self.surfaces, 'train').paths + LightProbes(self.surfaces, 'train').paths
            found.append((self.surfaces, paths))
        if self.photos:
            found.append((self.photos, [photo.path for photo in Scenery(self.photos, 'train').photos]))
        if self.poses:
            found.append((self.poses, PostureLibrary.files(self.poses)))
        return found


GENERATED = ColourMaterial()
"""No real material."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColourMaterialOptions:
    """Real material of a training on colour."""

    scans: Path | None = None
    """Folder of scanned objects, half of what generated hands hold (`training/data/real/scans.py`)."""
    surfaces: Path | None = None
    """Folder of photographed surfaces and of light of real rooms, for half of the surfaces and a third of the light of
    generated scenes (`training/data/real/surface_photos.py`, `light_probes.py`)."""
    scenery: Path | None = None
    """Folder of the real material, whose photos without hands stand behind a share of the generated hands
    (`training/data/real/scenery.py`)."""
    poses: Path | None = None
    """Folder of tracked and named poses of real hands, half of those of generated hands that hold nothing
    (`training/data/synthetic/two_hands/postures.py`)."""

    @property
    def material(self) -> ColourMaterial:
        """The folders."""
        return ColourMaterial(self.scans, self.surfaces, self.scenery, self.poses)
