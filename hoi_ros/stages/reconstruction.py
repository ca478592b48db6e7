# SPDX-License-Identifier: Apache-2.0
"""RGB image → hands and the objects that they hold: meshes, poses, sizes, contact.

The network is that of Tse et al., "Collaborative Learning for Hand and Object Reconstruction with Attention-guided
Graph Convolution" (CVPR 2022). The hand's place comes from a region that is given, else from the frame before, else
from the RGB detector. What one image does not show, how far the hand is, comes from a depth image where there is one,
else from how large a hand of that shape looks; a depth image also moves pose and shape until the hand's mesh lies
on it.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.engines import load_engine
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import LocatedBy
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.surface_fit import SurfaceFitConfig
from hoi_ros.hand.surface_fit import SurfaceFitter
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.resources import models_dir
from hoi_ros.resources import ResourceError
from hoi_ros.stages.parts.distance import shift_along_ray
from hoi_ros.stages.parts.following import HandFollowing
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.parts.one_euro import OneEuroFilter
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_detector import look_near
from hoi_ros.stages.parts.rgb_detector import RgbDetector
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import probability
from hoi_ros.stages.parts.scores import ScoreCalibration

OBJECT_MESH = 'object_mesh.npz'
"""In the model folder: `faces` (F, 3) of the object's mesh, and `mirror` (M,), the vertex that lies at the mirror image
of each, so that a mirrored mesh keeps its faces."""
VIEWS = 2
"""Of an upright hand. On 400 validation crops the mean of two is 13.4 mm off from the wrist and a single one 13.7."""

_CANDIDATE = 0.1
"""Lowest score of a detection, from afar and from near, that the network looks at."""
_FOLLOWED = 0.1
"""A hand that is followed is given up below this share of the score that a new one needs: where a hand was a moment ago
there is one far more often than where something looks like one."""
_DETECTED = 0.5
"""What the detector's evidence of a hand counts beside the network's. On validation frames the two tell hands apart a
little better (0.9945 of the pairs) than the network alone (0.9924)."""
_LEAST = 0.01
"""A hand less likely than this is given up whatever score is asked for."""
_UNLIKELY = 0.1
"""Of what the network calls less likely a hand than this nobody asks which side it is of."""
_LOOKED_AT_EVERY = 5
"""Frames between two looks of the detector at a hand that is followed."""
_SAME_HAND = 0.5
"""Two hands whose centres are nearer than this share of the larger one's side are one."""
_AGREEING, _ALIKE = 0.5, 0.5
"""The square that the network's joints span stands for the one that was expected where their centres are nearer than
this share of its side, and the sides' logarithms nearer than this."""
_OFF, _LARGER = 0.12, 0.16
"""A hand whose joints span a square that lies off the one it was cut for, in sides, or is larger or smaller, as a
logarithm, by more than this is cut again around it. Chosen on simulated frames, for time as much as for accuracy."""
_ASKEW = 0.5
"""So is one that stands more askew than this in its crop, radians: the network learned from crops in which the fingers
point up, give or take."""
_POINTS = 'keypoints', 'vertices', 'object'
"""Outputs of the network that lie along the axes of the crop's camera."""
_MEMORY = 0.7
"""What a followed hand's evidence of holding something, and of how far it is, keeps from frame to frame."""
_SIDE_MEMORY = 0.9
"""What its evidence of being a right hand keeps, as in `depth_pose`: any number of frames counts as ten."""
_SURE = 4.0
"""Log-odds of a side from which on a hand is read as one of that side alone."""
_TOLD = 9.0
"""Log-odds of a side that somebody said."""
_WIDEST = 5.0
"""Logarithm of how many times as wide as a hand's crop is, or as narrow, no crop is."""
_SEARCHED_EVERY = 5
"""Frames between two looks at the whole image while a hand is followed."""
_CUBE = 0.27
"""Side of the cube about a hand, metres, in which depth shows its surface."""
_ON_DEPTH = SurfaceFitConfig(steps=3, reach=0.02, keypoint_noise=0.03)
"""A hand read from one image is further from its surface than one read from depth. Reach and noise were chosen on 150
validation images, where a fourth step is worth a millimetre; three are there for their time."""


