# SPDX-License-Identifier: Apache-2.0
"""Depth image → hands: where they are, which side, 21 joints, pose, shape and mesh.

The networks are LSPS' (Abdi et al., BMVC 2018), G_y(P(crop)), or the stronger one trained beside it. The hand's
place comes from a region that is given, else from the frame before, else from the hand finder. What the network
reads is fitted with the hand model, and the fit is moved onto the surface that the camera saw.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.engines import load_engine
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.surface_fit import SurfaceFitter
from hoi_ros.resources import models_dir
from hoi_ros.stages.parts.following import HandFollowing
from hoi_ros.stages.parts.hand_finder import HandFinder
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.parts.one_euro import OneEuroFilter
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import probability
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.parts.scores import SideCalibration

VARIANTS = ('depth_pose', 'depth_pose_lsps')
"""The network that ships, and the paper's."""

_CANDIDATE, _UNJUDGED = 0.05, 0.2
"""Lowest scores of the finder that are worth a look: where the pose network says whether it is a hand, and where the
network, as the paper's, says nothing of it."""
_DOUBTFUL = 0.002
"""What a first glance, cut in the wrong place, finds less surely a hand is not looked at again."""
_UNLIKELY = 0.2
"""A proposal that stays below this share of a new hand's least score, looked at from the right place, is no hand."""
_FOLLOWED = 0.5
"""A hand that is followed is given up below this share of the score that a new one needs."""
_RECENTRE = 0.012
"""A crop whose hand's centre lies further off than this is cut again around it, metres."""
_LOOKS, _FAR_OFF = 2, 0.02
"""Where a new hand lies further off its proposal than this, metres, it is looked at again, so often at the most."""
_QUARTERS = math.pi / 2, math.pi, -math.pi / 2
"""Rolls beside none under which a hand is looked at that nobody has seen yet, radians."""
_PASSES = 2
"""So often a new hand is read as both sides, each time as upright as the time before tells."""
_FAN = 0.3
"""The outermost of several views is rolled so far from the upright one, radians."""
_SAME_HAND = 0.07
"""Two hands whose centres are nearer than this are one, metres."""
_GOOD_JOINT = 0.02
"""A joint's score is the probability that it is nearer to the truth than this, metres."""


@dataclasses.dataclass(frozen=True)
class CropReading:
    """What the network says of one crop: joints (21, 3) metres, the expected error of each (21,) metres, the
    probability of a hand and that its side is the one it was cut for; `fit` where the joints were fitted already."""

    joints: np.ndarray
    spread: np.ndarray
    score: float
    side_fits: float
    right: bool
    fit: HandFit | None = None

    @property
    def centre(self) -> np.ndarray:
        return self.joints.mean(0)

    @property
    def weights(self) -> np.ndarray:
        """(21,) how much each joint counts in a fit, 0 to 1."""
        return np.clip(0.01 / np.maximum(self.spread, 1e-3), 0.05, 1.0) ** 2

    @property
    def residual(self) -> float:
        """Mean distance of the joints from those of the fit, metres; a large one where there is no fit."""
        return max(self.fit.residual, 1e-4) if self.fit else 0.1


@dataclasses.dataclass
class _Track:
    identity: int
    side_evidence: float
    joints: np.ndarray
    velocity: np.ndarray
    stamp: float
    smoothing: OneEuroFilter | None
    fit: HandFit | None = None

    @property
    def centre(self) -> np.ndarray:
        return self.joints.mean(0)

    @property
    def right(self) -> bool:
        return self.side_evidence >= 0


