# SPDX-License-Identifier: Apache-2.0
"""Hands that hold things: a grip is chosen, the open hand brought to the object, the fingers closed until they touch.

Everything follows from (seed, split, index): the same three numbers make the same grasp on every machine, and the
splits never share a random stream. Only 'held_out' shows the families that the others never show.

Fingers close link by link (as in Miller and Allen, "GraspIt!", 2004): all joints of a finger turn together; when a
link touches, the joints that carry it stop and the ones beyond go on. A grasp is kept if its contacts hold the object
whatever pulls at it: force closure with Coulomb friction (Ferrari and Canny, "Planning optimal grasps", 1992).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal
from typing import NamedTuple

import numpy as np
import open3d
import trimesh
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.hand.skeleton import TIP_JOINTS
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.objects import HELD_OUT
from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.objects import sample_object

SPLITS = {'train': 0, 'validation': 1, 'test': 2, 'held_out': 3}

CONTACT_DISTANCE = 0.004
"""Metres from the object's surface within which a vertex of the hand counts as touching; flesh gives that much."""
TOUCH_DISTANCE = 0.002
"""Metres within which a finger presses on the object; the contacts that must hold it are among these."""
DEEPEST = 0.005
"""Metres of penetration beyond which a grasp is dropped."""
FRICTION = 0.6
"""Of a palm's dry skin (0.62 on average in Zhang and Mak, "In vivo friction properties of human skin", 1999)."""
FARTHEST = 0.1
"""Metres by which a hand before its grasp is withdrawn at most."""

FINGER_JOINTS = np.array(
    [
        [joint, joint + 1, joint + 2]
        for joint in (
            JOINT_NAMES.index(name) for name in ('thumb_cmc', 'index_mcp', 'middle_mcp', 'ring_mcp', 'little_mcp')
        )
    ]
)
"""(5, 3) the joints of each finger, thumb to little, from the palm outwards."""

_THUMB = 0
_FINGER_OF_JOINT = np.full(16, -1)
_FINGER_OF_JOINT[FINGER_JOINTS] = np.arange(5)[:, None]
_THUMB_LINKS = _FINGER_OF_JOINT == _THUMB
_SIDE_LINK = JOINT_NAMES.index('middle_dip')


@dataclasses.dataclass(frozen=True)
class Grip:
    """A way to hold. Rows of `opened` and `closed`: flexion of a finger's three joints and its abduction, each as a
    share of the range (as in `hoi_ros.hand.poses.GESTURES`), thumb to little."""

    kind: Literal['power', 'precision']
    fingers: tuple[int, ...]
    """Which oppose the thumb: 1 index to 4 little. The others only follow."""
    opened: tuple[tuple[float, ...], ...]
    closed: tuple[tuple[float, ...], ...]
    widths: tuple[float, float]
    """Metres between the two sides of the object that it takes."""
    clearance: tuple[float, float]
    """Metres by which the hand is opened wider than that."""
    depth: tuple[float, float]
    """Metres by which the hand may stay behind, or go beyond, where the pads meet the middle between the sides."""
    weight: float
    fist: bool = False
    """Whether the object lies in the palm, across the fingers, instead of between the pads."""
    side: bool = False
    """Whether it lies on the middle finger's side, instead of between the pads."""