@dataclasses.dataclass
class _Track:
    square: _Square
    """Where the hand was at `stamp`."""
    stamp: float
    near: float
    """Log-odds of the detector's last look at it from near."""
    side_evidence: float
    side_told: bool
    holds: float
    held: np.ndarray | None
    """(2, 2) lowest and highest pixels of what it holds."""
    smoothing: OneEuroFilter | None
    identity: int = 0
    velocity: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    score: float = 0.0
    """Probability that it is a hand."""
    reading: _Reading | None = None
    holds_read: bool = False
    """Whether `holds` is what the network says, and no longer what the detector says, which sees less of it."""
    reach: float | None = None
    """How far the hand was by depth, as a share of how far its size said."""

    @property
    def right(self) -> bool:
        return self.side_evidence >= 0


class _Square(NamedTuple):
    """The square that a hand's keypoints span, pixels."""

    centre: np.ndarray
    side: float


@dataclasses.dataclass(frozen=True)
class _Reading:
    """What the network says of one crop, by the names of its card."""

    crop: ViewCrop
    outputs: dict[str, np.ndarray]
    root: np.ndarray
    """(3,) metres, in the axes of the crop's camera, as far as a hand of that size would be."""

    @property
    def keypoints(self) -> np.ndarray:
        """(21, 3) metres in the camera's optical frame, as far as `root`."""
        return self.crop.to_camera(self.outputs['keypoints'] + self.root)

    @property
    def square(self) -> _Square:
        """What its keypoints span in the image."""
        return _Square(*outline(self.crop.camera.project(self.keypoints), None))

    @property
    def askew(self) -> bool:
        """Whether the hand stands far from upright in its crop."""
        turn = self.crop.turn - self.crop.upright(self.keypoints).turn
        return abs(math.remainder(turn, 2 * math.pi)) > _ASKEW

    @property
    def right(self) -> bool:
        """Whether it was read as a right hand."""
        return not self.crop.mirrored

    @property
    def hand(self) -> float:
        """What the network says of whether the crop shows a hand, in [0, 1]."""
        return float(self.outputs['hand'][0])

    @property
    def side_odds(self) -> float:
        """Log-odds that the hand is one of the side that it was cut for; 0 of a network that does not say."""
        return log_odds(float(self.outputs['right'][0])) if 'right' in self.outputs else 0.0

    @property
    def holds(self) -> float | None:
        """Probability that the hand holds something or reaches for it; None of a network that does not say."""
        return float(self.outputs['holds'][0]) if 'holds' in self.outputs else None


class _Sight(NamedTuple):
    """A hand as it is seen in this frame, where, and how much then speaks for a right one."""

    reading: _Reading
    square: _Square
    side_evidence: float


