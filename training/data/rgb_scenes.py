# SPDX-License-Identifier: Apache-2.0
"""RGB and depth of hands and what they hold, ray-cast: lamps with shadows, skin, sleeves, rooms, cameras.

Everything follows from (seed, split, index): the same three numbers make the same image on every machine, and the
splits never share a random stream. The people and the rooms are those of the depth scenes.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple
from typing import Protocol

import cv2
import numpy as np
import open3d
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.sensor import SensorModel
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from training.data.appearance import HandMarks
from training.data.appearance import Lighting
from training.data.appearance import Look
from training.data.appearance import Material
from training.data.appearance import Paint
from training.data.appearance import RgbSensor
from training.data.appearance import Skin
from training.data.appearance import SurfacePoints
from training.data.appearance import light_up
from training.data.appearance import sample_paint
from training.data.hand_object import HandObjectSample
from training.data.hand_object import ObjectLabel
from training.data.poses import GESTURES
from training.data.poses import gesture_angles
from training.data.poses import sample_angles
from training.data.scenes import NOTHING
from training.data.scenes import SPLITS
from training.data.scenes import THING
from training.data.scenes import Parts
from training.data.scenes import SceneConfig
from training.data.scenes import SceneGenerator
from training.data.scenes import SceneHand
from training.data.scenes import View
from training.data.scenes import forearm
from training.data.scenes import tube
from training.data.scenes import unit

HELD = -4
"""Owner of what the first hand holds; HELD − 1 of what the second one holds. The others are those of the scenes."""


class Shape(Protocol):
    """A closed mesh: vertices (M, 3) metres in its own frame, faces (F, 3)."""

    family: str
    vertices: np.ndarray
    faces: np.ndarray


class Grasp(Protocol):
    """A right hand at or near an object, in any frame, metres."""

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    vertices: np.ndarray
    object: Shape
    object_pose: np.ndarray
    contact: np.ndarray


class Grasps(Protocol):
    """A stream of grasps: index → grasp."""

    def __getitem__(self, index: int) -> Grasp: ...


@dataclasses.dataclass(frozen=True)
class RgbConfig:
    """What the images show."""

    window: int | None = None
    """Side of a square window around the hand, pixels; None for the whole frame."""
    width: int = 640
    height: int = 480
    """Of the whole frame."""
    hands: tuple[float, float, float] = (0.05, 0.75, 0.2)
    """Probability of 0, 1 and 2 hands in a whole frame; a window is around one hand."""
    free: float = 0.25
    """Share of the hands that hold nothing."""
    left: float = 0.5
    """Share of the left hands."""
    nearest: float = 0.3
    farthest: float = 1.0
    """Depth of the hands' centres, metres."""
    field_of_view: tuple[float, float] = (45.0, 80.0)
    """Horizontal, degrees."""
    visible: float = 0.5
    """The least share of a hand's vertices that the frame shows or only the hand itself hides."""
    margin: tuple[float, float] = (1.25, 1.7)
    """Side of a window as a multiple of the square that holds the hand."""
    supersampling: int = 4
    """Rays through each pixel at an edge."""


class PlacedHand(NamedTuple):
    """A hand before the camera with what it holds, and which of its vertices touch that."""

    hand: SceneHand
    held: ObjectLabel | None
    contact: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class RgbFrame:
    """An image with all that is known of it."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    depth: np.ndarray
    """(H, W) float32 metres, 0 invalid, as a depth camera delivers it."""
    view: View
    """The same without a camera's faults: depth, and who owns each pixel: the hand's number, HELD − the hand's
    number, or one of the scenes' owners."""
    hands: tuple[HandObjectSample, ...]
    """One for each hand; they share the image and the depth."""
    visible: tuple[float, ...]
    """Share of each hand's vertices within the camera's whole image that nothing but the hand itself hides."""