GRIPS: dict[str, Grip] = {
    'fist': Grip(
        'power',
        (1, 2, 3, 4),
        ((-0.3, 0, 0, 0, 0), (0, 0.1, 0.1, 0.1, 0.1), (0, 0.1, 0.1, 0.1, 0.1), (1, 0.2, 0, -0.1, -0.3)),
        ((1, 0.95, 0.95, 0.95, 0.95), (0.8, 0.97, 0.97, 0.97, 0.97), (0.7, 0.6, 0.6, 0.6, 0.6), (0.2, 0, 0, 0, 0)),
        (0.014, 0.055),
        (0.05, 0.07),
        (-0.05, 0.05),
        5,
        fist=True,
    ),
    'wrap': Grip(
        'power',
        (1, 2, 3, 4),
        ((-0.3, 0.15, 0.15, 0.15, 0.15), (0, 0.15, 0.15, 0.15, 0.15), (0, 0.1, 0.1, 0.1, 0.1), (1, 0.2, 0, -0.1, -0.3)),
        ((1, 0.95, 0.95, 0.95, 0.95), (0.8, 0.95, 0.95, 0.95, 0.95), (0.7, 0.55, 0.55, 0.55, 0.55), (0.4, 0, 0, 0, 0)),
        (0.035, 0.085),
        (0.015, 0.035),
        (-0.045, 0.045),
        2,
    ),
    'sphere': Grip(
        'power',
        (1, 2, 3, 4),
        ((-0.3, 0.1, 0.1, 0.1, 0.1), (0, 0.15, 0.15, 0.15, 0.15), (0, 0.1, 0.1, 0.1, 0.1), (1, 0.8, 0.2, -0.5, -0.9)),
        ((1, 0.9, 0.9, 0.9, 0.9), (0.6, 0.8, 0.8, 0.8, 0.8), (0.6, 0.5, 0.5, 0.5, 0.5), (0.6, 0.6, 0.1, -0.4, -0.7)),
        (0.035, 0.095),
        (0.015, 0.035),
        (-0.045, 0.045),
        2,
    ),
    'palmar': Grip(
        'precision',
        (1, 2, 3, 4),
        ((-0.2, 0.1, 0.1, 0.1, 0.1), (0, 0.1, 0.1, 0.1, 0.1), (0, 0.05, 0.05, 0.05, 0.05), (0.6, 0.2, 0, -0.1, -0.2)),
        ((1, 1, 1, 1, 1), (0.6, 0.4, 0.42, 0.42, 0.4), (0.5, 0.2, 0.2, 0.2, 0.2), (0.5, 0, 0, 0, 0)),
        (0.003, 0.09),
        (0.008, 0.02),
        (-0.015, 0.006),
        2,
    ),
    'tripod': Grip(
        'precision',
        (1, 2),
        ((-0.1, 0.15, 0.2, 0.4, 0.45), (0, 0.15, 0.2, 0.4, 0.45), (0, 0.1, 0.1, 0.25, 0.25), (0.6, 0.1, 0.1, 0, 0)),
        ((1, 0.85, 0.9, 0.8, 0.85), (0.6, 0.6, 0.65, 0.8, 0.85), (0.5, 0.35, 0.35, 0.4, 0.4), (0.4, -0.2, 0.1, 0, 0)),
        (0.003, 0.065),
        (0.008, 0.02),
        (-0.008, 0.006),
        1,
    ),
    'pinch': Grip(
        'precision',
        (1, 2),
        ((-0.1, 0.15, 0.15, 0.1, 0.05), (0, 0.1, 0.1, 0.1, 0.1), (0, 0.05, 0.05, 0.05, 0.05), (0.6, 0, 0, 0, -0.1)),
        ((1, 1, 1, 0.4, 0.35), (0.6, 0.45, 0.5, 0.3, 0.25), (0.5, 0.2, 0.2, 0.15, 0.15), (0.4, -0.2, 0.2, 0, -0.1)),
        (0.003, 0.065),
        (0.008, 0.02),
        (-0.008, 0.006),
        1,
    ),
    'lateral': Grip(
        'precision',
        (1, 2),
        ((-0.1, 0.1, 0.5, 0.6, 0.65), (-0.1, 0.2, 0.45, 0.6, 0.6), (-0.1, 0.1, 0.3, 0.4, 0.4), (0.8, 0.4, -0.1, 0, 0)),
        ((1, 0.85, 0.55, 0.7, 0.75), (0.6, 0.7, 0.5, 0.7, 0.7), (0.4, 0.35, 0.35, 0.4, 0.4), (-0.4, 0, -0.1, 0, 0)),
        (0.005, 0.04),
        (0.008, 0.02),
        (-0.012, 0.006),
        2,
        side=True,
    ),
}
_GRIP_SHARES = np.array([grip.weight for grip in GRIPS.values()]) / sum(grip.weight for grip in GRIPS.values())


@dataclasses.dataclass(frozen=True)
class Grasp:
    """A right hand and an object in one frame, metres."""

    kind: Literal['power', 'precision']
    grip: str
    """One of GRIPS."""
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
    """(4, 4) from the object's frame to the common one."""
    contact: np.ndarray
    """(V,) bool: vertices within CONTACT_DISTANCE of the object's surface."""
    penetration: float
    """Metres; the larger of how deep a vertex of the hand is in the object and a point of the object in the hand."""
    pregrasp: float
    """Metres by which the hand is withdrawn along its approach, fingers partly opened; 0 for a grasp."""
    side: Literal['right'] = 'right'

    def object_contact(self, faces: np.ndarray, points: np.ndarray | None = None) -> np.ndarray:
        """Which points of the object touch the hand.

        Args:
            faces: (F, 3) of the hand.
            points: (N, 3) on the object's surface in its own frame; its vertices where none are given.

        Returns:
            (N,) bool, within CONTACT_DISTANCE of the hand's surface.
        """
        points = self.object.vertices if points is None else points
        placed = points @ self.object_pose[:3, :3].T + self.object_pose[:3, 3]
        return np.abs(_Solid(self.vertices, faces).gap(placed).distance) < CONTACT_DISTANCE


