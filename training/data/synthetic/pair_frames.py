# SPDX-License-Identifier: Apache-2.0
"""Depth frames of two interacting hands, from records of pairs."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import in_frame
from hoi_ros.hand.pair import parameters_of
from hoi_ros.simulation.sensor import SensorModel
from training.data.synthetic.arms import forearm
from training.data.synthetic.person import arm_of
from training.data.synthetic.room import add_room
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.scenes import Scene

NEAREST, FARTHEST = 0.35, 0.7
"""Depth of the middle of both hands, metres."""
_ROOM = SceneConfig(held=0.0, clutter=2.0, table=0.3)
_TURNS = 12
"""Views of a pair that are tried; the one that shows most of the hand that is seen less is taken."""
_ENOUGH = 0.6
"""Share of the hand that is seen less at which no other view is tried."""
_TOWARDS = 0.5
"""Cosine between an arm and the direction to the camera beyond which it would hide its hand."""


class PairFrame(NamedTuple):
    """One image: depth (H, W) metres, 0 invalid; camera; right and left hand in its optical frame; visible (2,), the
    share of each that is seen."""

    depth: np.ndarray
    camera: Pinhole
    right: SceneHand
    left: SceneHand
    visible: np.ndarray


def digest_of(record: np.void) -> int:
    """Tells a pair of PAIR_DTYPE from others."""
    return int.from_bytes(hashlib.sha256(record['right'].tobytes() + record['left'].tobytes()).digest()[:8], 'little')


class PairFrames:
    """Makes frames of records; a pair gives the same frame on every machine, and each another one.

    Args:
        records: (N,) of PAIR_DTYPE.
        hand: the right hand; the default model if None.
        seed: of views, cameras and surroundings.
    """

    def __init__(self, records: np.ndarray, hand: HandModel | None = None, seed: int = 0) -> None:
        self._records, self._seed = records, seed
        right = hand or HandModel.load()
        self._models = right, right.mirrored()

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> PairFrame:
        rng = np.random.default_rng([self._seed, 71, digest_of(self._records[index])])
        focal = rng.uniform(450, 620)
        camera = Pinhole(640, 480, focal, focal, 319.5 + rng.normal(0, 8), 239.5 + rng.normal(0, 8))
        best: tuple[float, tuple[SceneHand, SceneHand]] = -1.0, ()
        for _ in range(_TURNS):
            hands = self._placed(self._records[index], camera, rng)
            if hands is None:
                continue
            least = float(self._seen(hands, camera).min())
            if least > best[0]:
                best = least, hands
            if least >= _ENOUGH:
                break
        hands = best[1] or self._placed(self._records[index], camera, rng, any_way=True)
        parts = self._with_arms(hands, rng)
        up = Rotation.from_euler('xz', [rng.uniform(-60, 30), rng.normal(0, 12)], degrees=True).apply([0, -1, 0])
        add_room(parts, [*hands], camera, up, _ROOM, rng)
        scene = Scene(camera, hands, *parts.joined())
        view = scene.look(camera)
        depth = SensorModel.sample(rng).observe(view.depth, camera.fx, rng)
        visible = np.array([scene.visible_share(number, view) for number in range(2)])
        return PairFrame(np.round(depth, 4), camera, *hands, visible)

    def _placed(
        self, record: np.ndarray, camera: Pinhole, rng: np.random.Generator, any_way: bool = False
    ) -> tuple[SceneHand, SceneHand] | None:
        """Right and left hand before the camera, or None where an arm would hide them."""
        turn = Rotation.random(random_state=rng).as_matrix()
        pixel = rng.uniform([0.3 * camera.width, 0.3 * camera.height], [0.7 * camera.width, 0.7 * camera.height])
        middle = camera.unproject(pixel, rng.uniform(NEAREST, FARTHEST))
        vectors = np.stack([record['right'], record['left']])
        # The frame whose axes are the rows of the turn: vectors in it are turned.
        vectors = in_frame(vectors, np.broadcast_to(turn.T, (2, 3, 3)), np.zeros((2, 3)))
        hands = [_hand(model, vector, np.zeros(3)) for model, vector in zip(self._models, vectors)]
        shift = middle - np.concatenate([hand.keypoints for hand in hands]).mean(0)
        hands = [_hand(model, vector, shift) for model, vector in zip(self._models, vectors)]
        if not any_way:
            for hand in hands:
                arm = hand.keypoints[0] - hand.keypoints[9]
                towards = -hand.centre / np.linalg.norm(hand.centre)
                if arm @ towards > _TOWARDS * np.linalg.norm(arm) or hand.vertices[:, 2].min() < 0.16:
                    return None
        return hands[0], hands[1]

    def _seen(self, hands: tuple[SceneHand, SceneHand], camera: Pinhole) -> np.ndarray:
        """(2,) shares of the hands that are seen, at a quarter of the resolution, without arms."""
        parts = Parts()
        for number, hand in enumerate(hands):
            parts.add(hand.vertices, self._models[number].faces, number)
        scene = Scene(camera, hands, *parts.joined())
        view = scene.look(camera.scaled(camera.width // 4, camera.height // 4))
        return np.array([scene.visible_share(number, view) for number in range(2)])

    def _with_arms(self, hands: tuple[SceneHand, SceneHand], rng: np.random.Generator) -> Parts:
        parts = Parts()
        for number, hand in enumerate(hands):
            model = self._models[number]
            parts.add(hand.vertices, model.faces, number)
            across, along, _ = Rotation.from_rotvec(hand.pose[:3]).as_matrix().T
            down, scale = arm_of(model, hand, rng)
            sleeve = rng.uniform(0.03, 0.2) if rng.random() < 0.5 else 1.0
            length = rng.uniform(0.22, 0.3) * scale
            arm = forearm(hand.keypoints[0], along, down, across, scale * rng.uniform(0.9, 1.15), length, sleeve, rng)
            parts.add(*arm, -1)
        return parts


def _hand(model: HandModel, vector: np.ndarray, shift: np.ndarray) -> SceneHand:
    pose, shape, translation = parameters_of(model, vector)
    translation = (translation + shift).astype(np.float32)
    geometry = model.forward(pose, shape, translation)
    return SceneHand(model.side, pose, shape, translation, geometry.keypoints, geometry.vertices)