class RgbScenes:
    """Makes image after image.

    Args:
        grasps: where hands with objects come from; without it every hand is free.
        seed: of the whole set.
        split: 'train', 'validation' or 'test'; 'held_out' differs from 'test' in its grasps only.
        config: what the images show.
        model: the right hand, the one of the grasps.
        length: of the stream, which has no end of its own.
    """

    def __init__(self, grasps: Grasps | None = None, seed: int = 0, split: str = 'train',
                 config: RgbConfig | None = None, model: HandModel | None = None, length: int = 1_000_000) -> None:
        self._grasps, self._length = grasps, length
        self._config = config or RgbConfig()
        self._right = model or HandModel.load()
        self._left = self._right.mirrored()
        self._marks = HandMarks(self._right), HandMarks(self._left)
        self._name = f'{split}/{seed}'
        self._seed = seed, SPLITS['test' if split == 'held_out' else split]
        self._rooms = SceneGenerator(self._right, SceneConfig(
            nearest=self._config.nearest, farthest=self._config.farthest, held=0, wall=0.8, clutter=1.5))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> HandObjectSample:
        """The sample of the first hand; an image without a hand has no keypoints.

        Raises:
            IndexError: the index is not within the stream.
        """
        if not 0 <= index < self._length:
            raise IndexError(f'index {index} is outside of a stream of {self._length} images')
        frame = self.frame(index)
        if frame.hands:
            return frame.hands[0]
        return HandObjectSample(f'{self._name}/{index}', frame.image, frame.view.camera, 'right', None,
                                depth=frame.depth)

    def frame(self, index: int) -> RgbFrame:
        """The image with all of its hands."""
        config = self._config
        for attempt in range(_ATTEMPTS):
            rng = np.random.default_rng([*self._seed, index, attempt])
            scene = self._scene(index * _ATTEMPTS + attempt, rng)
            if scene is None:
                continue
            if config.window is None:
                return self._whole(f'{self._name}/{index}', scene, rng)
            return self._window(f'{self._name}/{index}', scene, rng)
        raise RuntimeError(f'image {index}: none of {_ATTEMPTS} scenes shows its hands; RgbConfig asks for too much')

    def _scene(self, stream: int, rng: np.random.Generator) -> RgbScene | None:
        config = self._config
        focal = config.width / 2 / np.tan(np.radians(rng.uniform(*config.field_of_view)) / 2)
        camera = Pinhole(config.width, config.height, focal, focal,
                         (config.width - 1) / 2 + rng.normal(0, 6), (config.height - 1) / 2 + rng.normal(0, 6))
        up = Rotation.from_euler('xz', [rng.uniform(-60, 35), rng.normal(0, 10)], degrees=True).apply([0, -1, 0])
        count = 1 if config.window else int(rng.choice(3, p=config.hands))
        placed: list[PlacedHand] = []
        for number in range(count):
            hand = self._place(2 * stream + number, camera, up, placed, rng)
            if hand is None:
                return None
            placed.append(hand)
        surfaces = _Surfaces(up, rng)
        persons = [_Person.sample(up, rng) for _ in range(2)]
        same = rng.random() < 0.7
        for number, one in enumerate(placed):
            self._dress(surfaces, one, number, persons[0 if same else number], up, rng)
        surfaces.person = persons[0]
        # The room keeps clear of what is held as well.
        hands = [dataclasses.replace(one.hand, vertices=np.concatenate([one.hand.vertices, one.held.placed]))
                 if one.held else one.hand for one in placed]
        self._rooms.add_room(surfaces, hands, camera, up, rng)
        scene = RgbScene(camera, tuple(placed), surfaces, Lighting.sample(up, rng))
        if min(scene.visible, default=1) < config.visible:
            return None
        return scene

    def _place(self, index: int, camera: Pinhole, up: np.ndarray, others: list[PlacedHand],
               rng: np.random.Generator) -> PlacedHand | None:
        """Puts a hand where the camera sees it; None where no place was found."""
        config = self._config
        side = 'left' if rng.random() < config.left else 'right'
        if others and rng.random() < 0.85:
            side = 'left' if others[0].hand.side == 'right' else 'right'
        if self._grasps is None or rng.random() < config.free:
            grasp = self._free_hand(rng)
        else:
            grasp = self._grasps[index]
        grasp = _mirrored(grasp) if side == 'left' else _Posed(
            grasp.pose, grasp.shape, grasp.translation, grasp.keypoints, grasp.vertices, _label(grasp),
            getattr(grasp, 'contact', None))
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
                continue  # arms mostly lead downwards, and few point at the camera
            if any(np.linalg.norm(centre - other.hand.centre) < 0.16 for other in others):
                continue
            placed = grasp.moved(turn * own.inv(), centre, side)
            points = placed.hand.vertices
            if placed.held is not None:
                points = np.concatenate([points, placed.held.placed])
            if points[:, 2].min() < 0.14:
                continue
            if placed.held is None or _seen_past(placed.hand.vertices, placed.held) > config.visible:
                return placed
        return None

    def _free_hand(self, rng: np.random.Generator) -> _Posed:
        model = self._right
        if rng.random() < 0.4:
            names = list(GESTURES)
            angles = gesture_angles(model, names[rng.integers(len(names))])
        else:
            angles = sample_angles(model, rng)
        pose = model.pose_of(angles).astype(np.float32)
        shape = np.clip(rng.standard_normal(10), -2.5, 2.5).astype(np.float32)
        translation = np.zeros(3, np.float32)
        geometry = model.forward(pose, shape, translation)
        return _Posed(pose, shape, translation, geometry.keypoints, geometry.vertices, None, None)

    def _dress(self, surfaces: _Surfaces, placed: PlacedHand, number: int, person: _Person, up: np.ndarray,
               rng: np.random.Generator) -> None:
        """Adds a hand, its arm, sleeve and person, and what it holds."""
        hand, side = placed.hand, int(placed.hand.side == 'left')
        model = self._left if side else self._right
        surfaces.put(hand.vertices, model.faces, number, person.skin.of_hand(self._marks[side]), model.template)
        if placed.held is not None:
            extent = np.ptp(placed.held.vertices, axis=0)
            axes = np.roll(np.eye(3), 2 - int(extent.argmax()), 0)
            paint = sample_paint('thing', rng, axes, float(extent.max()))
            surfaces.put(placed.held.placed, placed.held.faces, HELD - number, paint, placed.held.vertices)
        down, scale = self._rooms.arm_of(hand, rng)
        across, along, _ = Rotation.from_rotvec(hand.pose[:3]).as_matrix().T
        arm, _ = forearm(hand.keypoints[0], along, down, across, scale * rng.uniform(0.97, 1.12), 0.24, 1.0, rng)
        rings = arm[:-2].reshape(-1, 16, 3)
        # The arm comes out of the hand before the hand's mesh ends.
        rings = rings + (rings - rings.mean(1, keepdims=True)) * _SWELL[:len(rings), None, None]
        count = len(surfaces.materials)
        if rng.random() < 0.5:
            surfaces.person = person
            self._rooms.add_person(surfaces, hand, rings[-1].mean(0), up, rng)
        if len(surfaces.materials) == count:
            rings = _with_upper_arm(rings, rng)
        surfaces.put(*_around(rings, 0, np.inf, 0, rng), THING, person.skin)
        if rng.random() < 0.55:
            start = rng.choice([rng.uniform(0.0, 0.04), rng.uniform(0.03, 0.2)])
            surfaces.put(*_around(rings, start, np.inf, rng.uniform(0.003, 0.014), rng), THING, person.cloth)
        elif rng.random() < 0.2:
            start = rng.uniform(0.02, 0.05)
            surfaces.put(*_around(rings, start, start + rng.uniform(0.01, 0.03), 0.003, rng), THING,
                         sample_paint('thing', rng))

    def _whole(self, name: str, scene: RgbScene, rng: np.random.Generator) -> RgbFrame:
        camera = scene.camera
        light, view = scene.look(camera, self._config.supersampling, rng)
        image = RgbSensor.sample(scene.lighting.white(), rng).develop(light, camera, rng)
        depth = SensorModel.sample(rng).observe(view.without_dark_places(rng), camera.fx, rng)
        return _frame(name, image, depth, view, scene)

    def _window(self, name: str, scene: RgbScene, rng: np.random.Generator) -> RgbFrame:
        """Renders the pixels of the window that the camera has, or fewer, then resamples: no sharper than real."""
        size = self._config.window
        density = rng.uniform(1, 2)
        left, top, side = self._outline(scene, rng)
        count = int(np.clip(np.round(side * density), 48, size))
        pitch = max(1.0, side * density / size)
        window = scene.camera.window(left, top, side, side, count, count)
        light, view = scene.look(window, self._config.supersampling, rng)
        outside = ~_within(window, scene.camera)
        image = RgbSensor.sample(scene.lighting.white(), rng).develop(light, window, rng, pitch)
        image[outside] = 0
        depth = np.where(outside, 0, view.without_dark_places(rng))
        depth = SensorModel.sample(rng).observe(depth, window.fx, rng, side / count)
        full = scene.camera.window(left, top, side, side, size, size)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
        nearest = (((np.arange(size) + 0.5) * count) // size).astype(int)
        depth, true, owners, normals = (values[nearest][:, nearest]
                                        for values in (depth, view.depth, view.owners, view.normals))
        return _frame(name, image, depth, View(full, true, owners, normals), scene)

    def _outline(self, scene: RgbScene, rng: np.random.Generator) -> tuple[float, float, float]:
        """Left, top and side of a window: about the hand, moved towards what it holds."""
        placed = scene.placed[0]
        pixels = scene.camera.project(placed.hand.keypoints)
        low, high = pixels.min(0), pixels.max(0)
        side = float((high - low).max())
        middle = (low + high) / 2
        if placed.held is not None:
            around = scene.camera.project(placed.held.placed)
            low, high = np.minimum(low, around.min(0)), np.maximum(high, around.max(0))
            both = min(float((high - low).max()), 1.6 * side)
            middle = middle + np.clip((low + high) / 2 - middle, -(both - side) / 2, (both - side) / 2)
            side = both
        side *= rng.uniform(*self._config.margin)
        left, top = middle - side / 2 + rng.normal(0, 0.04, 2) * side
        return left, top, side


_ATTEMPTS = 40


class _Posed(NamedTuple):
    """A hand and what it holds in any frame."""

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    vertices: np.ndarray
    held: ObjectLabel | None
    contact: np.ndarray | None

    def moved(self, turn: Rotation, centre: np.ndarray, side: str) -> PlacedHand:
        """Turned, and put where its keypoints' mean is `centre`."""
        matrix = turn.as_matrix()
        shift = centre - matrix @ self.keypoints.mean(0)
        pose = self.pose.astype(np.float32).copy()
        pose[:3] = (turn * Rotation.from_rotvec(self.pose[:3])).as_rotvec()
        # The wrist at rest stays where it is under the pose; the turn moves it with everything else.
        rest = self.keypoints[0] - self.translation
        translation = (matrix @ self.keypoints[0] + shift - rest).astype(np.float32)
        keypoints, vertices = ((points @ matrix.T + shift).astype(np.float32)
                               for points in (self.keypoints, self.vertices))
        held = self.held
        if held is not None:
            place = np.eye(4)
            place[:3, :3], place[:3, 3] = matrix, shift
            held = dataclasses.replace(held, pose=place @ held.pose)
        return PlacedHand(SceneHand(side, pose, self.shape, translation, keypoints, vertices), held, self.contact)


def _label(grasp: Grasp | _Posed) -> ObjectLabel | None:
    shape = getattr(grasp, 'object', None)
    return None if shape is None else ObjectLabel(shape.family, shape.vertices, shape.faces, grasp.object_pose)


def _mirrored(grasp: Grasp | _Posed) -> _Posed:
    """The mirror image, x → −x, of a hand and of what it holds."""
    flip = np.array([-1, 1, 1], np.float32)
    held = _label(grasp)
    if held is not None:
        signs = np.append(flip, 1)
        held = ObjectLabel(held.name, held.vertices * flip, np.ascontiguousarray(held.faces[:, ::-1]),
                           signs[:, None] * held.pose * signs)
    return _Posed(mirror_pose(grasp.pose), grasp.shape, grasp.translation * flip, grasp.keypoints * flip,
                  grasp.vertices * flip, held, getattr(grasp, 'contact', None))


def _frame(name: str, image: np.ndarray, depth: np.ndarray, view: View, scene: RgbScene) -> RgbFrame:
    samples = tuple(
        HandObjectSample(name, image, view.camera, one.hand.side, one.hand.keypoints, one.hand.pose, one.hand.shape,
                         one.hand.vertices, one.held, one.contact, depth) for one in scene.placed)
    return RgbFrame(image, depth, view, samples, scene.visible)


def _within(window: Pinhole, camera: Pinhole) -> np.ndarray:
    """(H, W) which pixels of a window lie within its camera's image."""
    rows, columns = np.mgrid[:window.height, :window.width]
    pixels = camera.project(window.unproject(np.stack([columns, rows], -1), np.ones(rows.shape)))
    return ((pixels > -0.5) & (pixels < np.array([camera.width, camera.height]) - 0.5)).all(-1)


def _seen_past(points: np.ndarray, held: ObjectLabel) -> float:
    """Share of points (N, 3) that the camera sees past an object."""
    rays = _Rays(held.placed, held.faces)
    return 1 - float(rays.blocked(np.zeros_like(points), points, 0.999).mean())


def _with_upper_arm(rings: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rings (N, 16, 3) of a forearm and of an upper arm that goes on from it, away from the camera."""
    centres = rings.mean(1)
    ahead = unit(centres[-1] - centres[-2])
    onwards = unit(ahead + rng.uniform(0, 1) * unit(centres[-1]) + rng.normal(0, 0.3, 3))
    share = np.linspace(0.25, 1, 4)[:, None]
    directions = ahead * (1 - share) + onwards * share
    further = centres[-1] + np.cumsum(0.08 * directions, 0)
    first, second = rings[-1, 0] - centres[-1], rings[-1, 4] - centres[-1]
    turn = np.arange(16) * np.pi / 8
    section = 1.1 * (np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second)
    return np.concatenate([rings, further[:, None] + section])


def _around(rings: np.ndarray, start: float, end: float, loose: float,
            rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A tube `loose` metres around an arm's rings (N, 16, 3), from `start` to `end` metres beyond the wrist."""
    centres = rings.mean(1)
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(centres, axis=0), axis=1))])
    places = np.linspace(start, min(end, way[-1]), 2 + int((min(end, way[-1]) - start) / 0.012))
    gap = loose * np.exp(rng.normal(0, 0.25, len(places)))
    if loose:
        # A hem: the cloth starts under its own edge, so that the rim has a thickness.
        places, gap = np.append(start + 0.004, places), np.append(0.0, gap)

    def along(values: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(places, way, values[:, axis]) for axis in range(3)], 1)

    def widened(values: np.ndarray) -> np.ndarray:
        axes = along(values)
        return axes * (1 + gap / np.linalg.norm(axes, axis=1))[:, None]

    return tube(along(centres), widened(rings[:, 0] - centres), widened(rings[:, 4] - centres))