class GraspGenerator:
    """Streams grasps; about one in five is a hand shortly before its grasp.

    Args:
        model: the right hand, of any number of vertices.
        seed: of the whole set.
        split: 'train', 'validation', 'test' or 'held_out'; the last shows the families HELD_OUT, the others FAMILIES.

    Raises:
        KeyError: no such split.
    """

    def __init__(self, model: HandModel, seed: int = 0, split: str = 'train') -> None:
        self._anatomy = _Anatomy(model)
        self._seed, self._split = seed, SPLITS[split]
        self._families = HELD_OUT if split == 'held_out' else FAMILIES

    def rng(self, index: int, purpose: int = 0) -> np.random.Generator:
        """The random stream of one grasp; 0 is the generator's own purpose, others are free for users."""
        return np.random.default_rng([self._seed, self._split, index, purpose])

    def __getitem__(self, index: int) -> Grasp:
        rng = self.rng(index)
        family = self._families[rng.integers(len(self._families))]
        withdrawn = rng.random() < _PREGRASPS
        for _ in range(_OBJECTS):
            thing = _Thing(sample_object(rng, [family]), rng)
            for _ in range(_ATTEMPTS):
                grasp = self._attempt(thing, withdrawn, rng)
                if grasp is not None:
                    return grasp
        raise RuntimeError(f'grasp {index}: no hold found on any of {_OBJECTS} objects of the family {family}')

    def _attempt(self, thing: _Thing, withdrawn: bool, rng: np.random.Generator) -> Grasp | None:
        name = str(rng.choice(list(GRIPS), p=_GRIP_SHARES))
        grip = GRIPS[name]
        hand = _Hand(self._anatomy, grip, rng)
        place = _approach(hand, thing, rng)
        if place is None:
            return None
        progress = _close(hand, thing, place, rng)
        if progress is None:
            return None
        vertices = place.of(hand.vertices(progress))
        gap = thing.gap(vertices)
        if not _holds(self._anatomy.links_near(gap.distance, TOUCH_DISTANCE), grip):
            return None
        penetration = max(-gap.distance.min(), thing.depth_in(vertices, self._anatomy.closed_faces))
        if penetration > DEEPEST or not force_closure(*self._anatomy.contacts(vertices, gap)):
            return None
        distance = 0.0
        if withdrawn:
            before = _withdraw(hand, thing, place, progress, rng)
            if before is None:
                return None
            progress, place, distance = before
            penetration = 0.0
            gap = thing.gap(place.of(hand.vertices(progress)))
        pose, translation = hand.parameters(progress, place)
        geometry = self._anatomy.model.forward(pose, hand.shape, translation)
        return Grasp(
            grip.kind,
            name,
            pose,
            hand.shape,
            translation,
            geometry.keypoints,
            geometry.vertices,
            thing.shape,
            np.eye(4),
            gap.distance < CONTACT_DISTANCE,
            float(penetration),
            distance,
        )


_PREGRASPS = 0.2
_OBJECTS, _ATTEMPTS = 40, 6  # objects for one grasp, attempts with each
_TRIALS, _CANDIDATES = 400, 24  # ways to an object, and those of them on which the hand is tried
_CORRIDOR = 0.009  # half a finger's thickness
_WITHDRAWN = 0.16  # where the approach begins
_INSET = 0.001  # flesh gives: what must not enter the object lies this deep under the skin
_COARSE_STEPS, _FINE_STEPS = 12, 5
_THUMBS = 5  # ways in which the thumb tries to close
_ANTIPODAL = np.cos(np.arctan(FRICTION))


