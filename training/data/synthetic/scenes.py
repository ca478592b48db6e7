# SPDX-License-Identifier: Apache-2.0
"""Scenes of hands before a depth camera: arms, people, tables, walls, clutter, things in hands.

(seed, split, index) determine a scene on every machine, and the splits never share a random stream.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.simulation.raycast import Raycaster
from hoi_ros.simulation.sensor import grain
from hoi_ros.simulation.sensor import SensorModel
from training.data.hand_object import ObjectLabel
from training.data.real.depth_backgrounds import DepthBackground
from training.data.real.depth_backgrounds import DepthBackgrounds
from training.data.real.depth_material import DepthMaterial
from training.data.real.depth_material import GENERATED
from training.data.real.scans import scanned_objects
from training.data.synthetic.arms import forearm
from training.data.synthetic.handling import HandlingHands
from training.data.synthetic.handling import WORN_FARTHEST
from training.data.synthetic.handling import worn_up
from training.data.synthetic.person import add_person
from training.data.synthetic.person import arm_of
from training.data.synthetic.placed_hands import free_angles
from training.data.synthetic.placed_hands import PlacedHand
from training.data.synthetic.room import add_room
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_config import SPLITS
from training.data.synthetic.scene_parts import BODY
from training.data.synthetic.scene_parts import HELD
from training.data.synthetic.scene_parts import NOTHING
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.scene_parts import THING
from training.data.synthetic.shared_holds import SharedHolds
from training.data.synthetic.stereo_matching import StereoMatching
from training.data.synthetic.two_hands.postures import postures_of
from training.data.synthetic.typing_hands import place_typing

_MATCHED = 0.2
"""Share of depth cameras that match the images of two cameras."""
_NEAR = 0.03
"""Observed depth shows a surface if it is right within this, metres."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """Triangles, their owners (the number of a hand, HELD − that number, THING or BODY), and the camera."""

    camera: Pinhole
    hands: tuple[SceneHand, ...]
    vertices: np.ndarray
    faces: np.ndarray
    owners: np.ndarray
    held: tuple[ObjectLabel | None, ...] = ()
    """What each hand holds; two hands on one thing hold the same, whose owner is the first."""
    background: DepthBackground | None = None
    """A real scene behind it."""

    @functools.cached_property
    def _raycaster(self) -> Raycaster:
        return Raycaster(self.vertices, self.faces)

    def look(self, camera: Pinhole) -> View:
        """Renders the scene, one ray per pixel, before its real background."""
        hits = self._raycaster.look(camera)
        owners = np.where(hits.triangles >= 0, self.owners[hits.triangles], NOTHING)
        depth = hits.depth
        if self.background is not None:
            real = self.background.look(camera)
            nearer = (real > 0) & ((owners == NOTHING) | (real < depth))
            depth, owners = np.where(nearer, real, depth), np.where(nearer, THING, owners)
        return View(camera, depth, owners, hits.normals)

    def visible_share(self, number: int, view: View) -> float:
        """Share of a hand's vertices inside the image that no other surface hides; 0 to 1."""
        points = self.hands[number].vertices
        pixels = np.round(view.camera.project(points)).astype(int)
        inside = ((pixels >= 0) & (pixels < [view.camera.width, view.camera.height])).all(1)
        column, row = pixels[inside].T
        depth = view.depth[row, column]
        hidden = (depth > 0) & (depth < points[inside, 2] - 0.01) & (view.owners[row, column] != number)
        return float((~hidden).sum() / len(points))