@dataclasses.dataclass(frozen=True)
class _Person:
    skin: Skin
    cloth: Paint

    @classmethod
    def sample(cls, up: np.ndarray, rng: np.random.Generator) -> _Person:
        return cls(Skin.sample(rng), sample_paint('cloth', rng))


class _Surfaces(Parts):
    """Meshes with their materials. Those that the scenes' builders add get one by their kind."""

    def __init__(self, up: np.ndarray, rng: np.random.Generator) -> None:
        super().__init__()
        self._rng, self._up = rng, up
        self.person: _Person | None = None
        self.materials: list[Material] = []
        self._starts: list[int] = []
        self._places: list[np.ndarray] = []
        self._total = 0

    def add(self, vertices: np.ndarray, faces: np.ndarray, owner: int, kind: str = 'thing') -> None:
        if self.person is not None and kind in ('skin', 'cloth'):
            material = self.person.skin if kind == 'skin' else self.person.cloth
        elif kind in ('wall', 'table'):
            out = unit(np.cross(*(vertices[faces[0, 1:]] - vertices[faces[0, 0]])))
            first = unit(self._rng.standard_normal(3) if kind == 'table' else np.cross(self._up, out))
            second = unit(np.cross(out, first))
            material = sample_paint(kind, self._rng, np.stack([np.cross(second, out), second, out]))
        else:
            material = sample_paint('thing', self._rng, height=float(np.ptp(vertices, axis=0).max()))
        self.put(vertices, faces, owner, material, vertices - (vertices.mean(0) if kind == 'thing' else 0))

    def put(self, vertices: np.ndarray, faces: np.ndarray, owner: int, material: Material,
            places: np.ndarray | None = None) -> None:
        """Adds a mesh; `places` (V, 3) are its vertices in the frame of its texture, else those themselves."""
        super().add(vertices, faces, owner)
        self.materials.append(material)
        self._starts.append(self._total)
        self._total += len(faces)
        self._places.append(vertices if places is None else places)

    def textures(self) -> tuple[np.ndarray, np.ndarray]:
        """The places (V, 3) of all vertices in their textures, and the first face of each mesh."""
        return np.concatenate(self._places).astype(np.float32), np.array(self._starts)


