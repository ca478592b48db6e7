# SPDX-License-Identifier: Apache-2.0
"""Scenes of hands before a depth camera: arms, people, tables, walls, robots' links, clutter, held things.

Everything follows from (seed, split, index): the same three numbers make the same scene on every machine, and
the splits never share a random stream.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.poses import sample_angles
from hoi_ros.simulation.raycast import Raycaster
from hoi_ros.simulation.sensor import grain

SPLITS = {'train': 0, 'validation': 1, 'test': 2}

THING, NOTHING, BODY = -1, -2, -3
"""Owners of what belongs to no hand; BODY is a person's torso, head and upper arm."""


@dataclasses.dataclass(frozen=True)
class SceneConfig:
    """What the scenes are made of."""

    hands: tuple[float, float, float] = (0.0, 0.7, 0.3)
    """Probability of 0, 1 and 2 hands."""
    nearest: float = 0.25
    farthest: float = 1.2
    """Depth of the hands' centres, metres."""
    person: float = 0.5
    """Probability that the arm belongs to a visible body."""
    table: float = 0.5
    wall: float = 0.7
    clutter: float = 4.0
    """Mean number of things that stand about."""
    held: float = 0.25
    """Probability that something is in or at the hand."""
    width: int = 640
    height: int = 480


@dataclasses.dataclass(frozen=True)
class SceneHand:
    """One hand of a scene, in the camera's optical frame, metres."""

    side: str
    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    vertices: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """(3,) the mean of the 21 keypoints."""
        return self.keypoints.mean(0)


@dataclasses.dataclass(frozen=True)
class Scene:
    """Triangles with their owner, the number of a hand or one of THING and BODY, and the camera that looks at them."""

    camera: Pinhole
    hands: tuple[SceneHand, ...]
    vertices: np.ndarray
    faces: np.ndarray
    owners: np.ndarray

    @functools.cached_property
    def raycaster(self) -> Raycaster:
        return Raycaster(self.vertices, self.faces)

    def look(self, camera: Pinhole) -> View:
        """Casts one ray a pixel."""
        hits = self.raycaster.look(camera)
        owners = np.where(hits.triangles >= 0, self.owners[hits.triangles], NOTHING)
        return View(camera, hits.depth, owners, hits.normals)

    def visible_share(self, number: int, view: View) -> float:
        """Share of a hand's vertices inside the image that nothing but the hand itself hides; 0 to 1."""
        points = self.hands[number].vertices
        pixels = np.round(view.camera.project(points)).astype(int)
        inside = ((pixels >= 0) & (pixels < [view.camera.width, view.camera.height])).all(1)
        column, row = pixels[inside].T
        depth = view.depth[row, column]
        hidden = (depth > 0) & (depth < points[inside, 2] - 0.01) & (view.owners[row, column] != number)
        return float((~hidden).sum() / len(points))


class View(NamedTuple):
    """A scene seen by a camera: depth (H, W) metres, 0 where nothing; owners (H, W), the hand's number or one of
    THING, BODY and NOTHING; normals (H, W, 3)."""

    camera: Pinhole
    depth: np.ndarray
    owners: np.ndarray
    normals: np.ndarray

    def without_dark_places(self, rng: np.random.Generator) -> np.ndarray:
        """Depth (H, W) without what hair, eyes and dark or loose cloth swallow of a person's body."""
        body = self.owners == BODY
        if rng.random() < 0.4 or not body.any():
            return self.depth
        size = rng.uniform(0.015, 0.08) * self.camera.fx / float(np.median(self.depth[body]))
        field = grain(rng, self.depth.shape, max(size, 1.0))
        return np.where(body & (field < np.quantile(field, rng.uniform(0.05, 0.6))), 0, self.depth)