class ReconstructionStage(HandFollowing[_Track]):
    """Follows hands, and what they hold, through RGB images.

    Args:
        models: folder of the trained networks and of the hand model; the package's own by default.
        backend, threads: of the engines.
        max_hands: hands at the most.
        min_score: a new hand that is less sure is not reported.
        smoothing: filter of the joints over time, or None.
        views: of an upright hand, each cut a little differently, whose readings are averaged.
        fit_surface: whether, where depth shows it, a hand moves onto the observed surface, pose and shape and all;
            else it moves along its ray alone.

    Attributes:
        object_faces: (F, 3) triangles of `ObjectEstimate.vertices`, counter-clockwise from outside.
        remark: what whoever uses these weights should know; empty where there is nothing.

    Raises:
        EngineError, HandModelError, ResourceError: a model is missing or damaged, or does not tell hands from other
            things.
    """

    def __init__(
        self,
        models: Path | None = None,
        backend: str = 'auto',
        threads: int | None = None,
        max_hands: int = 2,
        min_score: float = 0.5,
        smoothing: OneEuroConfig | None = None,
        fit_surface: bool = True,
        views: int = VIEWS,
    ) -> None:
        models = Path(models) if models is not None else models_dir()
        super().__init__(models, max_hands, min_score, smoothing)
        self.fit_surface, self.views = fit_surface, views
        self._surfaces = {side: SurfaceFitter(model, _ON_DEPTH) for side, model in self._hands.items()}
        self._detector = RgbDetector(models, backend, threads)
        folder = models / 'reconstruction'
        self._engine = load_engine(folder, backend, threads=threads)
        outputs = {output.name: output.shape for output in self._engine.outputs}
        if 'hand' not in outputs:
            raise ResourceError(
                f'{folder} does not say whether a crop shows a hand: teach it with python -m training '
                'train reconstruction_score, and export it again'
            )
        drawn, known = outputs['vertices'][1], len(self._hands['right'].template)
        if drawn != known:
            raise ResourceError(
                f'{folder} was trained with a hand of {drawn} vertices, {models / "hand_model"} holds '
                f'one of {known}: put the hand that it was trained with there'
            )
        parameters = self._engine.card.parameters
        self.calibration = ScoreCalibration(**parameters.get('score_calibration', {}))
        self._size = self._engine.inputs[0].shape[-1]
        self._root, self._room = int(parameters['root']), float(parameters['room'])
        self._crop_width = float(parameters['crop_width_m'])
        self._near_joints = float(parameters.get('joints_within_2_cm', 1.0))
        self._near_on_depth = float(parameters.get('joints_within_2_cm_on_depth', self._near_joints))
        self.remark = str(parameters.get('remark', ''))
        mesh = read_arrays(folder / OBJECT_MESH, ('faces', 'mirror'))
        self.object_faces, self._object_mirror = mesh['faces'], mesh['mirror']

    def warm_up(self) -> None:
        """Runs everything once, so that the first frame is as fast as the others."""
        camera = Pinhole(640, 480, 600.0, 600.0, 319.5, 239.5)
        image = np.full((480, 640, 3), 90, np.uint8)
        seen = DetectedHand(np.array([320.0, 240.0]), 150.0, 1.0, 1.0, 1.0, (250.0, 170.0, 140.0, 140.0))
        for _ in range(2):
            self._detector(image)
            track = self._start(seen, 0.0)
            if sight := self._see(track, track.square, image, camera):
                self._keep(track, sight)
                self._estimate(track, np.full((480, 640), 0.5, np.float32), camera, 0.0)
        self._warmed_up()

    def __call__(
        self,
        image: np.ndarray,
        camera: Pinhole,
        stamp: float,
        depth: np.ndarray | None = None,
        regions: Sequence[Region] | None = None,
    ) -> list[HandEstimate]:
        """Reads one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: of that image, undistorted.
            stamp: seconds; one before the last starts tracking anew.
            depth: (H, W) metres aligned with the image, 0 or NaN invalid; None where there is none.
            regions: where the hands are; None to track and find them.

        Returns:
            The hands, those followed longest first. Empty where no hand is seen.

        Raises:
            ValueError: the depth is of another size than the image.
        """
        if depth is not None and depth.shape != image.shape[:2]:
            raise ValueError(
                f'the depth is {depth.shape[1]}x{depth.shape[0]} pixels, expected '
                f'{image.shape[1]}x{image.shape[0]} as the image: align it to the colour camera'
            )
        begun = time.perf_counter()
        self._begin(stamp)
        tracks = self._follow(image, camera, stamp)
        tracked = time.perf_counter()
        tracks += self._discover(image, camera, stamp, [track.square for track in tracks], regions)
        found = time.perf_counter()
        self._tracks = []
        estimates = []
        for track in tracks:
            try:
                estimates.append(self._estimate(track, depth, camera, stamp))
                self._tracks.append(track)
            except ValueError:
                # What the network draws is no hand, however sure it is: the track ends.
                continue
        done = time.perf_counter()
        self.timings = {
            'track': tracked - begun,
            'find': found - tracked,
            'reconstruct': done - found,
            'total': done - begun,
        }
        return estimates

    def _follow(self, image: np.ndarray, camera: Pinhole, stamp: float) -> list[_Track]:
        """The hands of the frame before that are seen near where they must be. From time to time, and where a hand is
        not seen, the detector looks there, too: a network that cuts its crops by its own joints alone may lose itself
        in a part of a hand."""
        followed: list[_Track] = []
        for track in self._tracks[: self.max_hands]:
            before, elapsed = track.square, stamp - track.stamp
            least = max(_FOLLOWED * self.min_score, _LEAST)
            step = np.clip(track.velocity * elapsed, -0.5 * before.side, 0.5 * before.side)
            expected = _Square(before.centre + step, before.side)
            if not track.side_told:
                track.side_evidence *= _SIDE_MEMORY
            sight = self._see(track, expected, image, camera)
            if (
                sight is None
                or self._score(track, sight) < least
                or (self._frame + track.identity) % _LOOKED_AT_EVERY == 0
            ):
                seen = look_near(self._detector, image, *expected, _CANDIDATE)
                track.near = log_odds(seen.score if seen else 0.0)
                if seen and not (sight and _agree(sight.square, _Square(seen.centre, seen.side))):
                    other = self._see(track, _Square(seen.centre, seen.side), image, camera)
                    sight = max((one for one in (sight, other) if one), key=lambda one: one.reading.hand, default=None)
            if (
                sight is None
                or self._score(track, sight) < least
                or _near(sight.square, [other.square for other in followed])
            ):
                continue
            self._keep(track, sight)
            if elapsed > 0:
                # Where the joints do not say where the hand is, it does not go on by itself.
                told = _agree(sight.reading.square, sight.square)
                track.velocity = (sight.square.centre - before.centre) / elapsed if told else np.zeros(2)
                track.stamp = stamp
            followed.append(track)
        return followed

    def _discover(
        self, image: np.ndarray, camera: Pinhole, stamp: float, known: list[_Square], regions: Sequence[Region] | None
    ) -> list[_Track]:
        wanted = self.max_hands - len(known)
        if wanted <= 0 or (known and regions is None and self._frame % _SEARCHED_EVERY):
            return []
        fresh: list[_Track] = []
        for seen, told in self._proposals(image, regions, known):
            if len(fresh) == wanted:
                break
            track = self._start(seen, stamp, told)
            others = known + [other.square for other in fresh]
            if _near(track.square, others):
                continue
            sight = self._see(track, track.square, image, camera)
            if sight and self._score(track, sight) >= self.min_score:
                sight = self._confirm(sight, track, image, camera)
                if sight and self._score(track, sight) >= self.min_score and not _near(sight.square, others):
                    self._keep(track, sight)
                    track.identity = self._new_identity()
                    fresh.append(track)
        return fresh

    def _proposals(
        self, image: np.ndarray, regions: Sequence[Region] | None, known: list[_Square]
    ) -> list[tuple[DetectedHand, str | None]]:
        """What may be a hand, each looked at a second time from near, and its side where somebody said it; the
        likeliest first."""
        if regions is None:
            looked = [
                look_near(self._detector, image, far.centre, far.side, _CANDIDATE)
                for far in self._detector(image, self.max_hands + 2, _CANDIDATE)
                if not _near(_Square(far.centre, far.side), known)
            ]
            seen = sorted((hand for hand in looked if hand), key=lambda hand: -hand.score)
            # However many things look like hands, a frame takes its time for few.
            return [(hand, None) for hand in seen[: self.max_hands + 1 - len(known)]]
        told = []
        for region in regions:
            square = _Square(
                np.array([region.x + region.width / 2, region.y + region.height / 2]), max(region.width, region.height)
            )
            if square.side > 0 and not _near(square, known):
                # Whoever says where a hand is need not wait for the detector to see it.
                seen = look_near(self._detector, image, *square, _CANDIDATE)
                told.append((seen or DetectedHand(*square, 0.5, 0.5, 0.0, None), region.side))
        return told

    def _start(self, seen: DetectedHand, stamp: float, told: str | None = None) -> _Track:
        # Who says the side of a region knows it; the detector, which hardly does, is never sure.
        evidence = {'right': _TOLD, 'left': -_TOLD, None: log_odds(seen.right, 0.1)}[told]
        return _Track(
            _Square(seen.centre, seen.side),
            stamp,
            log_odds(seen.score),
            evidence,
            told is not None,
            seen.holds,
            seen.held_corners,
            self._new_filter(),
        )

    def _see(self, track: _Track, expected: _Square, image: np.ndarray, camera: Pinhole) -> _Sight | None:
        """Reads a hand where it is expected, upright as it stood the time before, and again where its joints lie off
        that. None where what the network says is no hand, however sure it is."""
        try:
            reading, evidence = self._read(track, expected, image, camera)
            square = _agreed(reading.square, expected)
            if _differ(square, expected) or reading.askew:
                reading = self._network(track, square, image, camera, reading.right, reading)
                square = _agreed(reading.square, square)
        except ValueError:
            return None
        return _Sight(reading, square, evidence)

    def _confirm(self, sight: _Sight, track: _Track, image: np.ndarray, camera: Pinhole) -> _Sight | None:
        """A new hand as it is seen from where its joints lie, as sure as the less sure of both sights: what is none is
        seldom taken for one from both places. None where the joints lie nowhere near."""
        joints = sight.reading.square
        near = np.linalg.norm(joints.centre - sight.square.centre) < sight.square.side
        if not near or not 0.4 < joints.side / sight.square.side < 2.5:
            return None
        try:
            reading = self._network(track, joints, image, camera, sight.reading.right, sight.reading)
        except ValueError:
            return None
        reading.outputs['hand'] = np.minimum(reading.outputs['hand'], sight.reading.outputs['hand'])
        return _Sight(reading, _agreed(reading.square, joints), sight.side_evidence)

    def _score(self, track: _Track, sight: _Sight) -> float:
        """Probability that it is a hand."""
        odds = log_odds(sight.reading.hand, ScoreCalibration.margin) + _DETECTED * track.near
        return self.calibration(probability(odds))

    def _keep(self, track: _Track, sight: _Sight) -> None:
        track.reading, track.square, track.score = sight.reading, sight.square, self._score(track, sight)
        track.side_evidence = sight.side_evidence
        if sight.reading.holds is not None:
            kept = _MEMORY if track.holds_read else 0.0
            track.holds = kept * track.holds + (1 - kept) * sight.reading.holds
            track.holds_read = True

    def _read(self, track: _Track, expected: _Square, image: np.ndarray, camera: Pinhole) -> tuple[_Reading, float]:
        """Reads a hand as one of the side that its track speaks for, and says how much then speaks for a right one. One
        whose side is not sure is read as both: the network says which of the two looks more like a right hand."""
        evidence, sign = track.side_evidence, 1 if track.right else -1
        reading = self._network(track, expected, image, camera, track.right, track.reading)
        if track.side_told or (abs(evidence) < _SURE and reading.hand < _UNLIKELY):
            return reading, evidence
        if abs(evidence) < _SURE:
            other = self._network(track, expected, image, camera, not track.right, track.reading)
            evidence += sign * (reading.side_odds - other.side_odds)
            return (reading if (evidence >= 0) == reading.right else other), evidence
        evidence += sign * reading.side_odds
        if (evidence >= 0) != reading.right:
            reading = self._network(track, expected, image, camera, not track.right, track.reading)
        return reading, evidence

    def _network(
        self, track: _Track, expected: _Square, image: np.ndarray, camera: Pinhole, right: bool, before: _Reading | None
    ) -> _Reading:
        """Reads the crop about a square, upright as a reading before says that the hand stands."""
        size = np.array(image.shape[1::-1])
        if ((expected.centre < 0) | (expected.centre >= size)).any() or expected.side > 2 * size.max():
            raise ValueError('no hand is seen there')
        hand = expected.centre + np.array([[-0.5], [0.5]]) * expected.side
        middle, side = outline(hand, track.held if track.holds >= 0.5 else None)
        crop = ViewCrop(camera, middle, self._room * side, mirrored=not right)
        if before is None:
            return self._look(image, crop)
        crop = crop.upright(before.keypoints)
        return _mean([self._look(image, view) for view in crop.varied(self.views)], crop)

    def _look(self, image: np.ndarray, crop: ViewCrop) -> _Reading:
        pixels = crop.warp(image, self._size).transpose(2, 0, 1)[None]
        outputs = self._engine(image=pixels.astype(np.float32) / 127.5 - 1)
        if not all(np.isfinite(values).all() for values in outputs.values()) or abs(outputs['place'][0, 2]) > _WIDEST:
            raise ValueError('what the network says is no hand')
        outputs = {name: values[0].astype(float) for name, values in outputs.items()}
        root = crop.point(outputs['place'][:2], self._crop_width * math.exp(outputs['place'][2]))
        return _Reading(crop, outputs, root)

    def _estimate(self, track: _Track, depth: np.ndarray | None, camera: Pinhole, stamp: float) -> HandEstimate:
        crop, outputs = track.reading.crop, track.reading.outputs
        right = track.reading.right
        side = 'right' if right else 'left'
        model = self._hands[side]
        root = crop.to_camera(track.reading.root)
        pose, shape = self._pose(outputs, crop, side), outputs['shape'].astype(np.float32)
        at_origin = model.forward(pose, shape, np.zeros(3, np.float32))
        keypoints, vertices = (
            points - at_origin.keypoints[self._root] for points in (at_origin.keypoints, at_origin.vertices)
        )
        located_by: LocatedBy = 'hand_size'
        if depth is not None:
            moved = shift_along_ray(vertices + root, model.faces, root, depth, camera)
            if moved is not None:
                share = float(np.linalg.norm(moved) / np.linalg.norm(root))
                track.reach = share if track.reach is None else _MEMORY * track.reach + (1 - _MEMORY) * share
                root, located_by = moved, 'depth'
        if located_by == 'hand_size' and track.reach is not None:
            root = root * track.reach
        if not (np.isfinite(root).all() and np.isfinite(vertices).all()):
            raise ValueError('the reconstruction is not finite')
        keypoints, vertices = keypoints + root, vertices + root
        translation = (root - at_origin.keypoints[self._root]).astype(np.float32)
        fit = read = HandFit(pose, shape, translation, 0.0, keypoints.astype(np.float32))
        if located_by == 'depth' and self.fit_surface:
            points = CubeCrop(camera, keypoints.mean(0), _CUBE).surface(depth)
            fit = self._surfaces[side].refine(fit, np.ones(21), points)
        # Where depth shows too little of a hand, it stays as it was read.
        near = self._near_joints if fit is read else self._near_on_depth
        if track.smoothing:
            # Filtered joints are no hand any more: the model is fitted to them.
            fit = self._fitters[side].fit(track.smoothing(fit.keypoints, stamp), None, fit)
        if fit is not read:
            keypoints, vertices = fit.keypoints, model.forward(fit.pose, fit.shape, fit.translation).vertices
        thing = track.held = None
        if track.holds >= 0.5:
            thing = crop.to_camera(outputs['object'] if right else outputs['object'][self._object_mirror])
            # What is held moves as the palm does.
            turn = Rotation.from_rotvec(fit.pose[:3]) * Rotation.from_rotvec(pose[:3]).inv()
            thing = turn.apply(thing + root - read.keypoints[0]) + fit.keypoints[0]
            pixels = camera.project(np.maximum(thing, [-np.inf, -np.inf, 0.05]))
            track.held = np.stack([pixels.min(0), pixels.max(0)])
        held = None if thing is None else self._object(track.holds, thing, vertices)
        return HandEstimate(
            side=side,
            side_score=max(0.5, probability(track.side_evidence if right else -track.side_evidence)),
            track_id=track.identity,
            score=track.score,
            joints=keypoints.astype(np.float32),
            joint_scores=np.full(21, near * track.score, np.float32),
            pose=fit.pose,
            shape=fit.shape,
            translation=fit.translation,
            vertices=vertices.astype(np.float32),
            located_by=located_by,
            held=held,
        )

    def _pose(self, outputs: dict[str, np.ndarray], crop: ViewCrop, side: str) -> np.ndarray:
        """(48,) of the side's hand model in the camera's optical frame, from what was read of a right hand."""
        turn = crop.to_camera(outputs['rotation'].T).T
        fingers = np.concatenate([np.zeros(3), outputs['fingers']])
        if side == 'left':
            turn = turn * [-1, 1, 1]
            fingers = mirror_pose(fingers)
        return np.concatenate([Rotation.from_matrix(turn).as_rotvec(), fingers[3:]]).astype(np.float32)

    def _object(self, score: float, vertices: np.ndarray, hand: np.ndarray) -> ObjectEstimate:
        position, orientation, size = oriented_box(vertices)
        gap = surface_gap(hand, vertices, self.object_faces)
        return ObjectEstimate(
            float(score), vertices.astype(np.float32), position, orientation, size, gap, gap <= TOUCHING
        )