class _Rays:
    """Triangles and rays that meet them."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(open3d.core.Tensor(np.ascontiguousarray(vertices, np.float32)),
                                  open3d.core.Tensor(np.ascontiguousarray(faces, np.uint32)))

    def first(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From the origin: how many directions (N, 3) away the first hit is, its triangle, weights (N, 3)."""
        rays = np.zeros((len(directions), 6), np.float32)
        rays[:, 3:] = directions
        hits = self._scene.cast_rays(open3d.core.Tensor(rays), nthreads=1)
        second_third = hits['primitive_uvs'].numpy()
        weights = np.concatenate([1 - second_third.sum(1, keepdims=True), second_third], 1)
        return hits['t_hit'].numpy(), hits['primitive_ids'].numpy().astype(np.int64), weights

    def blocked(self, origins: np.ndarray, directions: np.ndarray, far: float,
                near: float = 0.0) -> np.ndarray:
        """(N,) whether something lies between origins (N, 3) + near and + far times their directions (N, 3)."""
        rays = np.concatenate([origins, directions], 1, dtype=np.float32)
        return self._scene.test_occlusions(open3d.core.Tensor(rays), tnear=near, tfar=far, nthreads=1).numpy()


class _Hits(NamedTuple):
    """Where rays (N) end: depth; triangle; barycentric weights; point; smooth normal towards the camera."""

    depth: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    normals: np.ndarray


