# SPDX-License-Identifier: Apache-2.0
"""Pseudo-labels of contact: the teacher's maps of unlabelled grasps, with what the filters say of the refined grasps.

A refinement takes as long as a training step, so that the labels are made in turns and kept until the next turn.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from torch import nn

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.stages.parts.contact_energy import ObjectSurfacePoints
from hoi_ros.stages.parts.contact_refinement import ContactRefiner
from training.data.synthetic.contact import soft_contact
from training.evaluation.contact import NoisyGrasps
from training.evaluation.contact import predicted_by_nodes
from training.evaluation.contact_refinement import surface_of
from training.recipes.contact_filters import chamfer
from training.recipes.contact_filters import dissimilarity
from training.recipes.contact_filters import FilterConfig
from training.recipes.contact_filters import Mesh
from training.recipes.contact_filters import penetration
from training.recipes.contact_filters import Verdict
from training.recipes.contact_unlabelled import Scene
from training.recipes.contact_unlabelled import Unlabelled

Labels = Literal['map', 'refined']
"""map: the likeliest bins of the teacher, as in the paper. refined: the contact between the surfaces of the refined
grasp, as of the labelled grasps."""


@dataclasses.dataclass(frozen=True)
class PseudoLabelConfig:
    """How pseudo-labels are made."""

    filters: FilterConfig = dataclasses.field(default_factory=FilterConfig)
    labels: Labels = 'map'
    restarts: int = 1
    """Starts of each refinement."""
    every: int = 25
    """Steps between two turns."""
    refreshed: int = 16
    """Grasps of a turn; the first turn takes all."""


class PseudoLabels:
    """Unlabelled grasps and the contact that a teacher gives them.

    Args:
        unlabelled: the grasps.
        config: of the labels.
        nodes: points of the hand and of the object that are nodes of the teacher's graph; 0 takes all.

    Attributes:
        contact: (U, V + 2048) float16 of all points, the hand's first.
        verdicts: of each grasp, None before its first turn.
        kept: (U,) whether its label passes the filters.
        pose, translation: (U, 48) and (U, 3) of the refined hands.
    """

    def __init__(self, unlabelled: Unlabelled, config: PseudoLabelConfig, nodes: tuple[int, int] = (0, 0)) -> None:
        self.unlabelled, self._config, self._nodes = unlabelled, config, nodes
        self._model = HandModel.load()
        self._faces = close_holes(self._model.faces)
        self._refiner = ContactRefiner(self._model)
        estimates = unlabelled.estimates
        points = len(self._model.template) + estimates['object_points'].shape[1]
        self.contact = np.zeros((len(estimates), points), np.float16)
        self.verdicts: list[Verdict | None] = [None] * len(estimates)
        self.kept = np.zeros(len(estimates), bool)
        self.pose, self.translation = estimates['pose'].copy(), estimates['translation'].copy()

    def turn(self, teacher: nn.Module, number: int) -> None:
        """Renews the labels that are due.

        Args:
            teacher: in evaluation mode.
            number: of the turn in the whole training, which is not 0 at first where a training goes on.
        """
        count = len(self.kept)
        size = min(self._config.refreshed, count)
        due = (number * size + np.arange(size)) % count
        if None in self.verdicts:
            due = np.arange(count)
        self.renew(teacher, due)

    def renew(self, teacher: nn.Module, numbers: np.ndarray) -> None:
        """Makes the labels of some grasps anew.

        Args:
            teacher: in evaluation mode.
            numbers: (N,) of the grasps.
        """
        estimates = self.unlabelled.estimates[numbers]
        grasps = NoisyGrasps(estimates, estimates['pose'], estimates['translation'])
        maps = predicted_by_nodes(teacher, grasps, self._nodes)
        # The mean of the bins, which the refinement takes, is never as high or low as the contact of single points.
        bins = predicted_by_nodes(teacher, grasps, self._nodes, 'mode') if self._config.labels == 'map' else maps
        for row, number in enumerate(numbers):
            contact, label = ((each.hand[row], each.object[row]) for each in (maps, bins))
            self._judge(int(number), estimates[row], self.unlabelled.scenes[number], contact, label)

    def rejected(self) -> dict[str, float]:
        """Share of the labels that each filter rejects, and the share that is kept."""
        most = dataclasses.asdict(self._config.filters)
        known = [verdict._asdict() for verdict in self.verdicts if verdict is not None]
        shares = {name: float(np.mean([found[name] > limit for found in known])) for name, limit in most.items()}
        return {**shares, 'kept': float(self.kept.mean())}

    def _judge(
        self,
        number: int,
        estimate: np.ndarray,
        scene: Scene,
        contact: tuple[np.ndarray, np.ndarray],
        label: tuple[np.ndarray, np.ndarray],
    ) -> None:
        surface = surface_of(estimate)
        refined = self._refiner(
            estimate['pose'],
            estimate['shape'],
            estimate['translation'],
            surface,
            *contact,
            hold_object=True,
            budget=np.inf,
            restarts=self._config.restarts,
        )
        hand = Mesh(refined.vertices, self._faces)
        verdict = judged(hand, surface, scene)
        self.verdicts[number], self.kept[number] = verdict, verdict.kept(self._config.filters)
        self.pose[number], self.translation[number] = refined.pose, refined.translation
        if self._config.labels == 'refined':
            label = soft_contact(hand, scene.mesh, surface.points, surface.normals)
        self.contact[number] = np.concatenate(label)


def judged(hand: Mesh, surface: ObjectSurfacePoints, scene: Scene) -> Verdict:
    """What the filters measure of a closed hand, its object's points, and their scene."""
    return Verdict(
        chamfer(hand.vertices, surface.points),
        penetration(hand, surface.points),
        0.0 if scene.picture is None else dissimilarity(scene.picture, scene.view.picture(hand, scene.mesh)),
    )