def force_closure(points: np.ndarray, normals: np.ndarray, friction: float = FRICTION, edges: int = 8) -> bool:
    """Whether point contacts with Coulomb friction can balance every force and torque on the object.

    The origin must lie inside the convex hull of the wrenches of the friction cones' edges (Ferrari and Canny 1992):
    the wrenches span all six dimensions and some combination of all of them, each with a positive share, vanishes.

    Args:
        points: (N, 3) where the hand presses, metres.
        normals: (N, 3) unit vectors into the object.
        friction: its coefficient.
        edges: of the pyramid that stands for the cone.
    """
    if len(points) < 2:
        return False
    first = np.cross(normals, np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    turn = np.arange(edges) * 2 * np.pi / edges
    sideways = np.cos(turn)[:, None] * first[:, None] + np.sin(turn)[:, None] * second[:, None]
    forces = normals[:, None] + friction * sideways
    arms = points - points.mean(0)
    arms /= max(np.linalg.norm(arms, axis=1).max(), 1e-9)
    wrenches = np.concatenate([forces, np.cross(arms[:, None], forces)], -1).reshape(-1, 6).T
    if np.linalg.matrix_rank(wrenches, tol=1e-3) < 6:
        return False
    # Positive shares can be scaled until each is at least 1: 1 + x with x >= 0.
    try:
        remainder = nnls(wrenches, -wrenches.sum(1))[1]
    except RuntimeError:  # no convergence: not shown to hold
        return False
    return bool(remainder < 1e-6 * np.linalg.norm(wrenches))


class _Gap(NamedTuple):
    """Signed distance (N,) to a surface, metres, negative inside, inf where far; its outward normals (N, 3)."""

    distance: np.ndarray
    normals: np.ndarray


class _Place(NamedTuple):
    """Where the hand's rest frame lies in the object's, where it came along, how far its fingers have closed."""

    rotation: np.ndarray
    translation: np.ndarray
    approach: np.ndarray
    progress: float

    def of(self, points: np.ndarray) -> np.ndarray:
        return points @ self.rotation.T.astype(np.float32) + self.translation.astype(np.float32)

    def moved(self, distance: float) -> _Place:
        """Further along the approach, metres."""
        return self._replace(translation=self.translation + distance * self.approach)


class _Ways(NamedTuple):
    """Ways to take a thing: the middle (N, 3) between thumb and fingers, the width (N,) there, and frames (N, 3, 3)
    with the directions from the thumb to the fingers, of the approach, and along the tunnel that the hand forms."""

    middles: np.ndarray
    widths: np.ndarray
    frames: np.ndarray


class _Solid:
    """A closed mesh that can be asked for inside, distance and what rays hit. One thread: workers share the cores."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(_tensor(vertices), open3d.core.Tensor(np.ascontiguousarray(faces, np.uint32)))

    def inside(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) → (...) bool."""
        return self._scene.compute_occupancy(_tensor(points), nthreads=1).numpy() > 0.5

    def hits(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far rays go, inf where nothing is hit, and the normals (..., 3) of the triangles hit."""
        rays = np.concatenate(np.broadcast_arrays(origins, directions), -1)
        hits = self._scene.cast_rays(_tensor(rays), nthreads=1)
        return hits['t_hit'].numpy(), hits['primitive_normals'].numpy()

    def gap(self, points: np.ndarray) -> _Gap:
        """Signed distance of points (N, 3)."""
        closest = self._scene.compute_closest_points(_tensor(points), nthreads=1)
        distance = np.linalg.norm(points - closest['points'].numpy(), axis=1)
        return _Gap(np.where(self.inside(points), -distance, distance), closest['primitive_normals'].numpy())


class _Thing:
    """An object with what is asked of it again and again."""

    def __init__(self, shape: ObjectShape, rng: np.random.Generator, samples: int = 800) -> None:
        self.shape = shape
        self.solid = _Solid(shape.vertices, shape.faces)
        corners = shape.vertices[shape.faces].astype(float)
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(across, axis=1)
        picked = rng.choice(len(area), samples, p=area / area.sum())
        shares = rng.random((samples, 2))
        shares = np.where(shares.sum(1, keepdims=True) > 1, 1 - shares, shares)
        self.points = corners[picked, 0] + (shares[:, :, None] * (corners[picked, 1:] - corners[picked, :1])).sum(1)
        self.normals = across[picked] / area[picked, None]

    def gap(self, points: np.ndarray, reach: float = 0.006) -> _Gap:
        """Signed distance of points (N, 3), inf outside of the bounding box widened by `reach`."""
        low, high = self.shape.vertices.min(0) - reach, self.shape.vertices.max(0) + reach
        near = ((points > low) & (points < high)).all(1)
        distance, normals = np.full(len(points), np.inf), np.zeros((len(points), 3))
        if near.any():
            distance[near], normals[near] = self.solid.gap(points[near])
        return _Gap(distance, normals)

    def depth_in(self, vertices: np.ndarray, faces: np.ndarray) -> float:
        """How deep the deepest point of this object's surface lies in another closed mesh, metres."""
        surface = np.concatenate([self.points, self.shape.vertices])
        near = surface[((surface > vertices.min(0)) & (surface < vertices.max(0))).all(1)]
        if not len(near):
            return 0.0
        other = _Solid(vertices, faces)
        within = near[other.inside(near)]
        return float(-other.gap(within).distance.min()) if len(within) else 0.0

    def ways(self, grip: Grip, rng: np.random.Generator) -> _Ways | None:
        """Ways to take the object that suit a grip and leave room for thumb and fingers; None if none was found.

        More often than not they are near its middle, and in a power grasp a long object lies along the palm.
        """
        pairs, widths = self._sides(rng)
        fitting = np.flatnonzero((widths > grip.widths[0]) & (widths < grip.widths[1]))
        if not len(fitting):
            return None
        picked = rng.choice(fitting, _TRIALS)
        pairs, widths = pairs[picked], widths[picked]
        frames = _frames(pairs[:, 1] - pairs[:, 0], rng.standard_normal((_TRIALS, 3)))
        beside = pairs + _CORRIDOR * np.array([[-1], [1]]) * frames[:, None, :, 0]
        room = self.solid.hits(beside, -frames[:, None, :, 1])[0].min(1)
        free = (room > _WITHDRAWN) & ~self.solid.inside(beside).any(1)
        if not free.any():
            return None
        middles = pairs.mean(1)
        spread, axes = np.linalg.eigh(np.cov(self.points.T))
        likely = free * (np.exp(-0.7 * ((middles @ axes) ** 2 / spread).sum(1)) + 0.03)
        if grip.kind == 'power':
            longer = 1 - np.sqrt(spread[1] / spread[2])
            likely *= np.exp(4 * longer * np.abs(frames[:, :, 2] @ axes[:, 2]))
        chosen = rng.choice(_TRIALS, _CANDIDATES, p=likely / likely.sum())
        return _Ways(middles[chosen], widths[chosen], frames[chosen])

    def _sides(self, rng: np.random.Generator, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of opposite points (N, 2, 3) that fingers could press together, and the distances (N,) between them.

        From a point of the surface inwards along its normal to the next wall, and to the outermost one.
        """
        picked = rng.choice(len(self.points), count)
        points, inwards = self.points[picked], -self.normals[picked]
        through, wall = self.solid.hits(points + 1e-4 * inwards, inwards)
        back, outer = self.solid.hits(points + inwards, -inwards)
        widths = np.concatenate([through + 1e-4, 1 - back])
        points, inwards = np.tile(points, (2, 1)), np.tile(inwards, (2, 1))
        opposite = (np.concatenate([wall, outer]) * inwards).sum(1) > _ANTIPODAL
        # Where there is one wall only, both rays tell the same.
        opposite[count:] &= np.abs(back + through - 1) > 1e-3
        points, inwards, widths = points[opposite], inwards[opposite], widths[opposite]
        return np.stack([points, points + widths[:, None] * inwards], 1), widths


class _Fingers(NamedTuple):
    """Some fingers: their skin, which of the 16 links (N, 16) each vertex is on, their joints (16,)."""

    core: HandModel
    links: np.ndarray
    joints: np.ndarray


class _Anatomy:
    """What closing needs to know of a hand model: who carries which vertex, where pads, palm and arm are."""

    def __init__(self, model: HandModel) -> None:
        self.model = model
        self.closed_faces = _closed(model.faces)
        self._owners = model.weights.argmax(1)
        normals = trimesh.Trimesh(model.template, self.closed_faces, process=False).vertex_normals
        # Flesh gives a little: what must not enter the object lies one millimetre under the skin.
        self.core = dataclasses.replace(model, template=(model.template - _INSET * normals).astype(np.float32))
        self.all_fingers = self._fingers(range(5))
        self.thumb = self._fingers([_THUMB])
        self.landmarks = _of_vertices(model, np.array([*self._pads(), self._side(), self._palm()]))
        bent = [np.isin(self._owners, joints[1:]) for joints in FINGER_JOINTS]
        self.bent_vertices = np.concatenate([np.flatnonzero(one) for one in bent])
        self.bent_fingers = np.repeat(np.arange(5), [one.sum() for one in bent])
        self.is_fingertip = np.isin(self._owners, [*FINGER_JOINTS[1:, 2], *FINGER_JOINTS[_THUMB, 1:]])

    def _fingers(self, fingers: Iterable[int]) -> _Fingers:
        joints = FINGER_JOINTS[list(fingers)]
        vertices = np.flatnonzero(np.isin(self._owners, joints))
        return _Fingers(
            _of_vertices(self.core, vertices),
            np.eye(16, dtype=np.float32)[self._owners[vertices]],
            np.isin(np.arange(16), joints),
        )

    def links_near(self, distance: np.ndarray, limit: float) -> np.ndarray:
        """(16,) which links have a vertex within `limit`, of the distances (V,) of all vertices."""
        near = np.zeros(16, bool)
        near[self._owners[distance < limit]] = True
        return near

    def contacts(self, vertices: np.ndarray, gap: _Gap, apart: float = 0.008) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3) where the hand presses and normals into the object: the deepest first, none near another."""
        chosen: list[int] = []
        for vertex in np.argsort(gap.distance):
            if gap.distance[vertex] > TOUCH_DISTANCE:
                break
            if all(np.linalg.norm(vertices[vertex] - vertices[other]) > apart for other in chosen):
                chosen.append(int(vertex))
        return vertices[chosen].astype(float), -gap.normals[chosen]

    def _pads(self) -> list[int]:
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
        """The vertex at the thumb's side of the middle finger's last phalanx, on which a pen lies."""
        model, joint = self.model, _SIDE_LINK
        bone = model.tips[2] - model.joints[joint]
        offset = model.template - model.joints[joint]
        along = offset @ bone / (bone @ bone)
        return self._best(offset @ model.axes[joint][:, 0] - 0.02 * np.abs(along - 0.4), self._owners == joint)

    def _palm(self) -> int:
        model, out = self.model, -self.model.axes[JOINT_NAMES.index('middle_mcp')][:, 1]
        offset = model.template - 0.35 * model.joints[0] - 0.65 * model.joints[FINGER_JOINTS[1:, 0]].mean(0)
        height = offset @ out
        aside = np.linalg.norm(offset - height[:, None] * out, axis=1)
        return self._best(-aside, (self._owners == 0) & (height > 0))

    @staticmethod
    def _best(score: np.ndarray, allowed: np.ndarray) -> int:
        return int(np.where(allowed, score, -np.inf).argmax())


class _Hand:
    """One person's hand with the way from its opened to its closed posture; points in the hand's own rest frame."""

    def __init__(self, anatomy: _Anatomy, grip: Grip, rng: np.random.Generator) -> None:
        self.anatomy, self.grip = anatomy, grip
        self.shape = np.clip(rng.standard_normal(10), -2.5, 2.5).astype(np.float32)
        limits = anatomy.model.limits
        play = rng.normal(0, 0.3, (16, 3)) * (limits[..., 1] - limits[..., 0]) / 2 * [0, 0, 1]
        habit = rng.normal(0, 1, (4, 5)) * [[0.05], [0.05], [0.05], [0.15]]
        self.opened, self.closed = (
            _angles(limits, np.array(shares) + habit + rng.normal(0, 0.03, (4, 5)), play)
            for shares in (grip.opened, grip.closed)
        )

    def vertices(self, progress: np.ndarray) -> np.ndarray:
        """(..., V, 3) for each joint's share (..., 16) of the way."""
        return self._posed(self.anatomy.model, progress)

    def core(self, progress: np.ndarray) -> np.ndarray:
        """(..., V, 3) one millimetre under the skin."""
        return self._posed(self.anatomy.core, progress)

    def fingers(self, fingers: _Fingers, progress: np.ndarray) -> np.ndarray:
        """(..., N, 3) one millimetre under the skin of some fingers."""
        return self._posed(fingers.core, progress)

    def turn_thumb(self, rng: np.random.Generator) -> None:
        """Lets the thumb close another way."""
        limits, joints = self.anatomy.model.limits, FINGER_JOINTS[_THUMB]
        self.closed[joints, 0] = rng.uniform([0.5, 0.2, 0.1], [1.0, 0.9, 0.8]) * limits[joints, 0, 1]
        self.closed[joints[0], 1] = rng.uniform(*limits[joints[0], 1])

    def landmarks(self, progress: np.ndarray) -> np.ndarray:
        """(..., 7, 3) the five pads, the middle finger's side, the palm's middle."""
        return self._posed(self.anatomy.landmarks, progress)

    def arm(self) -> np.ndarray:
        """(N, 3) points on the skin of a straight forearm."""
        model = self.anatomy.model
        wrist = self._wrist()
        along = model.joints[JOINT_NAMES.index('middle_mcp')] - model.joints[0]
        along = along / np.linalg.norm(along)
        across = np.cross(along, model.axes[JOINT_NAMES.index('middle_mcp')][:, 1])
        turn = np.arange(8) * np.pi / 4
        ring = 0.032 * (np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * np.cross(along, across))
        return (wrist - np.arange(0.03, 0.25, 0.03)[:, None, None] * along + ring).reshape(-1, 3)

    def opened_for(self, widths: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, _Ways]:
        """How a hand prepares for things of some widths (N,).

        Returns:
            (N,) how far the fingers are closed, NaN where the hand cannot span the thing, and where in its frame the
            thing should come to lie.
        """
        grip = self.grip
        steps = np.linspace(0, 0.8, 9)
        marks = self.landmarks(np.repeat(steps[:, None], 16, 1)).astype(float)
        thumb, palm = marks[:, 0], marks[:, 6]
        fingers = marks[:, 5] if grip.side else marks[:, list(grip.fingers)].mean(1)
        apertures = np.linalg.norm(fingers - thumb, axis=1)
        wanted = np.minimum(widths + rng.uniform(*grip.clearance, len(widths)), 0.97 * apertures[0])
        wanted = np.where(wanted > widths + 0.6 * grip.clearance[0], wanted, np.inf)
        step = len(steps) - 1 - (apertures > wanted[:, None])[:, ::-1].argmax(1)
        if grip.fist:
            middles, frames = self._fist(widths, rng)
        else:
            middles = (thumb + fingers)[step] / 2
            frames = _frames((fingers - thumb)[step], middles - palm[step])
        if grip.side:
            middles = fingers[step] - widths[:, None] / 2 * frames[:, :, 0]
        return np.where(np.isfinite(wanted), steps[step], np.nan), _Ways(middles, widths, frames)

    def _fist(self, widths: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Where things lie in the palm, leaning towards the fingertips on the thumb's side: middles and frames."""
        model = self.anatomy.model
        across, inwards, along = model.axes[JOINT_NAMES.index('middle_mcp')].T.astype(float)
        lean = rng.normal(0.35, 0.2, (len(widths), 1))
        frames = _frames(np.cos(lean) * along - np.sin(lean) * across, np.broadcast_to(-inwards, (len(widths), 3)))
        base = 0.9 * model.joints[FINGER_JOINTS[1:, 0]].mean(0) + 0.1 * model.joints[0]
        middles = base - (widths[:, None] / 2 + 0.012) * inwards + rng.normal(0, 0.006, (len(widths), 1)) * along
        return middles, frames

    def runs_into_itself(self, progress: np.ndarray, clearance: float = 0.005) -> bool:
        """Whether a finger's skin comes nearer to another finger's bones, or to the palm's, than flesh allows."""
        posed = self.anatomy.model.forward(self._pose(progress), self.shape, np.zeros(3, np.float32))
        points = posed.keypoints
        chains = points[1:].reshape(5, 4, 3)
        skin, owner = posed.vertices[self.anatomy.bent_vertices], self.anatomy.bent_fingers
        for finger in range(5):
            first = 1 if finger == _THUMB else 0
            near = _to_segments(skin[owner != finger], chains[finger, first:-1], chains[finger, first + 1 :])
            if near.min() < clearance:
                return True
        palm = np.broadcast_to(points[0], (4, 3)), points[[5, 9, 13, 17]]
        return bool(_to_segments(skin[owner != _THUMB], palm[0], palm[1]).min() < 0.008)

    def parameters(self, progress: np.ndarray, place: _Place) -> tuple[np.ndarray, np.ndarray]:
        """Pose (48,) and translation (3,) that put the model where the place says."""
        pose = self._pose(progress)
        pose[:3] = Rotation.from_matrix(place.rotation).as_rotvec()
        # The model turns about its wrist, the place about the origin of the rest frame.
        wrist = self._wrist()
        return pose, (place.of(wrist) - wrist).astype(np.float32)

    def _wrist(self) -> np.ndarray:
        model = self.anatomy.model
        return model.joints[0] + model.joint_shape_basis[0] @ self.shape

    def _pose(self, progress: np.ndarray) -> np.ndarray:
        angles = self.opened + progress[..., None] * (self.closed - self.opened)
        return self.anatomy.model.pose_of(angles).astype(np.float32)

    def _posed(self, model: HandModel, progress: np.ndarray) -> np.ndarray:
        translation = np.zeros((*progress.shape[:-1], 3), np.float32)
        return model.forward(self._pose(progress), self.shape, translation).vertices


def _approach(hand: _Hand, thing: _Thing, rng: np.random.Generator) -> _Place | None:
    """Brings the opened hand to the object: two opposite sides of it between thumb and fingers, the palm facing it.

    A precision grip stops where the object lies between the pads, a power grip where the palm touches.
    """
    grip = hand.grip
    ways = thing.ways(grip, rng)
    if ways is None:
        return None
    start, own = hand.opened_for(ways.widths, rng)
    spans = np.flatnonzero(np.isfinite(start))
    if not len(spans):
        return None
    tilt = Rotation.from_rotvec(rng.normal(0, 0.12, (_CANDIDATES, 3))).as_matrix()
    turns = tilt @ ways.frames @ own.frames.transpose(0, 2, 1)
    approach = (turns @ own.frames[:, :, 1:2])[..., 0]
    slack = 0.003 * rng.standard_normal((_CANDIDATES, 3)) * ([0 if grip.side else 1, 1, 1])
    targets = ways.middles + (ways.frames @ slack[:, :, None])[..., 0]
    shifts = targets - (turns @ own.middles[:, :, None])[..., 0] - _WITHDRAWN * approach

    # A third of the skin tells quickly which ways are blocked.
    used, which = np.unique(start[spans], return_inverse=True)
    skins = hand.core(np.repeat(used[:, None], 16, 1))
    rough = skins[which][:, ::3] @ turns[spans].transpose(0, 2, 1).astype(np.float32)
    rough += shifts[spans, None].astype(np.float32)
    nearest, farthest = _WITHDRAWN + np.array(grip.depth)
    open_ways = (thing.solid.hits(rough, approach[spans, None])[0] > nearest).all(1)
    for candidate, posture in zip(spans[open_ways], which[open_ways], strict=True):
        place = _Place(turns[candidate], shifts[candidate], approach[candidate], float(start[candidate]))
        skin = place.of(skins[posture])
        room = thing.solid.hits(skin, place.approach)[0]
        first = int(room.argmin())
        if room[first] < nearest or (grip.kind == 'power' and hand.anatomy.is_fingertip[first]):
            continue
        reached = place.moved(min(room[first], farthest))
        if not thing.solid.inside(skin).any() and not thing.solid.inside(reached.of(hand.arm())).any():
            return reached
    return None


def _close(hand: _Hand, thing: _Thing, place: _Place, rng: np.random.Generator) -> np.ndarray | None:
    """Closes the fingers until they hold the object, the thumb in several ways until it finds one.

    Returns:
        (16,) each joint's share of the way from opened to closed; None if the object is not held.
    """
    progress, touching = _close_fingers(hand, thing, place, hand.anatomy.all_fingers, np.full(16, place.progress))
    touching[_SIDE_LINK] |= hand.grip.side
    for _ in range(_THUMBS):
        if not _holds(touching | _THUMB_LINKS, hand.grip):
            return None
        if _holds(touching, hand.grip) and not hand.runs_into_itself(progress):
            return progress
        hand.turn_thumb(rng)
        progress[_THUMB_LINKS] = place.progress
        progress, thumb_touching = _close_fingers(hand, thing, place, hand.anatomy.thumb, progress)
        touching = touching & ~_THUMB_LINKS | thumb_touching
    return None


def _close_fingers(
    hand: _Hand, thing: _Thing, place: _Place, fingers: _Fingers, progress: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Closes some fingers link by link until they touch.

    Returns:
        (16,) each joint's share of the way from opened to closed; (16,) which links touch.
    """
    moving, touching = fingers.joints.copy(), np.zeros(16, bool)
    while moving.any():
        begin = progress
        low, high = np.zeros(5), np.ones(5)
        for steps in (_COARSE_STEPS, _FINE_STEPS):
            shares = low + (high - low) * np.arange(1, steps + 1)[:, None] / steps
            ways = begin + moving * (1 - begin) * shares[:, _FINGER_OF_JOINT]
            inside = thing.solid.inside(place.of(hand.fingers(fingers, ways)))
            struck = ((inside @ fingers.links) > 0) & moving
            stopped = struck[:, FINGER_JOINTS].any(2)
            first = np.where(stopped.any(0), stopped.argmax(0), steps)
            step = (high - low) / steps
            low = low + first * step
            high = np.minimum(low + step, 1)
        progress = begin + moving * (1 - begin) * low[_FINGER_OF_JOINT]
        for finger, joints in enumerate(FINGER_JOINTS):
            if first[finger] == steps:
                moving[joints] = False
                continue
            links = struck[first[finger], joints]
            touching[joints[links]] = True
            moving[joints[: links.argmax() + 1]] = False
    # A finger that finds nothing bends as the ones that hold do; its way was free.
    held = touching[FINGER_JOINTS].any(1)
    if held[1:].any():
        for finger in hand.grip.fingers:
            if not held[finger]:
                progress[FINGER_JOINTS[finger]] = progress[FINGER_JOINTS[1:][held[1:]]].mean()
    return progress, touching


def _withdraw(
    hand: _Hand, thing: _Thing, place: _Place, progress: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, _Place, float] | None:
    """The hand somewhere on its way to the grasp, its fingers partly opened; None if it always touches."""
    for _ in range(4):
        distance, least = float(rng.uniform(0, FARTHEST)), rng.uniform(0.35, 1)
        back = place.moved(-distance)
        if thing.solid.inside(back.of(hand.arm())).any():
            continue
        for opening in (least, (least + 1) / 2, 1.0):
            partly = progress + opening * (place.progress - progress)
            vertices = back.of(hand.vertices(partly))
            if hand.runs_into_itself(partly) or thing.gap(vertices).distance.min() < CONTACT_DISTANCE:
                continue
            if thing.depth_in(vertices, hand.anatomy.closed_faces) == 0:
                return partly, back, distance
    return None


def _holds(touching: np.ndarray, grip: Grip) -> bool:
    """Whether the thumb and enough fingers are among the touching links (16,): two, three in a power grasp."""
    fingers = touching[FINGER_JOINTS].any(1)
    return bool(fingers[_THUMB] and fingers[1:].sum() >= (3 if grip.kind == 'power' else 2))


def _angles(limits: np.ndarray, shares: np.ndarray, play: np.ndarray) -> np.ndarray:
    """Shares (4, 5) of the ranges, as in Grip, and some play (16, 3) → (16, 3) angles within the limits."""
    angles = play.copy()
    low, high = limits[FINGER_JOINTS, 0, 0], limits[FINGER_JOINTS, 0, 1]
    flexion = shares[:3].T
    angles[FINGER_JOINTS, 0] = np.where(flexion > 0, flexion * high, -flexion * low)
    first = FINGER_JOINTS[:, 0]
    angles[first, 1] = np.where(shares[3] > 0, shares[3] * limits[first, 1, 1], -shares[3] * limits[first, 1, 0])
    angles = np.clip(angles, limits[..., 0], limits[..., 1])
    angles[0] = 0
    return angles


def _frames(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Right-handed frames (N, 3, 3) whose first column is along `first`, the second as near to `second` as can be."""
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = second - (second * first).sum(1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], -1)


def _to_segments(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distances (N, S) of points (N, 3) from segments (S, 3)."""
    along = ends - starts
    share = ((points[:, None] - starts) * along).sum(-1) / (along * along).sum(-1)
    nearest = starts + np.clip(share, 0, 1)[..., None] * along
    return np.linalg.norm(points[:, None] - nearest, axis=-1)


def _of_vertices(model: HandModel, chosen: np.ndarray) -> HandModel:
    """The model with some of its vertices only."""
    correctives = None if model.pose_basis is None else model.pose_basis[chosen]
    return dataclasses.replace(
        model,
        template=model.template[chosen],
        shape_basis=model.shape_basis[chosen],
        weights=model.weights[chosen],
        pose_basis=correctives,
    )


def _closed(faces: np.ndarray) -> np.ndarray:
    """The faces with the holes between them filled by fans; MANO's hand is open at the wrist."""
    edges = {(int(a), int(b)) for a, b in faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)}
    following = {b: a for a, b in edges if (b, a) not in edges}
    fans = []
    while following:
        loop = [next(iter(following))]
        while loop[-1] in following:
            loop.append(following.pop(loop[-1]))
        fans += [(loop[0], loop[k], loop[k + 1]) for k in range(1, len(loop) - 2)]
    return np.concatenate([faces, np.array(fans, np.int32).reshape(-1, 3)])


def _tensor(array: np.ndarray) -> open3d.core.Tensor:
    return open3d.core.Tensor(np.ascontiguousarray(array, np.float32))