class RgbScene:
    """A scene with its materials and lamps.

    Attributes:
        camera: the whole frame.
        placed: the hands.
        lighting: the lamps and the room around.
    """

    def __init__(self, camera: Pinhole, placed: tuple[PlacedHand, ...], surfaces: _Surfaces,
                 lighting: Lighting) -> None:
        self.camera, self.placed, self.lighting = camera, placed, lighting
        self._vertices, self._faces, self._owners = surfaces.joined()
        self._places, self._starts = surfaces.textures()
        self._materials = surfaces.materials
        self._meshes = np.repeat(np.arange(len(self._starts)),
                                 np.diff(np.append(self._starts, len(self._faces))))
        self._rays = _Rays(self._vertices, self._faces)
        self._skin = np.array([isinstance(material, Skin) for material in self._materials])
        # Skin goes on from the hand to the arm; the last group is that of the pixels that see nothing.
        self._groups = np.append(np.where(self._skin, _SKIN_GROUP, np.arange(len(self._skin))), -2)

    @functools.cached_property
    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        """(F, 3, 3) normals of each triangle's corners, smooth over edges flatter than 45°, and flat ones (F, 3)."""
        return _corner_normals(self._vertices, self._faces)

    @functools.cached_property
    def visible(self) -> tuple[float, ...]:
        """Share of each hand's vertices inside the whole image that nothing but the hand itself hides; 0 to 1."""
        shares = []
        for number, placed in enumerate(self.placed):
            points = placed.hand.vertices
            pixels = self.camera.project(points)
            inside = ((pixels > -0.5) & (pixels < np.array([self.camera.width, self.camera.height]) - 0.5)).all(1)
            reach, triangles, _ = self._rays.first(points[inside])
            hidden = (reach < 0.99) & (self._owners[np.where(np.isfinite(reach), triangles, 0)] != number)
            shares.append(float((~hidden).sum() / len(points)))
        return tuple(shares)

    def look(self, camera: Pinhole, supersampling: int, rng: np.random.Generator) -> tuple[np.ndarray, View]:
        """The light (H, W, 3) that falls into a camera, and what is seen through each pixel's centre."""
        shape = camera.height, camera.width
        columns, rows = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
        directions = _directions(camera, columns.ravel(), rows.ravel())
        hits, seen = self._meet(directions)
        light = np.empty((len(directions), 3), np.float32)
        light[~seen] = self.lighting.seen(_units(directions[~seen]))
        self._shade_image(light, hits, seen, camera, rng)
        depth, owners = np.zeros(len(directions), np.float32), np.full(len(directions), NOTHING)
        meshes, normals = np.full(len(directions), -1), np.zeros((len(directions), 3), np.float32)
        depth[seen], owners[seen] = hits.depth, self._owners[hits.triangles]
        meshes[seen], normals[seen] = self._meshes[hits.triangles], hits.normals
        depth, owners = depth.reshape(shape), owners.reshape(shape)
        normals = normals.reshape(*shape, 3)
        edge = _edges(depth, self._groups[meshes].reshape(shape), normals).ravel()
        if supersampling > 1:
            light = self._resolved(light, depth.ravel(), meshes, np.flatnonzero(edge), camera, supersampling)
        return light.reshape(*shape, 3), View(camera, depth, owners, normals)

    def _resolved(self, light: np.ndarray, depth: np.ndarray, meshes: np.ndarray, edge: np.ndarray, camera: Pinhole,
                  count: int) -> np.ndarray:
        """The light (H·W, 3) with pixels at edges shared between the surfaces that `count` rays through them meet.

        Each ray takes the light of that neighbour which shows the same surface (Chajdas, McGuire, Luebke,
        "Subpixel reconstruction antialiasing", I3D 2011).
        """
        row, column = np.divmod(edge, camera.width)
        # Rays spread by Roberts' R2 sequence.
        spread = (np.arange(count)[:, None] * [0.7548776662, 0.5698402910] + 0.5 / count) % 1 - 0.5
        rays = _directions(camera, *((values[:, None] + spread[:, axis]).ravel()
                                     for axis, values in enumerate((column, row))))
        reach, triangles, _ = self._rays.first(rays)
        seen = np.isfinite(reach)
        inverse = np.where(seen, 1 / np.where(seen, reach, 1), 0)
        mesh = np.where(seen, self._meshes[np.where(seen, triangles, 0)], -1)
        before = 1 / np.maximum(depth, 1e-3) * (depth > 0)

        def unlike(pixels: np.ndarray, rays: np.ndarray) -> np.ndarray:
            return (np.abs(before[pixels] - inverse[rays]) / np.maximum(inverse[rays], 1e-3)
                    + 1.0 * (meshes[pixels] != mesh[rays]))

        chosen = np.repeat(edge, count)
        best = unlike(chosen, slice(None))
        strange = np.flatnonzero(best > 0.01)
        best, row, column = best[strange], np.repeat(row, count)[strange], np.repeat(column, count)[strange]
        for down, across in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            other = (np.clip(row + down, 0, camera.height - 1) * camera.width
                     + np.clip(column + across, 0, camera.width - 1))
            cost = unlike(other, strange)
            better = cost < best - 0.002
            best[better], chosen[strange[better]] = cost[better], other[better]
        resolved = light.copy()
        resolved[edge] = light[chosen].reshape(-1, count, 3).mean(1)
        return resolved

    def _meet(self, directions: np.ndarray) -> tuple[_Hits, np.ndarray]:
        reach, triangles, weights = self._rays.first(directions)
        seen = np.isfinite(reach)
        depth, triangles, weights = reach[seen], triangles[seen], weights[seen]
        directions = directions[seen]
        smooth, flat = self._corners
        normals = _units(np.einsum('nk,nkc->nc', weights, smooth[triangles]))
        away = _dot(flat[triangles], directions) > 0
        normals[away] *= -1
        # A smooth normal may look away from the camera where the triangle does not: bent back to grazing.
        views = -_units(directions)
        behind = np.minimum(_dot(normals, views) - np.float32(0.02), 0)
        normals = _units(normals - behind[:, None] * views)
        return _Hits(depth, triangles, weights, directions * depth[:, None], normals), seen

    def _looks(self, hits: _Hits) -> Look:
        """The look of all points, mesh by mesh."""
        count = len(hits.depth)
        result = Look(*(np.empty((count, size), np.float32).squeeze() for size in (3, 3, 1, 1)))
        meshes = self._meshes[hits.triangles]
        places = np.einsum('nk,nkc->nc', hits.weights, self._places[self._faces[hits.triangles]])
        order = np.argsort(meshes, kind='stable')
        bounds = np.searchsorted(meshes[order], np.arange(len(self._starts) + 1))
        for mesh, (start, end) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
            if end > start:
                own = order[start:end]
                points = SurfacePoints(places[own], hits.triangles[own] - self._starts[mesh], hits.weights[own])
                for whole, part in zip(result, self._materials[mesh].look(points), strict=True):
                    whole[own] = part
        return result

    def _wrap(self, hits: _Hits) -> np.ndarray:
        return np.where(self._skin[self._meshes[hits.triangles]][:, None], _SKIN_WRAP, 0).astype(np.float32)

    def _visibility(self, hits: _Hits, pattern: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(N, 1 + L) the open sky and the lamps, 0 or 1, from one ray each; pattern (N,) of 0 to 15 chooses it."""
        sky, disc = _samples(rng)
        origins = hits.points + hits.normals * np.float32(0.001)
        first, second = _across(hits.normals)
        x, y, z = sky[pattern].T[..., None]
        directions = x * first + y * second + z * hits.normals
        result = np.empty((len(origins), 1 + len(self.lighting.lamps)), np.float32)
        result[:, 0] = 1 - 0.85 * self._rays.blocked(origins, directions, _ROOM_REACH, _SKIP)
        for number, lamp in enumerate(self.lighting.lamps):
            across = np.concatenate(_across(lamp.direction[None]))
            directions = (lamp.direction + lamp.size * disc @ across).astype(np.float32)
            result[:, 1 + number] = ~self._rays.blocked(origins, directions[pattern], np.inf, _SKIP)
        return result

    def _shade_image(self, light: np.ndarray, hits: _Hits, seen: np.ndarray, camera: Pinhole,
                     rng: np.random.Generator) -> None:
        """Fills the seen pixels' light (H·W, 3).

        Each pixel casts one ray to the sky and to each lamp, 4×4 neighbours in 16 directions, and shares what it
        found with those of them that lie at its own depth.
        """
        shape = camera.height, camera.width
        rows, columns = np.divmod(np.flatnonzero(seen), camera.width)
        visible = self._visibility(hits, rows % 4 * 4 + columns % 4, rng)
        inverse = np.zeros(shape, np.float32)
        inverse.ravel()[seen] = 1 / hits.depth
        field = np.zeros((visible.shape[1], *shape), np.float32)
        field.reshape(len(field), -1)[:, seen] = visible.T
        visible = _shared(field, inverse).reshape(len(field), -1)[:, seen].T
        looks = self._looks(hits)
        wrap = self._wrap(hits)
        skin = wrap[:, 0] > 0
        hits = self._without_seam(hits, skin, seen, camera)
        normals = self._embossed(hits, looks.relief, seen, camera)
        lit = light_up(looks, normals, -_units(hits.points), self.lighting, visible[:, 0], visible[:, 1:], wrap)
        irradiance = lit.irradiance
        if skin.any():
            irradiance = self._scattered(irradiance, skin, seen, camera, inverse)
        light[seen] = looks.albedo * irradiance + lit.shine

    def _without_seam(self, hits: _Hits, skin: np.ndarray, seen: np.ndarray, camera: Pinhole) -> _Hits:
        """The hits with normals that turn gently where a hand's mesh goes into its arm's."""
        normals = hits.normals
        for placed in self.placed:
            wrist = placed.hand.keypoints[0]
            away = hits.points - wrist
            away = _dot(away, away)
            near = np.flatnonzero(skin & (away < 0.04 ** 2))
            width = min(0.006 * camera.fx / wrist[2], 20.0)
            if not len(near) or width < 0.3:
                continue
            image = np.zeros((camera.height * camera.width, 3), np.float32)
            pixels = np.flatnonzero(seen)[near]
            image[pixels] = hits.normals[near]
            spread = cv2.GaussianBlur(image.reshape(camera.height, camera.width, 3), (0, 0), width)
            share = np.clip((0.04 - np.sqrt(away[near])) / 0.015, 0, 1)[:, None]
            mixed = hits.normals[near] * (1 - share) + _units(spread.reshape(-1, 3)[pixels]) * share
            normals = normals.copy()
            normals[near] = _units(mixed)
        return hits._replace(normals=normals)

    def _embossed(self, hits: _Hits, relief: np.ndarray, seen: np.ndarray, camera: Pinhole) -> np.ndarray:
        """Normals (N, 3) of the surface that stands out by `relief` (N,) (Mikkelsen, "Bump mapping unparametrized
        surfaces on the GPU", JGT 15, 2010): the heights' slopes are those between neighbouring pixels."""
        shape = camera.height, camera.width
        heights, meshes = np.zeros(shape, np.float32), np.full(shape, -1)
        heights.ravel()[seen], meshes.ravel()[seen] = relief, self._meshes[hits.triangles]
        slopes = []
        for axis in (1, 0):
            step = np.diff(heights, axis=axis)
            step[np.diff(meshes, axis=axis) != 0] = 0
            pad = [(0, 0), (0, 0)]
            pad[axis] = (1, 1)
            step = np.pad(step, pad)
            both = (step[1:] + step[:-1]) / 2 if axis == 0 else (step[:, 1:] + step[:, :-1]) / 2
            slopes.append(both.ravel()[seen])
        chosen = np.flatnonzero((slopes[0] != 0) | (slopes[1] != 0))
        normals, points = hits.normals[chosen], hits.points[chosen]
        depth = hits.depth[chosen, None]
        facing = _dot(normals, points)[:, None]
        # How the point moves on its tangent plane from one pixel to the next.
        ways = []
        for axis, focal in ((0, camera.fx), (1, camera.fy)):
            way = -points * (normals[:, axis:axis + 1] * depth / focal) / np.minimum(facing, -0.05 * depth)
            way[:, axis] += depth[:, 0] / focal
            ways.append(way)
        first, second = np.cross(ways[1], normals), np.cross(normals, ways[0])
        area = _dot(ways[0], first)[:, None]
        slope = first * slopes[0][chosen, None] + second * slopes[1][chosen, None]
        result = hits.normals.copy()
        result[chosen] = _units(np.abs(area) * normals - np.sign(area) * slope)
        return result

    def _scattered(self, irradiance: np.ndarray, skin: np.ndarray, seen: np.ndarray, camera: Pinhole,
                   inverse: np.ndarray) -> np.ndarray:
        """Light that entered the skin leaves it millimetres away, red farther than green, green farther than blue."""
        shape = camera.height, camera.width
        mask = np.zeros(shape, np.float32)
        mask.ravel()[seen] = skin
        image = np.zeros((*shape, 3), np.float32)
        image.reshape(-1, 3)[seen] = irradiance * skin[:, None]
        pixels = float(np.median(inverse[mask > 0])) * camera.fx
        result = irradiance.copy()
        for channel, reach in enumerate(_SCATTER):
            width = min(reach * pixels, 12.0)
            if width > 0.3:
                spread = cv2.GaussianBlur(image[..., channel], (0, 0), width)
                total = cv2.GaussianBlur(mask, (0, 0), width)
                mixed = (spread / np.maximum(total, 1e-3)).ravel()[seen]
                result[:, channel] = np.where(skin, mixed, irradiance[:, channel])
        return result


_SWELL = np.array([0.05, 0.09, 0.04, 0, 0, 0, 0])  # of the forearm's rings
_SKIN_GROUP = -1
_SKIN_WRAP = np.float32([0.3, 0.16, 0.1])
_SCATTER = (0.0022, 0.0010, 0.0006)  # metres
_ROOM_REACH = 0.25  # metres within which things dim the room's light
_SKIP = 0.003  # metres within which nothing casts a shadow: the seam of hand and arm


def _directions(camera: Pinhole, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N, 3) with z = 1, so that a hit's distance in directions is its depth."""
    return np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy,
                     np.ones_like(columns)], 1).astype(np.float32)


