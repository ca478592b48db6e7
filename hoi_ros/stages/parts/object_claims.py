# SPDX-License-Identifier: Apache-2.0
"""How far the claims about a held object can be trusted: evidence for them, and its calibration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.stages.parts.distance import facing
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import probability

GAP_WITHIN = 0.005
"""Largest error of a gap that is right, metres. A larger one could not tell contact, within `TOUCHING`, from none."""
MIN_CONFIDENCE = 0.8
"""Confidence below which a claim is withheld, unless a user asks for another one."""
_BEHIND = 0.05
"""Metres behind the object's near side from which on depth shows the background instead of the object."""
_FURTHEST = 0.05
"""Largest gap or overlap that counts as evidence, metres: larger ones are no surer."""


class ObjectEvidence(NamedTuple):
    """What is known about an object beside its mesh. Where depth does not locate the hand, `on_depth`, `behind` and
    `fitted` are 0."""

    holds: float
    """Log-odds that the hand holds something."""
    on_depth: float
    """1 where depth locates the hand."""
    behind: float
    """Share of the vertices on the object's near side where depth shows the background."""
    overlap: float
    """Depth to which the hand's mesh reaches into the object's, cm."""
    apart: float
    """Distance between the two meshes, cm."""
    fitted: float
    """1 where the mesh is fitted to observed points of the object."""

    @property
    def touching(self) -> bool:
        """Whether the meshes touch."""
        return self.apart <= 100 * TOUCHING


def object_evidence(holds: float, gap: float, behind: float | None, fitted: bool) -> ObjectEvidence:
    """The evidence about an object.

    Args:
        holds: probability that the hand holds something.
        gap: between the meshes of hand and object, metres; negative where they overlap.
        behind: see `share_behind`; None where depth does not locate the hand.
        fitted: whether the mesh is fitted to observed points of the object.
    """
    return ObjectEvidence(
        holds=log_odds(holds),
        on_depth=float(behind is not None),
        behind=behind or 0.0,
        overlap=100 * min(max(-gap, 0.0), _FURTHEST),
        apart=100 * min(max(gap, 0.0), _FURTHEST),
        fitted=float(fitted),
    )


def share_behind(vertices: np.ndarray, faces: np.ndarray, depth: np.ndarray, camera: Pinhole) -> float:
    """Share of the vertices on a mesh's near side where the depth image shows the background instead, of those where it
    shows anything; 0 where it shows nothing.

    Args:
        vertices: (M, 3) metres in the camera's optical frame.
        faces: (F, 3) counter-clockwise from outside.
        depth: (H, W) metres, 0 or NaN invalid.
        camera: of the depth image.
    """
    near = vertices[facing(vertices, faces)]
    near = near[near[:, 2] > 0]
    pixels, inside = camera.pixels_of(near)
    observed = depth[pixels[inside, 1], pixels[inside, 0]]
    measured = observed > 0
    if not measured.any():
        return 0.0
    return float((observed - near[inside, 2] > _BEHIND)[measured].mean())


@dataclasses.dataclass(frozen=True)
class LogisticModel:
    """A probability whose log-odds are linear in the evidence."""

    offset: float
    weights: Mapping[str, float]
    """Factors of the fields of `ObjectEvidence`; those of the others are 0."""

    def __call__(self, evidence: ObjectEvidence) -> float:
        return probability(self.offset + sum(weight * getattr(evidence, name) for name, weight in self.weights.items()))


@dataclasses.dataclass(frozen=True)
class ClaimCalibration:
    """Confidence in the claims about an object. `training.calibration.reconstruction_claims` fits the models on
    simulated images; without them every confidence is 0."""

    contact: LogisticModel | None = None
    """Probability that hand and object touch."""
    gap: LogisticModel | None = None
    """Probability that the gap is right."""
    box: LogisticModel | None = None
    """Probability that the box is right."""

    @classmethod
    def of(cls, parameters: Mapping[str, Mapping]) -> ClaimCalibration:
        """The calibration that a card's parameters describe."""
        return cls(**{name: LogisticModel(**values) for name, values in parameters.items()})

    def __call__(self, evidence: ObjectEvidence) -> ClaimConfidence:
        """The confidence in each claim."""
        gap, box = (model(evidence) if model else 0.0 for model in (self.gap, self.box))
        if self.contact is None:
            return ClaimConfidence(0.0, gap, box)
        contact = self.contact(evidence)
        return ClaimConfidence(contact if evidence.touching else 1 - contact, gap, box)