class DepthPoseStage(HandFollowing[_Track]):
    """Follows up to two hands through depth images.

    Args:
        models: folder of the trained networks and of the hand model; the package's own by default.
        backend, threads: of the engines.
        max_hands: hands at the most.
        min_score: a new hand that is less sure is not reported.
        smoothing: filter of the joints over time, or None.
        variant: which network, one of `VARIANTS`.
        views, following_views: rolls of the crop about the upright hand whose readings are averaged, for a new hand
            and for one that is followed; each costs one run of the network, for a new hand four.

    Raises:
        EngineError, HandModelError: a model is missing or damaged.
    """

    def __init__(
        self,
        models: Path | None = None,
        backend: str = 'auto',
        threads: int | None = None,
        max_hands: int = 2,
        min_score: float = 0.5,
        smoothing: OneEuroConfig | None = None,
        variant: str = 'depth_pose',
        views: int = 3,
        following_views: int = 1,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f'variant is {variant!r}, expected one of {", ".join(VARIANTS)}')
        models = Path(models) if models is not None else models_dir()
        super().__init__(models, max_hands, min_score, smoothing)
        self.views, self.following_views = views, following_views
        self._engine = load_engine(models / variant, backend, threads=threads)
        self._cube = float(self._engine.card.parameters['cube_m'])
        self._size = self._engine.inputs[0].shape[-1]
        self.calibration = ScoreCalibration(**self._engine.card.parameters.get('score_calibration', {}))
        self.side_calibration = SideCalibration(**self._engine.card.parameters.get('side_calibration', {}))
        said = {output.name for output in self._engine.outputs}
        self._proposed = _CANDIDATE if 'hand' in said else _UNJUDGED
        self._tells_sides = 'right' in said
        self._finder = HandFinder(models, backend, threads)
        self._surfaces = {side: SurfaceFitter(model) for side, model in self._hands.items()}

    def warm_up(self) -> None:
        """Runs everything once, so that the first frame is as fast as the others."""
        camera = Pinhole(640, 480, 600.0, 600.0, 319.5, 239.5)
        rows, columns = np.mgrid[:480, :640]
        ball = (0.5 + ((columns - 320) ** 2 + (rows - 240) ** 2) * 1e-5).astype(np.float32)
        rest = (
            self._hands['right']
            .forward(
                np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, 0.5], np.float32), vertices=False
            )
            .keypoints
        )
        for _ in range(2):
            self._finder(ball, camera)
            self._read_followed(ball, camera, np.array([0, 0, 0.5]), rest, True)
            reading = CropReading(rest.astype(float), np.full(21, 0.01), 1.0, 1.0, True)
            self._estimate(self._start(reading, 0.0), reading, ball, camera, 0.0)
        self._warmed_up()

    def __call__(
        self, depth: np.ndarray, camera: Pinhole, stamp: float, regions: Sequence[Region] | None = None
    ) -> list[HandEstimate]:
        """Reads one image.

        Args:
            depth: (H, W) metres, 0 or NaN invalid.
            camera: of that image, undistorted.
            stamp: seconds; one before the last starts tracking anew.
            regions: where the hands are; None to track and find them.

        Returns:
            The hands, those followed longest first. Empty where no hand is seen.
        """
        begun = time.perf_counter()
        self._begin(stamp)
        followed = self._follow(depth, camera, stamp)
        tracked = time.perf_counter()
        for reading in self._discover(depth, camera, followed, regions):
            followed.append((self._start(reading, stamp), reading))
        found = time.perf_counter()
        self._tracks = []
        estimates = []
        for track, reading in followed:
            try:
                estimates.append(self._estimate(track, reading, depth, camera, stamp))
                self._tracks.append(track)
            except ValueError:
                # Joints on one line are no hand, however sure the network is: the track ends.
                continue
        done = time.perf_counter()
        self.timings = {'track': tracked - begun, 'find': found - tracked, 'fit': done - found, 'total': done - begun}
        return estimates

    def _follow(self, depth: np.ndarray, camera: Pinhole, stamp: float) -> list[tuple[_Track, CropReading]]:
        followed: list[tuple[_Track, CropReading]] = []
        for track in self._tracks[: self.max_hands]:
            step = np.clip(track.velocity * (stamp - track.stamp), -0.06, 0.06)
            reading = self._read_followed(depth, camera, track.centre + step, track.joints, track.right)
            if reading.score < _FOLLOWED * self.min_score or _near(reading, [other for _, other in followed]):
                continue
            evidence = log_odds(reading.side_fits) * (1 if reading.right else -1)
            track.side_evidence = float(np.clip(0.9 * track.side_evidence + evidence, -12, 12))
            if track.right != reading.right:
                # The side that the whole track speaks for, not this frame's, is reported.
                reading = self._glance(depth, camera, reading.centre, track.right, reading.joints, self.following_views)
            followed.append((track, reading))
        return followed

    def _discover(
        self,
        depth: np.ndarray,
        camera: Pinhole,
        followed: list[tuple[_Track, CropReading]],
        regions: Sequence[Region] | None,
    ) -> list[CropReading]:
        wanted = self.max_hands - len(followed)
        known = [reading for _, reading in followed]
        if wanted <= 0 or (followed and regions is None and self._frame % 5):
            return []
        if regions is not None:
            candidates = [
                reading for region in regions if (reading := self._read_region(depth, camera, region)) is not None
            ]
        else:
            candidates = self.candidates(depth, camera, known)
        fresh: list[CropReading] = []
        for reading in candidates:
            if reading.score >= self.min_score and not _near(reading, known + fresh):
                fresh.append(reading)
        return fresh[:wanted]

    def candidates(self, depth: np.ndarray, camera: Pinhole, known: Sequence[CropReading] = ()) -> list[CropReading]:
        """What may be a hand, however unsure, away from those that are known; the finder's surest first."""
        # Where a hand is followed, another one has the next frames to be seen in too.
        most, least = (self.max_hands, 2 * self._proposed) if known else (self.max_hands + 4, self._proposed)
        return [
            self._read_new(depth, camera, hand.centre, True, 0.5)
            for hand in self._finder(depth, camera, most, least)
            if all(np.linalg.norm(hand.centre - reading.centre) > _SAME_HAND for reading in known)
        ]

    def _read_region(self, depth: np.ndarray, camera: Pinhole, region: Region) -> CropReading | None:
        """Tries a hand at the depths that the region holds: its nearest surface need not be the hand."""
        left, top = max(int(region.x), 0), max(int(region.y), 0)
        window = depth[top : top + max(int(region.height), 1), left : left + max(int(region.width), 1)]
        seen = window[window > 0]
        if not seen.size:
            return None
        pixel = np.array([region.x + region.width / 2, region.y + region.height / 2])
        depths = np.unique(np.percentile(seen, [15, 50, 80]).round(2))
        right, prior = region.side != 'left', {'right': 0.99, 'left': 0.01}.get(region.side, 0.5)
        readings = [self._read_new(depth, camera, camera.unproject(pixel, z), right, prior) for z in depths]
        return max(readings, key=lambda reading: reading.score)

    def _read_followed(
        self, depth: np.ndarray, camera: Pinhole, centre: np.ndarray, joints: np.ndarray, right: bool
    ) -> CropReading:
        """Reads a hand near where it must be, turned as its joints of the frame before say, cutting again around what
        was read, and for the other side too where its own does not fit."""
        reading = self._glance(depth, camera, centre, right, joints, self.following_views)
        if reading.score >= _DOUBTFUL and np.linalg.norm(reading.centre - centre) > _RECENTRE:
            centre, joints = reading.centre, reading.joints
            reading = self._glance(depth, camera, centre, right, joints, self.following_views)
        if reading.score < _DOUBTFUL or reading.side_fits >= 0.5:
            return reading
        other = self._glance(depth, camera, centre, not right, joints, self.following_views)
        return other if other.side_fits > reading.side_fits else reading

    def _read_new(
        self, depth: np.ndarray, camera: Pinhole, centre: np.ndarray, right: bool, prior_right: float
    ) -> CropReading:
        """Reads what may be a hand near a centre, which is looked at again where the hand lies off it, and then
        upright.

        A hand is read as both: the side is taken that the network is surer of and whose hand model the joints fit
        better. A network that tells the sides has learned the joints of both: the mean of the two readings is nearer.
        """
        reading = self._first_glance(depth, camera, centre, right)
        for _ in range(_LOOKS):
            if reading.score < _DOUBTFUL or np.linalg.norm(reading.centre - centre) < _FAR_OFF:
                break
            centre = reading.centre
            reading = self._glance(depth, camera, centre, right, reading.joints)
        if reading.score < _UNLIKELY * self.min_score:
            return reading
        reading, other = self.both_sides(depth, camera, reading)
        evidence = self.side_calibration(*side_evidence(reading, other)) + log_odds(
            prior_right if right else 1 - prior_right
        )
        chosen = reading if evidence >= 0 else other
        if self._tells_sides:
            both = _mean([reading, other])
            chosen = self._fitted(dataclasses.replace(chosen, joints=both.joints, spread=both.spread))
        return dataclasses.replace(chosen, side_fits=probability(abs(evidence)))

    def _first_glance(self, depth: np.ndarray, camera: Pinhole, centre: np.ndarray, right: bool) -> CropReading:
        """What the network says of a cube whose roll nobody knows: what it is surest of under four rolls."""
        crop = CubeCrop(camera, _before_camera(centre), self._cube, not right)
        readings = [self._reading(depth, [crop])]
        if readings[0].score >= _DOUBTFUL:
            readings += [self._reading(depth, [dataclasses.replace(crop, turn=turn)]) for turn in _QUARTERS]
        return min(readings, key=lambda reading: reading.spread.mean())

    def both_sides(self, depth: np.ndarray, camera: Pinhole, seen: CropReading) -> tuple[CropReading, CropReading]:
        """A hand that was seen read again, with its fit, as of the side that it was seen as and as of the other."""
        for _ in range(_PASSES):
            readings = [
                self._glance(depth, camera, seen.centre, side, seen.joints, self.views)
                for side in (seen.right, not seen.right)
            ]
            seen = _mean(readings) if self._tells_sides else readings[0]
        own, other = (self._fitted(reading) for reading in readings)
        return own, other

    def _fitted(self, reading: CropReading) -> CropReading:
        """The reading with the hand that its joints fit; without one where they lie on one line."""
        try:
            return dataclasses.replace(reading, fit=self._fit(reading, None))
        except ValueError:
            return reading

    def _fit(self, reading: CropReading, guess: HandFit | None) -> HandFit:
        fitter = self._fitters['right' if reading.right else 'left']
        if guess is None:
            return fitter.fit(reading.joints, reading.weights)
        # A step from the frame before follows the joints, but not their noise.
        return fitter.fit(reading.joints, reading.weights, guess, steps=1)

    def _glance(
        self, depth: np.ndarray, camera: Pinhole, centre: np.ndarray, right: bool, joints: np.ndarray, views: int = 1
    ) -> CropReading:
        """The mean of what the network says of a cube, seen so often about upright, which joints (21, 3) tell."""
        crop = CubeCrop(camera, _before_camera(centre), self._cube, not right)
        rolls = np.linspace(-_FAN, _FAN, views) if views > 1 else [0.0]
        return self._reading(depth, [crop.upright(joints, roll) for roll in rolls])

    def _reading(self, depth: np.ndarray, crops: Sequence[CubeCrop]) -> CropReading:
        reading = _mean([self._network(depth, crop) for crop in crops])
        return dataclasses.replace(reading, score=self.calibration(reading.score))

    def _network(self, depth: np.ndarray, crop: CubeCrop) -> CropReading:
        outputs = self._engine(crop=crop.cut(depth, self._size)[None, None])
        joints = crop.to_camera(outputs['joints'][0].astype(float))
        if 'spread' not in outputs:
            return CropReading(joints, np.full(21, _GOOD_JOINT), 1.0, 1.0, not crop.mirrored)
        return CropReading(
            joints,
            outputs['spread'][0] * self._cube / 2,
            float(outputs['hand'][0, 0]),
            float(outputs['right'][0, 0]),
            not crop.mirrored,
        )

    def _start(self, reading: CropReading, stamp: float) -> _Track:
        evidence = log_odds(reading.side_fits) * (1 if reading.right else -1)
        return _Track(self._new_identity(), evidence, reading.joints, np.zeros(3), stamp, self._new_filter())

    def _estimate(
        self, track: _Track, reading: CropReading, depth: np.ndarray, camera: Pinhole, stamp: float
    ) -> HandEstimate:
        if stamp > track.stamp:
            track.velocity = (reading.centre - track.centre) / (stamp - track.stamp)
        track.joints, track.stamp = reading.joints, stamp
        side = 'right' if reading.right else 'left'
        fit = reading.fit or self._fit(reading, track.fit)
        crop = CubeCrop(camera, fit.keypoints.mean(0).astype(float), self._cube)
        fit = self._surfaces[side].refine(fit, reading.weights, crop.surface(depth))
        if track.smoothing:
            # Filtered joints are no hand any more: the model is fitted to them once again.
            fit = self._fitters[side].fit(track.smoothing(fit.keypoints, stamp), None, fit)
        track.fit = fit
        return HandEstimate(
            side=side,
            side_score=probability(abs(track.side_evidence)),
            track_id=track.identity,
            score=reading.score,
            joints=fit.keypoints,
            joint_scores=(1 - np.exp(-_GOOD_JOINT / np.maximum(reading.spread, 1e-4))).astype(np.float32),
            pose=fit.pose,
            shape=fit.shape,
            translation=fit.translation,
            vertices=self._hands[side].forward(fit.pose, fit.shape, fit.translation).vertices,
        )


def _before_camera(centre: np.ndarray) -> np.ndarray:
    """A centre is never behind or in the camera, whatever a network says."""
    return np.array([centre[0], centre[1], max(float(centre[2]), 0.1)])


def _mean(readings: Sequence[CropReading]) -> CropReading:
    """The mean of readings, of the first one's side."""
    return CropReading(
        *(
            np.mean([getattr(reading, name) for reading in readings], 0)
            for name in ('joints', 'spread', 'score', 'side_fits')
        ),
        readings[0].right,
    )


def side_evidence(reading: CropReading, other: CropReading) -> tuple[float, float]:
    """What speaks for the side of one of two readings of a hand: how much surer the network is of it, log-odds, and
    how much better its hand model fits, the logarithm of the residuals' ratio."""
    return log_odds(reading.side_fits) - log_odds(other.side_fits), math.log(other.residual / reading.residual)


def _near(reading: CropReading, others: list[CropReading]) -> bool:
    return any(np.linalg.norm(reading.centre - other.centre) < _SAME_HAND for other in others)
