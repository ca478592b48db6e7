# SPDX-License-Identifier: Apache-2.0
"""Ray-cast RGB and depth images of hands and held objects: lamps with shadows, skin, gloves, sleeves, rooms, cameras.

(seed, split, index) determine an image on every machine, and the splits never share a random stream. People and rooms
are those of the depth scenes.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.simulation.sensor import SensorModel
from training.data.hand_object import HandObjectSample
from training.data.hand_object import ObjectLabel
from training.data.real.colour_material import ColourMaterial
from training.data.real.colour_material import GENERATED
from training.data.real.light_probes import LightProbes
from training.data.real.scans import scanned_objects
from training.data.real.scenery import Scenery
from training.data.real.surface_photos import SurfacePhotos
from training.data.synthetic.dressing import Dresser
from training.data.synthetic.gloves import Glove
from training.data.synthetic.handling import placed_before
from training.data.synthetic.handling import WORN_FARTHEST
from training.data.synthetic.handling import worn_up
from training.data.synthetic.lighting import Lighting
from training.data.synthetic.loose_things import let_go
from training.data.synthetic.loose_things import loose_thing
from training.data.synthetic.placed_hands import free_hand
from training.data.synthetic.placed_hands import Grasps
from training.data.synthetic.placed_hands import PlacedHand
from training.data.synthetic.placed_hands import posed_hand
from training.data.synthetic.placed_hands import PosedHand
from training.data.synthetic.rgb_config import RgbConfig
from training.data.synthetic.rgb_crop_views import beside
from training.data.synthetic.rgb_render import RgbScene
from training.data.synthetic.rgb_sensor import RgbSensor
from training.data.synthetic.room import add_room
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_config import SPLITS
from training.data.synthetic.scene_parts import THING
from training.data.synthetic.scenes import inside_image
from training.data.synthetic.scenes import View
from training.data.synthetic.shared_holds import SharedHolds
from training.data.synthetic.skin import Skin
from training.data.synthetic.surfaces import Surfaces
from training.data.synthetic.two_hands.postures import postures_of
from training.data.synthetic.typing_hands import place_typing
from training.data.synthetic.vectors import unit


@dataclasses.dataclass(frozen=True)
class RgbFrame:
    """An image with its labels."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    depth: np.ndarray
    """(H, W) float32 metres, 0 invalid, with the errors of a depth camera."""
    view: View
    """True depth and the owner of each pixel: the number of a hand, HELD − that number, or an owner of the scenes."""
    hands: tuple[HandObjectSample, ...]
    """One per hand; they share image and depth."""
    visible: tuple[float, ...]
    """Visible share of each hand's silhouette."""


