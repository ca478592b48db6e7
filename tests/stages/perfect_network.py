# SPDX-License-Identifier: Apache-2.0
"""A detector and a network that know a generated sample, for tests of the `reconstruction` stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.stages import reconstruction
from hoi_ros.stages.parts import hand_placement
from hoi_ros.stages.parts import hand_proposals
from hoi_ros.stages.parts import reconstruction_network
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_detector import moved
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.hand_object import HandObjectSample
from training.data.synthetic.rgb_crop_views import ROOM
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import ROOT

Outputs = dict[str, np.ndarray]
Answer = Callable[[np.ndarray, ViewCrop], Outputs]
"""From a crop's image (1, 3, H, W) and the crop to the network's outputs."""
_MIRROR = np.diag([-1.0, 1.0, 1.0])


class PlantedDetector:
    """Detects the hands that it is given, in whichever part of the image it runs on."""

    def __init__(self) -> None:
        self.hands: list[DetectedHand] = []
        self.whole: np.ndarray | None = None
        self.smallest = 0.0
        """Share of the image's height that a hand has at least that is seen."""
        self.batches: list[int] = []

    def __call__(self, image: np.ndarray, most: int = 2, threshold: float = 0.3) -> list[DetectedHand]:
        base = self.whole if self.whole is not None else image
        offset = image.__array_interface__['data'][0] - base.__array_interface__['data'][0]
        top, left = divmod(offset, base.strides[0])
        corner = np.array([left // base.strides[1], top])
        size = np.array(image.shape[1::-1])
        shown = [moved(hand, -corner) for hand in self.hands if hand.score >= threshold]
        shown = [hand for hand in shown if hand.side >= self.smallest * image.shape[0]]
        return [hand for hand in shown if (hand.centre >= 0).all() and (hand.centre < size).all()][:most]

    def batch(self, images: Sequence[np.ndarray], most: int = 2, threshold: float = 0.3) -> list[list[DetectedHand]]:
        if images:
            self.batches.append(len(images))
        return [self(image, most, threshold) for image in images]


class PlantedEngine:
    """Answers for each crop of a batch; `calls` has the number of crops of each call."""

    def __init__(self, answer: Answer, cuts: list[ViewCrop]) -> None:
        self._answer, self._cuts = answer, cuts
        parameters = {'root': ROOT, 'room': ROOM, 'crop_width_m': CROP_WIDTH}
        self.card = SimpleNamespace(parameters=parameters)
        self.inputs = [SimpleNamespace(shape=(1, 3, 128, 128))]
        self.outputs = outputs_of(len(HandModel.load().template))
        self.calls: list[int] = []

    def prepare(self, *batches: int) -> None:
        """Any number of crops runs at once."""

    def __call__(self, image: np.ndarray) -> Outputs:
        self.calls.append(len(image))
        answers = [
            self._answer(image[[index]], crop) for index, crop in enumerate(self._cuts[len(self._cuts) - len(image) :])
        ]
        return {name: np.array([answer[name] for answer in answers], np.float32) for name in answers[0]}


def planted_stage(
    patch: pytest.MonkeyPatch,
    answer: Answer,
    faces: np.ndarray,
    mirror: np.ndarray,
    **settings: object,
) -> tuple[ReconstructionStage, PlantedDetector, PlantedEngine]:
    """A stage with a planted detector and a network that gives an answer for each crop."""
    cuts: list[ViewCrop] = []

    class ShownCrop(ViewCrop):
        def warp(self, image: np.ndarray, size: int) -> np.ndarray:
            cuts.append(self)
            return super().warp(image, size)

    detector, engine = PlantedDetector(), PlantedEngine(answer, cuts)
    patch.setattr(reconstruction_network, 'ViewCrop', ShownCrop)
    patch.setattr(reconstruction_network, 'load_engine', lambda *arguments, **named: engine)
    patch.setattr(hand_proposals, 'RgbDetector', lambda *arguments: detector)
    mesh = {'faces': faces, 'mirror': mirror, 'directions': np.eye(3)[mirror % 3]}
    patch.setattr(reconstruction, 'read_arrays', lambda *arguments: mesh)
    # What depth shows of the object has its own tests.
    patch.setattr(hand_placement, 'object_points', lambda *arguments: None)
    return ReconstructionStage(**{'views': 1, **settings}), detector, engine


def outputs_of(vertices: int) -> list[SimpleNamespace]:
    """The outputs of a network that the stage checks."""
    return [SimpleNamespace(name='hand', shape=(1, 1)), SimpleNamespace(name='vertices', shape=(1, vertices, 3))]


def detection(sample: HandObjectSample, score: float = 0.5) -> DetectedHand:
    """The true detection of a sample."""
    centre, side = outline(sample.camera.project(sample.keypoints), None)
    held = sample.camera.project(sample.held.placed)
    low, high = held.min(0), held.max(0)
    return DetectedHand(centre, side, score, 0.95 if sample.side == 'right' else 0.05, 0.9, (*low, *(high - low)))


def answer_of(sample: HandObjectSample, crop: ViewCrop, nearer: float = 1.0) -> Outputs:
    """The true outputs for a sample in a crop, but for a factor of the distance."""
    right = sample.side == 'right'
    # A mirrored crop of a right hand gets the same answer as an unmirrored one.
    crop = dataclasses.replace(crop, mirrored=not right)
    keypoints = crop.from_camera(sample.keypoints.astype(float))
    origin = keypoints[ROOT]
    axes = crop.from_camera(np.eye(3)).T
    pose = sample.pose if right else mirror_pose(sample.pose)
    turn = Rotation.from_rotvec(pose[:3]).as_matrix()
    thing = crop.from_camera(sample.held.placed.astype(float)) - origin
    return {
        'rotation': axes @ turn if right else axes @ _MIRROR @ turn,
        'fingers': pose[3:],
        'shape': sample.shape,
        'place': np.append(crop.project(origin), np.log(nearer * crop.width_at(origin[2]) / CROP_WIDTH)),
        'keypoints': keypoints - origin,
        'object': thing,
        'hand': [0.9],
    }
