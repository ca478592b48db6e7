# SPDX-License-Identifier: Apache-2.0
"""The grasp generator: choose a grip, bring the open hand to an object, close the fingers, and test the grasp.

(seed, split, index) decide a grasp: the same three numbers give the same grasp on every machine, and the splits never
share a random stream. Only the split 'held_out' has the object families that the other splits never show.

Fingers close link by link (Miller and Allen, "GraspIt!", 2004). A grasp is kept if its contacts have force closure with
Coulomb friction (Ferrari and Canny, "Planning optimal grasps", 1992).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.force_closure import force_closure
from hoi_ros.mesh.raycast import TriangleScene
from training.data.real.scans import ScannedObjects
from training.data.synthetic.grasps.anatomy import HandAnatomy
from training.data.synthetic.grasps.anatomy import PRESSING
from training.data.synthetic.grasps.approach import approach
from training.data.synthetic.grasps.approach import withdraw
from training.data.synthetic.grasps.closing import close_hand
from training.data.synthetic.grasps.closing import holds
from training.data.synthetic.grasps.grips import GRIPS
from training.data.synthetic.grasps.hand import GraspingHand
from training.data.synthetic.grasps.held_object import HeldObject
from training.data.synthetic.grasps.held_object import signed_gap
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.objects import HELD_OUT
from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.objects import sample_object

SPLITS = {'train': 0, 'validation': 1, 'test': 2, 'held_out': 3}
"""Number of each split in the random streams."""
DEEPEST = 0.005
"""Penetration beyond which a grasp is dropped, metres."""

PREGRASPS = 0.2
"""Share of hands that have not yet grasped."""
_FAMILIES, _OBJECTS, _ATTEMPTS = 5, 40, 6
"""Families that are tried for one grasp, objects of each, and attempts on each of those."""
_GRIP_SHARES = np.array([grip.weight for grip in GRIPS.values()]) / sum(grip.weight for grip in GRIPS.values())


@dataclasses.dataclass(frozen=True)
class Grasp:
    """A right hand and an object in one frame, metres."""

    kind: Literal['power', 'precision']
    grip: str
    """Name in GRIPS."""
    pose: np.ndarray
    """(48,) float32."""
    shape: np.ndarray
    """(10,) float32."""
    translation: np.ndarray
    """(3,) float32."""
    keypoints: np.ndarray
    """(21, 3) float32."""
    vertices: np.ndarray
    """(V, 3) float32."""
    object: ObjectShape
    object_pose: np.ndarray
    """(4, 4) transform from the object's frame to the common one."""
    contact: np.ndarray
    """(V,) bool, vertices within TOUCHING of the object's surface or inside it."""
    penetration: float
    """Greatest depth of a hand vertex in the object or of an object point in the hand, metres."""
    pregrasp: float
    """Distance by which the hand is withdrawn along its approach, metres; 0 for a grasp."""
    side: Literal['right'] = 'right'

    def object_contact(self, faces: np.ndarray, points: np.ndarray | None = None) -> np.ndarray:
        """Which points of the object touch the hand.

        Args:
            faces: (F, 3) triangles of the hand.
            points: (N, 3) on the object's surface in its own frame; None takes its vertices.

        Returns:
            (N,) bool, within TOUCHING of the hand's surface.
        """
        points = self.object.vertices if points is None else points
        placed = points @ self.object_pose[:3, :3].T + self.object_pose[:3, 3]
        return np.abs(signed_gap(TriangleScene(self.vertices, faces), placed).distance) <= TOUCHING


class GraspGenerator:
    """A stream of grasps: index → Grasp; by default one in five is a hand shortly before its grasp.

    Args:
        model: the right hand, with any number of vertices.
        seed: seed of the whole stream.
        split: 'train', 'validation', 'test' or 'held_out'; the last shows the families HELD_OUT, the others FAMILIES.
        scans: scanned objects of the split, which are a share of the objects; None for parametric ones only.
        pregrasps: share of hands that have not yet grasped; the others do not depend on it.

    Raises:
        KeyError: no such split.
    """

    def __init__(
        self,
        model: HandModel,
        seed: int = 0,
        split: str = 'train',
        scans: ScannedObjects | None = None,
        pregrasps: float = PREGRASPS,
    ) -> None:
        self._anatomy = HandAnatomy(model)
        self._seed, self._split, self._scans = seed, SPLITS[split], scans
        self._pregrasps = pregrasps
        self._families = HELD_OUT if split == 'held_out' else FAMILIES

    def rng(self, index: int, purpose: int = 0) -> np.random.Generator:
        """The random stream of one grasp; the generator uses purpose 0, others are free for callers."""
        return np.random.default_rng([self._seed, self._split, index, purpose])

    def __getitem__(self, index: int) -> Grasp:
        rng = self.rng(index)
        family = self._families[rng.integers(len(self._families))]
        withdrawn = rng.random() < self._pregrasps
        scans = self._scans if self._scans and rng.random() < self._scans.share else None
        tried = []
        for _ in range(_FAMILIES):
            for _ in range(_OBJECTS):
                thing = HeldObject(scans.draw(rng) if scans else sample_object(rng, [family]), rng)
                for _ in range(_ATTEMPTS):
                    grasp = self._attempt(thing, withdrawn, rng)
                    if grasp is not None:
                        return grasp
            tried.append('scanned objects' if scans else family)
            family = self._families[rng.integers(len(self._families))]
        raise RuntimeError(f'grasp {index}: no hold found on any of {_OBJECTS} objects each of {", ".join(tried)}')

    def _attempt(self, thing: HeldObject, withdrawn: bool, rng: np.random.Generator) -> Grasp | None:
        name = str(rng.choice(list(GRIPS), p=_GRIP_SHARES))
        grip = GRIPS[name]
        hand = GraspingHand(self._anatomy, grip, rng)
        place = approach(hand, thing, rng)
        if place is None:
            return None
        progress = close_hand(hand, thing, place, rng)
        if progress is None:
            return None
        vertices = place.of(hand.vertices(progress))
        gap = thing.gap(vertices)
        if not holds(self._anatomy.links_near(gap.distance, PRESSING), grip):
            return None
        penetration = max(-gap.distance.min(), thing.depth_in(vertices, self._anatomy.closed_faces))
        if penetration > DEEPEST or not force_closure(*self._anatomy.contacts(vertices, gap)):
            return None
        distance = 0.0
        if withdrawn:
            before = withdraw(hand, thing, place, progress, rng)
            if before is None:
                return None
            progress, place, distance = before
            penetration = 0.0
            gap = thing.gap(place.of(hand.vertices(progress)))
        pose, translation = hand.parameters(progress, place)
        geometry = self._anatomy.model.forward(pose, hand.shape, translation)
        return Grasp(
            kind=grip.kind,
            grip=name,
            pose=pose,
            shape=hand.shape,
            translation=translation,
            keypoints=geometry.keypoints,
            vertices=geometry.vertices,
            object=thing.shape,
            object_pose=np.eye(4),
            contact=gap.distance <= TOUCHING,
            penetration=float(penetration),
            pregrasp=distance,
        )