def oriented_box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A tight box around points (N, 3): of the boxes along one of their principal axes the smallest.

    Returns:
        centre (3,), orientation (4,) as a quaternion x, y, z, w, and size (3,) along the box's x, y and z: the longest
        side lies along z, the shortest along x.
    """
    mean = points.mean(0)
    axes = np.linalg.eigh(np.cov((points - mean).T))[1].T
    best: tuple[float, np.ndarray, np.ndarray, np.ndarray] | None = None
    for along in range(3):
        frame = np.roll(axes, 2 - along, 0)  # the chosen axis last
        local = (points - mean) @ frame.T
        (x, y), (width, height), degrees = cv2.minAreaRect(local[:, :2].astype(np.float32))
        low, high = local[:, 2].min(), local[:, 2].max()
        volume = width * height * (high - low)
        if best is None or volume < best[0]:
            cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            turned = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]]) @ frame
            best = (
                volume,
                mean + np.array([x, y, (low + high) / 2]) @ frame,
                turned,
                np.array([width, height, high - low]),
            )
    _, centre, frame, size = best
    order = np.argsort(size)
    frame, size = frame[order], size[order]
    if np.linalg.det(frame) < 0:
        frame[0] = -frame[0]
    return centre, Rotation.from_matrix(frame.T).as_quat(), size


def surface_gap(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, near: float = 0.03) -> float:
    """Least distance from points (N, 3) to a closed mesh, below 0 the deepest that one of them lies inside.

    Each point is measured against the tangent plane of the mesh's nearest vertex: exact enough for a mesh whose
    vertices lie closer together than its surface bends. Points further than `near` from every vertex are not below it.

    Args:
        points: metres.
        vertices: (M, 3) metres.
        faces: (F, 3) counter-clockwise from outside.
        near: metres.
    """
    distance, nearest = cKDTree(vertices).query(points)
    close = distance < near
    if not close.any():
        return float(distance.min())
    nearest = nearest[close]
    normals = vertex_normals(vertices, faces)[nearest]
    return float(((points[close] - vertices[nearest]) * normals).sum(1).min())


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named arrays of an .npz file.

    Raises:
        ResourceError: it is missing, no such file, or lacks one of them.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError) as error:
        raise ResourceError(
            f'{path} cannot be read ({error}): install the package again, or export the model again '
            'with python -m training export reconstruction'
        ) from error


def _mean(readings: Sequence[_Reading], crop: ViewCrop) -> _Reading:
    """The mean of readings of views about a crop, in the axes of its camera."""
    # Each row is an axis of the view's camera along those of the crop's.
    turns = [crop.from_camera(reading.crop.to_camera(np.eye(3))) for reading in readings]
    mean = {
        name: np.mean(
            [
                reading.outputs[name] @ turn if name in _POINTS else reading.outputs[name]
                for reading, turn in zip(readings, turns)
            ],
            0,
        )
        for name in readings[0].outputs
    }
    mean['rotation'] = (
        Rotation.from_matrix([turn.T @ reading.outputs['rotation'] for reading, turn in zip(readings, turns)])
        .mean()
        .as_matrix()
    )
    root = np.mean([reading.root @ turn for reading, turn in zip(readings, turns)], 0)
    return _Reading(crop, mean, root)


def _agree(square: _Square, expected: _Square) -> bool:
    near = np.linalg.norm(square.centre - expected.centre) < _AGREEING * expected.side
    return bool(near and square.side > 0 and abs(math.log(square.side / expected.side)) < _ALIKE)


def _agreed(square: _Square, expected: _Square) -> _Square:
    """A square of the network's that what was expected does not speak against, else what was expected."""
    return square if _agree(square, expected) else expected


def _differ(square: _Square, other: _Square) -> bool:
    return bool(
        np.linalg.norm(square.centre - other.centre) > _OFF * other.side
        or abs(math.log(square.side / other.side)) > _LARGER
    )


def _near(square: _Square, others: list[_Square]) -> bool:
    return any(
        np.linalg.norm(square.centre - other.centre) < _SAME_HAND * max(square.side, other.side) for other in others
    )