def _units(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(_dot(vectors, vectors) + np.float32(1e-20))[:, None]


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.einsum('...c,...c->...', one, other)


def _across(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (N, 3) each at right angles to unit normals (N, 3) (Duff et al., JCGT 6, 2017)."""
    x, y, z = normals.T
    sign = np.where(z >= 0, 1, -1).astype(normals.dtype)
    a = -1 / (sign + z)
    b = x * y * a
    return (np.stack([1 + sign * x * x * a, sign * b, -sign * x], 1), np.stack([b, sign + y * y * a, -y], 1))


def _samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """16 directions (16, 3) about z, as many where the cosine is great as the light counts, and 16 points (16, 2) of
    the unit disc, each stratified."""
    pairs = []
    for _ in range(2):
        cells = rng.permutation(16)
        pairs.append((np.stack([cells % 4, cells // 4], 1) + rng.random(2)) / 4)
    (around, out), (turn, radius) = (pair.T for pair in pairs)
    around, turn = 2 * np.pi * around, 2 * np.pi * turn
    sky = np.stack([np.sqrt(out) * np.cos(around), np.sqrt(out) * np.sin(around), np.sqrt(1 - out)], 1)
    disc = np.sqrt(radius)[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    return sky.astype(np.float32), disc


def _shared(field: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Mean of a field (C, H, W) over 4×4 pixels at about the same depth, rows first; `inverse` depth (H, W)."""
    for axis in (1, 0):
        total, weight = field.copy(), np.ones(inverse.shape, np.float32)
        size = inverse.shape[axis]
        for step in (-2, -1, 1):
            here = [slice(None)] * 2
            there = [slice(None)] * 2
            here[axis] = slice(max(0, -step), size - max(0, step))
            there[axis] = slice(max(0, step), size + min(0, step))
            here, there = tuple(here), tuple(there)
            near = (np.abs(inverse[there] - inverse[here]) < 0.02 * inverse[here]).astype(np.float32)
            total[(slice(None), *here)] += field[(slice(None), *there)] * near
            weight[here] += near
        field = total / weight
    return field


def _edges(depth: np.ndarray, groups: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(H, W) where one ray a pixel is too few: between groups of meshes, at depth steps, at sharp folds but skin's."""
    edge = np.zeros(depth.shape, bool)
    # A plane's inverse depth is linear in the image, however steep it is.
    inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0).astype(np.float32)
    edge |= np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) > 0.03 * inverse
    for axis in (0, 1):
        one, other = ((slice(None),) * axis + (part,) for part in (slice(1, None), slice(None, -1)))
        fold = (_dot(normals[one], normals[other]) < 0.8) & (groups[one] != _SKIN_GROUP)
        differs = (groups[one] != groups[other]) | fold
        edge[one] |= differs
        edge[other] |= differs
    return edge


def _corner_normals(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normals of triangle corners (F, 3, 3), each the mean over the triangles at its vertex that are turned by less
    than 45° from its own, and of the triangles (F, 3)."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float32)
    flat = _units(area)
    flat_faces = np.repeat(np.arange(len(faces)), 3)
    order = np.argsort(faces.ravel(), kind='stable')
    valence = np.bincount(faces.ravel(), minlength=len(vertices))
    start = np.concatenate([[0], np.cumsum(valence)[:-1]])
    own = faces.ravel()
    pairs = valence[own]
    corner = np.repeat(np.arange(len(own)), pairs)
    step = np.arange(len(corner)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    other = flat_faces[order[start[own[corner]] + step]]
    near = _dot(flat[flat_faces[corner]], flat[other]) > np.cos(np.radians(45))
    corner, other = corner[near], other[near]
    summed = np.stack([np.bincount(corner, area[other, axis], len(own)) for axis in range(3)], 1)
    return _units(summed).astype(np.float32).reshape(-1, 3, 3), flat
