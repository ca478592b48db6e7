# SPDX-License-Identifier: Apache-2.0
"""Real material that generated colour scenes contain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from training.data.real.light_probes import LightProbes
from training.data.real.material import origins
from training.data.real.material import TABLE
from training.data.real.scans import ScannedObjects
from training.data.real.scenery import Scenery
from training.data.real.surface_photos import SurfacePhotos


@dataclasses.dataclass(frozen=True)
class ColourMaterial:
    """Folders of real material; without them every scene is generated.

    Attributes:
        scans: scanned objects, half of what hands hold, in their own colours (`scans.py`).
        surfaces: photographed surfaces of tables, walls, cloth and things (`surface_photos.py`), and light of real
            rooms where the folder has any (`light_probes.py`).
        photos: root of the real material, whose photos without hands stand behind a share of the hands (`scenery.py`).
    """

    scans: Path | None = None
    surfaces: Path | None = None
    photos: Path | None = None

    @property
    def key(self) -> str:
        """What samples depend on, for the key of a pool."""
        surfaces = SurfacePhotos.key(self.surfaces) + LightProbes.key(self.surfaces)
        return ScannedObjects.key(self.scans) + surfaces + Scenery.key(self.photos)

    @property
    def origins(self) -> dict[str, str]:
        """Numbers and licences of the images and objects of the training split, by source."""
        files: dict[Path, list[Path]] = {}
        if self.scans:
            names = ScannedObjects(self.scans, 'train').names
            files.setdefault(_root(self.scans), []).extend(self.scans / name / 'mesh.obj' for name in names)
        if self.surfaces:
            paths = SurfacePhotos(self.surfaces, 'train').paths + LightProbes(self.surfaces, 'train').paths
            files.setdefault(_root(self.surfaces), []).extend(paths)
        if self.photos:
            paths = [photo.path for photo in Scenery(self.photos, 'train').photos]
            files.setdefault(self.photos.resolve(), []).extend(paths)
        return {source: count for root, paths in files.items() for source, count in origins(root, paths).items()}


GENERATED = ColourMaterial()
"""No real material."""


def _root(folder: Path) -> Path:
    """The real material that a folder is part of; the folder itself if it stands alone."""
    parent = folder.resolve().parent
    return parent if (parent / TABLE).is_file() else folder.resolve()
