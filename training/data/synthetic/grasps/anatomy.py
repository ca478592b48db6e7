# SPDX-License-Identifier: Apache-2.0
"""The anatomy of a hand model that grasping uses: owners of vertices, pads, palm, and the core under the skin."""

from __future__ import annotations

import dataclasses

import numpy as np
import trimesh

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.mesh.closing import close_holes
from hoi_ros.simulation.finger_closing import fingers_of
from hoi_ros.simulation.finger_closing import with_vertices
from training.data.synthetic.grasps.held_object import Gap

PRESSING = 0.002
"""Distance within which a finger presses on the object, metres; the contacts that hold the object are among these."""
THUMB = 0
SIDE_LINK = JOINT_NAMES.index('middle_dip')
"""Link whose side carries the object of a lateral grip."""

_INSET = 0.001
"""Depth of the core under the skin, metres: flesh gives, the core does not enter the object."""


class HandAnatomy:
    """A hand model and the derived parts.

    Args:
        model: a right hand; holes of its mesh, such as MANO's wrist, are closed.
    """

    def __init__(self, model: HandModel) -> None:
        self.model = model
        self.closed_faces = close_holes(model.faces)
        self._owners = model.weights.argmax(1)
        # Weighted by the triangles' angles.
        normals = trimesh.Trimesh(model.template, self.closed_faces, process=False).vertex_normals
        self.core = dataclasses.replace(model, template=(model.template - _INSET * normals).astype(np.float32))
        self.all_fingers = fingers_of(self.core)
        self.thumb = fingers_of(self.core, [THUMB])
        self.landmarks = with_vertices(model, np.array([*self._pads(), self._side(), self._palm()]))
        bent = [np.isin(self._owners, joints[1:]) for joints in FINGER_JOINTS]
        self.bent_vertices = np.concatenate([np.flatnonzero(one) for one in bent])
        self.bent_fingers = np.repeat(np.arange(5), [one.sum() for one in bent])
        self.is_fingertip = np.isin(self._owners, [*FINGER_JOINTS[1:, 2], *FINGER_JOINTS[THUMB, 1:]])

    def links_near(self, distance: np.ndarray, limit: float) -> np.ndarray:
        """(16,) bool, links with a vertex closer than `limit`, from the distances (V,) of all vertices."""
        near = np.zeros(16, bool)
        near[self._owners[distance < limit]] = True
        return near

    def contacts(self, vertices: np.ndarray, gap: Gap, apart: float = 0.008) -> tuple[np.ndarray, np.ndarray]:
        """Selects pressing vertices, the deepest first, that are farther apart than `apart` metres.

        Returns:
            (N, 3) contact points and (N, 3) unit normals into the object.
        """
        chosen: list[int] = []
        for vertex in np.argsort(gap.distance):
            if gap.distance[vertex] > PRESSING:
                break
            if all(np.linalg.norm(vertices[vertex] - vertices[other]) > apart for other in chosen):
                chosen.append(int(vertex))
        return vertices[chosen].astype(float), -gap.normals[chosen]

    def _pads(self) -> list[int]:
        """Vertex at the middle of each finger's pad, thumb to little."""
        model = self.model
        pads = []
        for finger, joint in enumerate(TIP_JOINTS):
            bone = model.tips[finger] - model.joints[joint]
            offset = model.template - model.joints[joint]
            along = offset @ bone / (bone @ bone)
            height = -offset @ model.axes[joint][:, 1]
            pads.append(self._best(height - 0.02 * np.abs(along - 0.65), self._owners == joint))
        return pads

    def _side(self) -> int:
        """Vertex on the thumb's side of the middle finger's last phalanx, where a pen lies."""
        model, joint = self.model, SIDE_LINK
        bone = model.tips[2] - model.joints[joint]
        offset = model.template - model.joints[joint]
        along = offset @ bone / (bone @ bone)
        return self._best(offset @ model.axes[joint][:, 0] - 0.02 * np.abs(along - 0.4), self._owners == joint)

    def _palm(self) -> int:
        """Vertex in the middle of the palm."""
        model, out = self.model, -self.model.axes[JOINT_NAMES.index('middle_mcp')][:, 1]
        offset = model.template - 0.35 * model.joints[0] - 0.65 * model.joints[FINGER_JOINTS[1:, 0]].mean(0)
        height = offset @ out
        aside = np.linalg.norm(offset - height[:, None] * out, axis=1)
        return self._best(-aside, (self._owners == 0) & (height > 0))

    @staticmethod
    def _best(score: np.ndarray, allowed: np.ndarray) -> int:
        return int(np.where(allowed, score, -np.inf).argmax())