class View(NamedTuple):
    """A rendered scene: depth (H, W) in metres, 0 without a surface; owners (H, W), the number of a hand or one of
    THING, BODY, NOTHING and HELD − that number; normals (H, W, 3)."""

    camera: Pinhole
    depth: np.ndarray
    owners: np.ndarray
    normals: np.ndarray

    def without_dark_places(self, rng: np.random.Generator) -> np.ndarray:
        """Depth (H, W) with holes in people's bodies, as hair, eyes and dark or loose cloth leave them."""
        body = self.owners == BODY
        if rng.random() < 0.4 or not body.any():
            return self.depth
        size = rng.uniform(0.015, 0.08) * self.camera.fx / float(np.median(self.depth[body]))
        field = grain(rng, self.depth.shape, max(size, 1.0))
        return np.where(body & (field < np.quantile(field, rng.uniform(0.05, 0.6))), 0, self.depth)

    def observed(self, rng: np.random.Generator, pitch: float = 1.0, inside: np.ndarray | None = None) -> np.ndarray:
        """What a random depth camera of any kind reports of this view.

        Args:
            rng: source of the camera and its faults.
            pitch: pixels of the full-size sensor per pixel of the view.
            inside: (H, W) bool, pixels of the view inside the image; all if None.

        Returns:
            (H, W) float32 metres, 0 invalid.
        """
        depth = self.without_dark_places(rng)
        if inside is not None:
            depth = np.where(inside, depth, 0)
        if rng.random() >= _MATCHED:
            return SensorModel.sample_any(rng).observe(depth, self.camera.fx, rng, pitch)
        camera = StereoMatching.sample(rng)
        matched = camera.observe(self.depth, self.owners, self.normals, self.camera.fx, rng, pitch)
        return matched if inside is None else np.where(inside, matched, 0)

    def shown(self, observed: np.ndarray, owner: int) -> float:
        """Share of an owner's pixels that observed depth (H, W) shows, 0 to 1; 0 where it has none."""
        own = self.owners == owner
        return float((np.abs(observed - self.depth) < _NEAR)[own].mean()) if own.any() else 0.0