class SceneGenerator:
    """Makes scene after scene.

    Args:
        model: the right hand.
        config: what the scenes are made of.
        seed: of the whole set.
        split: 'train', 'validation' or 'test'.
    """

    def __init__(
        self, model: HandModel, config: SceneConfig | None = None, seed: int = 0, split: str = 'train'
    ) -> None:
        self._right, self._left = model, model.mirrored()
        self._config = config or SceneConfig()
        self._seed, self._split = seed, SPLITS[split]

    def rng(self, index: int, purpose: int = 0) -> np.random.Generator:
        """The random stream of one scene; `purpose` separates what is drawn after the scene is made."""
        return np.random.default_rng([self._seed, self._split, index, purpose])

    def __getitem__(self, index: int) -> Scene:
        rng = self.rng(index)
        config = self._config
        focal = rng.uniform(380, 640) * config.width / 640
        camera = Pinhole(
            config.width,
            config.height,
            focal,
            focal,
            config.width / 2 + rng.normal(0, 8),
            config.height / 2 + rng.normal(0, 8),
        )
        up = Rotation.from_euler('xz', [rng.uniform(-75, 40), rng.normal(0, 12)], degrees=True).apply([0, -1, 0])
        parts = Parts()
        hands: list[SceneHand] = []
        for _ in range(int(rng.choice(3, p=config.hands))):
            hand = self._place_hand(rng, camera, hands)
            if hand is not None:
                self._add_hand(parts, hand, len(hands), up, rng)
                hands.append(hand)
        self.add_room(parts, hands, camera, up, rng)
        return Scene(camera, tuple(hands), *parts.joined())

    def _place_hand(self, rng: np.random.Generator, camera: Pinhole, others: list[SceneHand]) -> SceneHand | None:
        config = self._config
        model = self._right
        angles = sample_angles(model, rng)
        shape = np.clip(rng.standard_normal(10), -2.5, 2.5).astype(np.float32)
        for _ in range(30):
            side = 'right' if rng.random() < 0.5 else 'left'
            if others and rng.random() < 0.85:
                side = 'left' if others[0].side == 'right' else 'right'
            depth = rng.uniform(config.nearest, config.farthest)
            if others:
                depth = np.clip(others[0].centre[2] + rng.normal(0, 0.08), config.nearest, config.farthest)
            margin = 0.06
            pixel = rng.uniform(
                [margin * camera.width, margin * camera.height],
                [(1 - margin) * camera.width, (1 - margin) * camera.height],
            )
            centre = camera.unproject(pixel, depth)
            turn = Rotation.random(random_state=rng)
            arm = turn.apply([0, -1, 0])
            towards_camera = -centre / np.linalg.norm(centre)
            if arm @ towards_camera > 0.75:
                continue  # the arm would hide the hand from the camera
            elbow = centre + 0.33 * arm
            if np.linalg.norm(elbow) < 0.2:
                continue
            if any(np.linalg.norm(centre - other.centre) < 0.13 for other in others):
                continue
            pose = model.pose_of(angles)
            hand_model = self._right
            if side == 'left':
                pose, hand_model = mirror_pose(pose), self._left
            pose[:3] = turn.as_rotvec()
            pose = pose.astype(np.float32)
            keypoints = hand_model.forward(pose, shape, np.zeros(3, np.float32), vertices=False).keypoints
            translation = (centre - keypoints.mean(0)).astype(np.float32)
            geometry = hand_model.forward(pose, shape, translation)
            if geometry.vertices[:, 2].min() < 0.16:
                continue
            return SceneHand(side, pose, shape, translation, geometry.keypoints, geometry.vertices)
        return None

    def _add_hand(self, parts: Parts, hand: SceneHand, number: int, up: np.ndarray, rng: np.random.Generator) -> None:
        model = self._right if hand.side == 'right' else self._left
        parts.add(hand.vertices, model.faces, number)
        wrist = hand.keypoints[0]
        across, along, _ = Rotation.from_rotvec(hand.pose[:3]).as_matrix().T
        down, scale = self.arm_of(hand, rng)
        length = rng.uniform(0.22, 0.3) * scale
        sleeve = rng.uniform(0.03, 0.2) if rng.random() < 0.5 else 1.0
        parts.add(*forearm(wrist, along, down, across, scale * rng.uniform(0.9, 1.15), length, sleeve, rng), -1)
        elbow = wrist + length * down
        if rng.random() < self._config.person:
            self.add_person(parts, hand, elbow, up, rng)

    def arm_of(self, hand: SceneHand, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """The direction (3,) from a hand's wrist to its elbow, and the hand's size as a multiple of the mean hand's."""
        model = self._right if hand.side == 'right' else self._left
        across, along, out = Rotation.from_rotvec(hand.pose[:3]).as_matrix().T
        wrist = hand.keypoints[0]
        scale = float(
            np.linalg.norm(hand.keypoints[9] - wrist)
            / np.linalg.norm(
                model.forward(
                    np.zeros(48, np.float32), np.zeros(10, np.float32), np.zeros(3, np.float32), False
                ).keypoints[9]
            )
        )
        # Towards the little finger the wrist goes further than towards the thumb.
        flexion = rng.uniform(-55, 60)
        deviation = rng.uniform(-28, 18) * (1 if hand.side == 'right' else -1)
        bend = Rotation.from_rotvec(np.radians(flexion) * across) * Rotation.from_rotvec(np.radians(deviation) * out)
        down = bend.apply(-along)
        if down @ (-wrist / np.linalg.norm(wrist)) > 0.8:
            down = -along
        return down, scale

    def add_person(
        self, parts: Parts, hand: SceneHand, elbow: np.ndarray, up: np.ndarray, rng: np.random.Generator
    ) -> None:
        """Upper arm, torso and head on the far side of the elbow; left out where they would stand before the hand."""
        away = elbow / np.linalg.norm(elbow)
        for _ in range(4):
            lift = unit(0.7 * up + rng.normal(0, 0.5, 3) + 0.4 * away)
            shoulder = elbow + rng.uniform(0.24, 0.32) * lift
            if shoulder[2] > hand.centre[2] - 0.05:
                break
        else:
            return
        parts.add(*_capsule(elbow, shoulder, rng.uniform(0.04, 0.06)), BODY, 'cloth')
        # Most people face the camera: their right shoulder is to the left of their chest in the image.
        faces_camera = rng.random() < 0.85
        inwards = 1 if (hand.side == 'right') == faces_camera else -1
        right = unit(np.cross([0, 0, 1], up) + 1e-3) * inwards
        chest = shoulder + right * rng.uniform(0.14, 0.22) - up * rng.uniform(0.1, 0.25) + np.array([0, 0, 0.04])
        if chest[2] < hand.centre[2] - 0.02:
            return
        frame = np.stack([right, up, np.cross(right, up)], 1)
        radii = [rng.uniform(0.16, 0.23), rng.uniform(0.28, 0.4), rng.uniform(0.09, 0.14)]
        parts.add(*_ellipsoid(chest, frame, radii), BODY, 'cloth')
        head = chest + up * (radii[1] + rng.uniform(0.08, 0.14)) + rng.normal(0, 0.03, 3)
        parts.add(*_capsule(chest + up * radii[1] * 0.8, head, 0.055), BODY, 'skin')
        parts.add(*_ellipsoid(head, frame, [0.075, 0.11, 0.09]), BODY, 'skin')
        ahead = unit(np.array([rng.normal(0, 0.5), rng.normal(0, 0.3), -1 if faces_camera else 1]))
        side = unit(np.cross(up, ahead))
        for start, end, radius in (
            (0.085 * ahead + 0.03 * up, 0.105 * ahead - 0.015 * up, 0.012),  # nose
            (0.075 * ahead + 0.035 * up - 0.035 * side, 0.075 * ahead + 0.035 * up + 0.035 * side, 0.016),  # brow
            (0.065 * ahead - 0.085 * up - 0.015 * side, 0.065 * ahead - 0.085 * up + 0.015 * side, 0.025),  # chin
            (-0.08 * side - 0.02 * up, -0.08 * side + 0.02 * up, 0.012),
            (0.08 * side - 0.02 * up, 0.08 * side + 0.02 * up, 0.012),
        ):  # ears
            parts.add(*_capsule(head + start, head + end, radius * rng.uniform(0.8, 1.3)), BODY, 'skin')

    def add_room(
        self, parts: Parts, hands: list[SceneHand], camera: Pinhole, up: np.ndarray, rng: np.random.Generator
    ) -> None:
        config = self._config
        anchor = (
            hands[0].centre
            if hands
            else camera.unproject(
                rng.uniform([0, 0], [camera.width, camera.height]), rng.uniform(config.nearest, config.farthest)
            )
        )
        if rng.random() < config.table:
            lowest = min((float((hand.vertices @ up).min()) for hand in hands), default=float(anchor @ up))
            level = lowest - rng.choice([rng.uniform(0.0, 0.03), rng.uniform(0.03, 0.5)])
            level = min(level, -0.12)
            parts.add(*_plane(up, level, anchor), -1, 'table')
        if rng.random() < config.wall:
            facing = unit(np.array([rng.normal(0, 0.4), rng.normal(0, 0.25), -1]))
            distance = rng.uniform(0.15, 1.5) + max((float(h.vertices[:, 2].max()) for h in hands), default=0.5)
            parts.add(*_plane(facing, -distance * abs(facing[2]), np.array([0, 0, distance])), -1, 'wall')
        for _ in range(rng.poisson(config.clutter)):
            near_hand = hands and rng.random() < 0.4
            if near_hand:
                base = hands[rng.integers(len(hands))].centre
                place = base + unit(rng.standard_normal(3)) * rng.uniform(0.1, 0.3)
            else:
                place = camera.unproject(rng.uniform([0, 0], [camera.width, camera.height]), rng.uniform(0.3, 1.8))
            size = np.exp(rng.uniform(np.log(0.015), np.log(0.12), 3))
            if rng.random() < 0.3:
                size[1] = rng.uniform(0.15, 0.5)
            self._add_thing(parts, hands, place, size, rng, clear=0.02)
        for hand in hands:
            if rng.random() < config.held:
                out = Rotation.from_rotvec(hand.pose[:3]).apply([0, 0, 1])
                palm = hand.keypoints[[0, 5, 9, 13, 17]].mean(0)
                size = rng.uniform(0.01, 0.04, 3)
                if rng.random() < 0.5:
                    size[1] = rng.uniform(0.05, 0.15)
                # Not before the hand: what the camera must see is the hand.
                place = palm + out * (size[[0, 2]].mean() + rng.uniform(0.005, 0.03))
                self._add_thing(parts, [], place, size, rng, clear=0)

    @staticmethod
    def _add_thing(
        parts: Parts,
        hands: list[SceneHand],
        place: np.ndarray,
        size: np.ndarray,
        rng: np.random.Generator,
        clear: float,
    ) -> None:
        reach = float(np.linalg.norm(size)) + clear
        if place[2] - reach < 0.12:
            return
        for hand in hands:
            centre = hand.centre
            on_ray = place @ centre / (centre @ centre)
            aside = np.linalg.norm(place - on_ray * centre)
            if on_ray < 1 and aside < reach + 0.03:
                return  # it would hide the middle of the hand
        frame = Rotation.random(random_state=rng).as_matrix()
        kind = rng.integers(4)
        if kind == 0:
            vertices, faces = _BOX
        elif kind == 1:
            vertices, faces = _CYLINDER
        else:
            vertices, faces = _BALL
        if kind == 3:
            half = frame[:, 1] * size[1]
            parts.add(*_capsule(place - half, place + half, min(size[0], size[2])), -1)
        else:
            parts.add((vertices * size) @ frame.T + place, faces, -1)


class Parts:
    """Meshes gathered into one list of triangles with owners."""

    def __init__(self) -> None:
        self._vertices: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._owners: list[np.ndarray] = []
        self._count = 0

    def add(self, vertices: np.ndarray, faces: np.ndarray, owner: int, kind: str = 'thing') -> None:
        """`kind` says what the mesh is made of to those who colour it: skin, cloth, table, wall or thing."""
        self._vertices.append(vertices)
        self._faces.append(faces + self._count)
        self._owners.append(np.full(len(faces), owner))
        self._count += len(vertices)

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not self._vertices:
            self.add(np.array([[0, 0, 50], [1, 0, 50], [0, 1, 50.0]]), np.array([[0, 1, 2]]), -1)
        return (
            np.concatenate(self._vertices).astype(np.float32),
            np.concatenate(self._faces),
            np.concatenate(self._owners),
        )


def _mesh(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


_BOX = _mesh(trimesh.creation.box((2, 2, 2)))
_CYLINDER = _mesh(
    trimesh.creation.cylinder(
        1, 2, sections=20, transform=trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0])
    )
)
_BALL = _mesh(trimesh.creation.icosphere(2))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _ellipsoid(centre: np.ndarray, frame: np.ndarray, radii: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return (_BALL[0] * radii) @ frame.T + centre, _BALL[1]


def _plane(normal: np.ndarray, level: float, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A square of 5 m in the plane normal·x = level, around the foot of `near`."""
    foot = near - (near @ normal - level) * normal
    first = unit(np.cross(normal, [0.31, 0.11, 0.94]))
    second = np.cross(normal, first)
    corners = foot + 2.5 * np.array([-first - second, first - second, first + second, second - first])
    return corners, np.array([[0, 1, 2], [0, 2, 3]])


def tube(centres: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A closed tube through elliptic rings: centres (N, 3), half-axes (N, 3) each."""
    sections = 16
    turn = np.linspace(0, 2 * np.pi, sections, endpoint=False)
    rings = (
        centres[:, None] + np.cos(turn)[None, :, None] * first[:, None] + np.sin(turn)[None, :, None] * second[:, None]
    )
    count = len(centres)
    vertices = np.concatenate([rings.reshape(-1, 3), centres[[0, -1]]])
    ring, step = np.meshgrid(np.arange(count - 1), np.arange(sections), indexing='ij')
    a, b = (ring * sections + step).ravel(), (ring * sections + (step + 1) % sections).ravel()
    sides = np.concatenate([np.stack([a, b, a + sections], 1), np.stack([b, b + sections, a + sections], 1)])
    around = np.arange(sections)
    following = (around + 1) % sections
    first_cap = np.stack([np.full(sections, count * sections), following, around], 1)
    base = (count - 1) * sections
    last_cap = np.stack([np.full(sections, count * sections + 1), base + around, base + following], 1)
    return vertices, np.concatenate([sides, first_cap, last_cap])


def _capsule(start: np.ndarray, end: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    axis = unit(end - start)
    across = unit(np.cross(axis, [0.37, 0.83, 0.41]))
    other = np.cross(axis, across)
    rise = np.sin(np.radians([-90, -60, -30, 0, 0, 30, 60, 90]))
    width = np.cos(np.radians([-89, -60, -30, 0, 0, 30, 60, 89]))
    anchors = np.where(np.arange(8)[:, None] < 4, start, end)
    centres = anchors + rise[:, None] * radius * axis
    return tube(centres, width[:, None] * radius * across, width[:, None] * radius * other)


def forearm(
    wrist: np.ndarray,
    along: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    scale: float,
    length: float,
    sleeve: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """An elliptic forearm that leaves the hand at the wrist and widens to the elbow; with a sleeve from where on.

    The first ring lies inside the hand, along its own axis; the following ones turn into the arm's direction.
    """
    places = np.array([0.0, 0.03, 0.06, 0.1, 0.16, 0.24, 0.33])
    places = places[places < length * 1.05]
    broad = np.interp(places, [0, 0.06, 0.2, 0.3], [0.024, 0.027, 0.041, 0.044]) * scale
    thick = np.interp(places, [0, 0.06, 0.2, 0.3], [0.0165, 0.021, 0.036, 0.041]) * scale
    if sleeve < 0.5:
        covered = places >= sleeve
        loose = rng.uniform(0.004, 0.02)
        broad, thick = broad + covered * loose, thick + covered * loose
    turning = np.clip(places / 0.06, 0, 1)[:, None]
    direction = -along * (1 - turning) + down * turning
    centres = (
        wrist
        + 0.004 * along
        + np.concatenate([np.zeros((1, 3)), np.cumsum(np.diff(places)[:, None] * direction[1:], 0)])
    )
    side = across - down * (across @ down)
    side = unit(side)
    front = np.cross(side, down)
    return tube(centres, broad[:, None] * side, thick[:, None] * front)