class RgbScenes:
    """A stream of images: index → sample.

    Args:
        grasps: hands with objects; without them every hand is free.
        seed: of the whole set.
        split: 'train', 'validation' or 'test'; 'held_out' differs from 'test' only in its grasps.
        config: the distribution of images.
        model: the right hand, that of the grasps.
        length: nominal length of the endless stream.
        material: real surfaces, light, photos and hand poses; the scanned objects are up to the grasps.
    """

    def __init__(
        self,
        grasps: Grasps | None = None,
        seed: int = 0,
        split: str = 'train',
        config: RgbConfig | None = None,
        model: HandModel | None = None,
        length: int = 1_000_000,
        material: ColourMaterial = GENERATED,
    ) -> None:
        self._grasps, self._length = grasps, length
        self._last: tuple[int, PosedHand] | None = None
        self._config = config or RgbConfig()
        self._right = model or HandModel.load()
        self._name = f'{split}/{seed}'
        self._seed = seed, SPLITS['test' if split == 'held_out' else split]
        near, far, desk = self._config.nearest, self._config.farthest, self._config.desk
        self._room = SceneConfig(nearest=near, farthest=far, held=0, wall=0.8, clutter=1.5, desk=desk)
        shared = grasps is not None and self._config.shared
        self._scans = scanned_objects(material.scans, split)
        self._shared = SharedHolds(self._right, seed, split, self._scans, _SHARED_LARGEST) if shared else None
        self._postures = postures_of(self._right, split, material.poses)
        self._photos = SurfacePhotos(material.surfaces, split) if material.surfaces else None
        probes = LightProbes(material.surfaces, split) if material.surfaces else None
        self._probes = probes if probes and probes.paths else None
        self._scenery = Scenery(material.photos, split) if material.photos else None

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> HandObjectSample:
        """The sample of the first hand; an image without a hand has no keypoints.

        Raises:
            IndexError: the index is negative.
        """
        if index < 0:
            raise IndexError(f'index {index} of a stream of images, expected 0 or more')
        frame = self.frame(index)
        if frame.hands:
            return frame.hands[0]
        return HandObjectSample(
            f'{self._name}/{index}', frame.image, frame.view.camera, 'right', None, depth=frame.depth
        )

    def frame(self, index: int) -> RgbFrame:
        """The image with all its hands."""
        for attempt in range(_ATTEMPTS):
            rng = np.random.default_rng([*self._seed, index, attempt])
            made = self._scene(index, attempt, rng)
            if made is not None:
                show = self._whole if self._config.window is None else self._window
                return show(f'{self._name}/{index}', *made, rng)
        raise RuntimeError(f'image {index}: none of {_ATTEMPTS} scenes shows its hands; RgbConfig asks for too much')

    def _scene(self, index: int, attempt: int, rng: np.random.Generator) -> tuple[RgbScene, list[PlacedHand]] | None:
        """A scene with its hands; None if one of them is hidden or has no place."""
        config = self._config
        stream, grasps = (number * _ATTEMPTS + attempt for number in (index, index // config.repeats))
        focal = config.width / 2 / np.tan(np.radians(rng.uniform(*config.field_of_view)) / 2)
        camera = Pinhole(
            config.width,
            config.height,
            focal,
            focal,
            (config.width - 1) / 2 + rng.normal(0, 6),
            (config.height - 1) / 2 + rng.normal(0, 6),
        )
        up = Rotation.from_euler('xz', [rng.uniform(-60, 35), rng.normal(0, 10)], degrees=True).apply([0, -1, 0])
        # Draws of their own, so that these shares change no other image.
        kind = np.random.default_rng([*self._seed, stream, 1])
        worn, _, *gloved = kind.random(4) < [config.worn, 1, config.gloved, config.gloved]
        # One thing in both hands is a grasp, too.
        shared = np.random.default_rng([*self._seed, grasps, 1]).random(2)[1] < config.shared
        types = np.random.default_rng([*self._seed, stream, 2]).random() < config.typing
        up = worn_up(kind) if worn else up
        count = 1 if config.window else int(rng.choice(3, p=config.hands))
        placed: list[PlacedHand] = []
        desk = None
        depths = (_WORN_NEAREST, WORN_FARTHEST) if worn else (config.nearest, config.farthest)
        both = bool(config.window) or count == 2
        if both and shared and self._shared is not None:
            placed, count = self._shared.place(grasps, camera, depths, up if worn else None, rng), 0
        elif both and types:
            placed, desk = place_typing(self._right, camera, depths, up if worn else None, rng)
            up, count = desk, 0
        if both and not count and not placed:
            return None
        for number in range(count):
            hand = self._place(2 * grasps + number, camera, up, worn, placed, rng)
            if hand is None:
                return None
            placed.append(hand)
        placed, loose = self._loosened(placed, stream)
        surfaces = Surfaces(up, rng, self._photos, config.photographed)
        people = [(Skin.sample(rng), surfaces.draw('cloth'), Glove.sample(kind) if glove else None) for glove in gloved]
        same = rng.random() < 0.7 or desk is not None
        dressed = [people[0 if same else number] for number in range(len(placed))]
        dresser = Dresser(self._right, up, worn, rng)
        dresser.add(surfaces, placed, dressed)
        dresser.add_things(surfaces, loose)
        scenery = self._scenery if self._scenery and rng.random() < config.scenery and desk is None else None
        # Clutter keeps clear of held objects too.
        hands = [dataclasses.replace(one.hand, vertices=one.points) for one in placed]
        # Clutter remains before a photo: not all that is rendered there is a person or in a hand.
        room = dataclasses.replace(self._room, desk=0, table=0, wall=0) if scenery else self._room
        add_room(surfaces, hands, camera, up, room, rng, desk)
        if scenery and not surfaces.materials:
            surfaces.add(_BEHIND, np.array([[0, 1, 2]]), THING)
        measured = self._probes is not None and rng.random() < config.measured
        lighting = self._probes.draw(up, rng) if measured else Lighting.sample(up, rng)
        backdrop = scenery.draw(lighting, rng) if scenery else None
        scene = RgbScene(camera, tuple(one.hand for one in placed), surfaces, lighting, backdrop)
        return None if min(scene.visible, default=1) < config.visible else (scene, placed)

    def _loosened(self, placed: list[PlacedHand], stream: int) -> tuple[list[PlacedHand], list[ObjectLabel]]:
        """The hands, some of which have let go of their thing, and the things that no hand holds."""
        config, things = self._config, []
        # Draws of their own, so that these shares change no other image.
        rng = np.random.default_rng([*self._seed, stream, 3])
        shared = len(placed) == 2 and placed[0].held is not None and placed[0].held is placed[1].held
        for number, one in enumerate(placed):
            if one.held is not None and not shared and rng.random() < config.released:
                placed[number], thing = let_go(one, placed[:number] + placed[number + 1 :], rng)
                things.append(thing)
        if placed:
            things += [loose_thing(placed, self._scans, rng) for _ in range(rng.poisson(config.loose))]
        return placed, [thing for thing in things if thing is not None]

    def _place(
        self,
        index: int,
        camera: Pinhole,
        up: np.ndarray,
        worn: bool,
        others: list[PlacedHand],
        rng: np.random.Generator,
    ) -> PlacedHand | None:
        """Places a hand where the camera sees it; None if no place was found."""
        config = self._config
        side = 'left' if rng.random() < 0.5 else 'right'
        if others and rng.random() < 0.85:
            side = 'left' if others[0].hand.side == 'right' else 'right'
        if self._grasps is None or rng.random() < config.free:
            grasp = free_hand(self._right, rng, self._postures)
        else:
            if self._last is None or self._last[0] != index:
                self._last = index, posed_hand(self._grasps[index])
            grasp = self._last[1]
        if worn:
            return placed_before(grasp, camera, (_WORN_NEAREST, WORN_FARTHEST), up, others, rng)
        if side == 'left':
            grasp = grasp.mirrored()
        own = Rotation.from_rotvec(grasp.pose[:3])
        for _ in range(40):
            depth = np.exp(rng.uniform(np.log(config.nearest), np.log(config.farthest)))
            if others:
                depth = np.clip(others[0].hand.centre[2] + rng.normal(0, 0.08), config.nearest, config.farthest)
            pixel = (0.06 + 0.88 * rng.beta(2, 2, 2)) * [camera.width, camera.height]
            centre = camera.unproject(pixel, depth)
            turn = Rotation.random(random_state=rng)
            arm = turn.apply([0, -1, 0])
            if arm @ -unit(centre) > 0.6 or np.linalg.norm(centre + 0.33 * arm) < 0.2:
                continue  # the arm would hide the hand
            if rng.random() > (0.15 + 0.85 * (0.5 - 0.5 * arm @ up)) * (0.5 if arm @ unit(centre) > 0.7 else 1):
                continue  # most arms lead downwards, and few hands point at the camera
            placed = grasp.moved(turn * own.inv(), centre, side)
            points = placed.points
            if points[:, 2].min() < 0.14:
                continue
            if any(cKDTree(other.points).query(points)[0].min() < 0.015 for other in others):
                continue
            if placed.held is None or _seen_past(placed.hand.vertices, placed.held) > config.visible:
                return placed
        return None

    def _whole(self, name: str, scene: RgbScene, placed: list[PlacedHand], rng: np.random.Generator) -> RgbFrame:
        light, view = scene.look(scene.camera, self._config.samples, rng)
        image = RgbSensor.sample(scene.lighting.white(), rng).develop(light, scene.camera, rng)
        depth = SensorModel.sample(rng).observe(view.without_dark_places(rng), scene.camera.fx, rng)
        return _frame(name, image, depth, view, scene, placed)

    def _window(self, name: str, scene: RgbScene, placed: list[PlacedHand], rng: np.random.Generator) -> RgbFrame:
        """Renders at most the pixels that the camera has in the window, then resamples: no sharper than real ones."""
        size = self._config.window
        left, top, side = self._place_window(scene.camera, placed[0], rng)
        density = rng.uniform(1, 2)  # of the camera's pixels, 640 to 1280 in a row
        count = int(np.clip(np.round(side * density), 48, size))
        window = scene.camera.window(left, top, side, side, count, count)
        light, view = scene.look(window, self._config.samples, rng)
        outside = ~inside_image(window, scene.camera)
        image = RgbSensor.sample(scene.lighting.white(), rng).develop(
            light, window, rng, max(1.0, side * density / size)
        )
        image[outside] = 0
        depth = np.where(outside, 0, view.without_dark_places(rng))
        depth = SensorModel.sample(rng).observe(depth, window.fx, rng, side / count)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
        nearest = ((np.arange(size) + 0.5) * count / size).astype(int)
        depth, true, owners, normals = (
            values[nearest][:, nearest] for values in (depth, view.depth, view.owners, view.normals)
        )
        view = View(scene.camera.window(left, top, side, side, size, size), true, owners, normals)
        return _frame(name, image, depth, view, scene, placed)

    def _place_window(
        self, camera: Pinhole, placed: PlacedHand, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Left, top and side of a window around the hand and its object, pixels."""
        hand = camera.project(placed.hand.keypoints)
        held = None if placed.held is None else camera.project(placed.held.placed)
        if held is None and self._config.widened and rng.random() < self._config.widened:
            held = beside(hand, rng)
        middle, side = outline(hand, held)
        side *= rng.uniform(*self._config.margin)
        left, top = middle - side / 2 + rng.normal(0, 0.04, 2) * side
        return left, top, side


_ATTEMPTS = 40
_SHARED_LARGEST = 0.25
"""Greatest extent of what two hands hold, metres: larger things would fill the windows and leave the hands small."""
_WORN_NEAREST = 0.2
"""Least depth of the wearer's own hands, metres."""
_BEHIND = np.array([[0, 0, -50], [1, 0, -50], [0, 1, -50.0]])
"""A triangle behind the camera, for a photo before which nothing is rendered."""


def _frame(
    name: str, image: np.ndarray, depth: np.ndarray, view: View, scene: RgbScene, placed: list[PlacedHand]
) -> RgbFrame:
    samples = tuple(
        HandObjectSample(
            name,
            image,
            view.camera,
            one.hand.side,
            one.hand.keypoints,
            one.hand.pose,
            one.hand.shape,
            one.hand.vertices,
            one.held,
            one.contact,
            depth,
        )
        for one in placed
    )
    return RgbFrame(image, depth, view, samples, scene.visible)


def _seen_past(points: np.ndarray, held: ObjectLabel) -> float:
    """Share of points (N, 3) that an object does not hide from the camera."""
    return 1 - float(TriangleScene(held.placed, held.faces).occluded(np.zeros(3), points, 0, 0.999).mean())