class SceneGenerator:
    """A stream of scenes: index → scene.

    Args:
        model: the right hand.
        config: the distribution of scenes.
        seed: of the whole set.
        split: 'train', 'validation' or 'test'; 'held_out' differs from 'test' only in the families of handled objects.
        attempts: scene numbers that belong to one sample; successive samples share grasps.
        material: real backgrounds, objects and hand poses.
    """

    def __init__(
        self,
        model: HandModel,
        config: SceneConfig | None = None,
        seed: int = 0,
        split: str = 'train',
        attempts: int = 1,
        material: DepthMaterial = GENERATED,
    ) -> None:
        self._right, self._left = model, model.mirrored()
        self._config = config or SceneConfig()
        self._seed, self._split = seed, SPLITS['test' if split == 'held_out' else split]
        self._attempts = attempts
        self._backgrounds = DepthBackgrounds(material.backgrounds, split) if material.backgrounds else None
        scans = scanned_objects(material.scans, split)
        self._postures = postures_of(model, split, material.poses)
        self._handling = HandlingHands(model, seed, split, scans, self._postures) if self._config.handling else None
        self._shared = SharedHolds(model, seed, split, scans) if self._config.shared else None

    def rng(self, index: int, purpose: int = 0) -> np.random.Generator:
        """The random stream of one scene; `purpose` separates draws that are made after the scene."""
        return np.random.default_rng([self._seed, self._split, index, purpose])

    def __getitem__(self, index: int) -> Scene:
        rng = self.rng(index)
        config = self._config
        # A draw of its own: scenes of one size do not depend on it.
        width, height = config.sizes[self.rng(index, purpose=6).integers(len(config.sizes))]
        focal = rng.uniform(*config.focal) * width
        camera = Pinhole(width, height, focal, focal, width / 2 + rng.normal(0, 8), height / 2 + rng.normal(0, 8))
        up = Rotation.from_euler('xz', [rng.uniform(-75, 40), rng.normal(0, 12)], degrees=True).apply([0, -1, 0])
        if self._handling is not None and rng.random() < config.handling:
            return self._handling_scene(index, self._handling, camera, up, rng)
        parts = Parts()
        hands: list[SceneHand] = []
        for _ in range(int(rng.choice(3, p=config.hands))):
            hand = self._place_hand(rng, camera, hands)
            if hand is not None:
                self._add_hand(parts, hand, len(hands), up, rng)
                hands.append(hand)
        background = self._background(rng)
        if background is None:
            add_room(parts, hands, camera, up, config, rng)
        return Scene(camera, tuple(hands), *parts.joined(), held=(None,) * len(hands), background=background)

    def _background(self, rng: np.random.Generator) -> DepthBackground | None:
        if self._backgrounds is None or rng.random() >= self._config.real:
            return None
        return self._backgrounds.draw(rng)

    def _handling_scene(
        self, index: int, handling: HandlingHands, camera: Pinhole, up: np.ndarray, rng: np.random.Generator
    ) -> Scene:
        config, stream = self._config, 2 * (index // self._attempts)
        worn = worn_up(rng) if rng.random() < config.worn else None
        up = up if worn is None else worn
        parts = Parts()
        depths = config.handled_nearest, config.farthest if worn is None else WORN_FARTHEST
        count = int(rng.choice(3, p=config.hands))
        pair: list[PlacedHand] = []
        desk = None
        if self._shared is not None and rng.random() < config.shared:
            pair = self._shared.place(stream, camera, depths, worn, rng)
        # Draws of their own, so that this share changes no other scene.
        typing = self.rng(index, purpose=5)
        if not pair and typing.random() < config.typing:
            pair, normal = place_typing(self._right, camera, depths, worn, typing)
            if pair:
                up = desk = normal
        placed: list[PlacedHand] = []
        for number in range(len(pair) or count):
            one = pair[number] if pair else handling.place(stream + number, camera, depths, worn, placed, rng)
            if one is not None:
                self._add_hand(parts, one.hand, len(placed), up, rng, person=worn is None)
                if one.held is not None and not (pair and number):
                    parts.add(one.held.placed, one.held.faces, HELD - len(placed))
                placed.append(one)
        handling.add_objects(parts, stream, camera, placed, rng)
        # Clutter keeps clear of held objects too.
        occupied = [dataclasses.replace(one.hand, vertices=one.points) for one in placed]
        background = self._background(rng) if desk is None else None
        if background is None:
            add_room(parts, occupied, camera, up, dataclasses.replace(config, held=0.0), rng, desk)
        return Scene(
            camera,
            tuple(one.hand for one in placed),
            *parts.joined(),
            held=tuple(one.held for one in placed),
            background=background,
        )

    def _place_hand(self, rng: np.random.Generator, camera: Pinhole, others: list[SceneHand]) -> SceneHand | None:
        config = self._config
        model = self._right
        angles = free_angles(model, rng, self._postures)
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

    def _add_hand(
        self,
        parts: Parts,
        hand: SceneHand,
        number: int,
        up: np.ndarray,
        rng: np.random.Generator,
        person: bool = True,
    ) -> None:
        model = self._right if hand.side == 'right' else self._left
        parts.add(hand.vertices, model.faces, number)
        wrist = hand.keypoints[0]
        across, along, _ = Rotation.from_rotvec(hand.pose[:3]).as_matrix().T
        down, scale = arm_of(model, hand, rng)
        length = rng.uniform(0.22, 0.3) * scale
        sleeve = rng.uniform(0.03, 0.2) if rng.random() < 0.5 else 1.0
        parts.add(*forearm(wrist, along, down, across, scale * rng.uniform(0.9, 1.15), length, sleeve, rng), -1)
        elbow = wrist + length * down
        if person and rng.random() < self._config.person:
            add_person(parts, hand, elbow, up, rng)


def inside_image(window: Pinhole, camera: Pinhole) -> np.ndarray:
    """(H, W) whether pixels of a window lie inside the image of its camera."""
    columns = (np.arange(window.width) - window.cx) * (camera.fx / window.fx) + camera.cx
    rows = (np.arange(window.height) - window.cy) * (camera.fy / window.fy) + camera.cy
    return ((rows > -0.5) & (rows < camera.height - 0.5))[:, None] & (
        (columns > -0.5) & (columns < camera.width - 0.5)
    )[None]
