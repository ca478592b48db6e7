# SPDX-License-Identifier: Apache-2.0
"""RGB image → hands and the objects that they hold: meshes, poses, sizes, contact.

The network is that of Tse et al., "Collaborative Learning for Hand and Object Reconstruction with Attention-guided
Graph Convolution" (CVPR 2022). A hand's place comes from a given region, else from the previous frame, else from the
RGB detector and, with a depth image, from the hand finder of `depth_pose`. Its distance comes from the depth image,
else from its apparent size. With a depth image, pose and shape are refined until the mesh lies on the observed surface,
and a hand whose surface is much nearer or farther than its size allows is none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.refusal import refuse_aligned_depth
from hoi_ros.camera.refusal import refuse_colour
from hoi_ros.engines import Backend
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.resources import model_dir
from hoi_ros.resources import ResourceError
from hoi_ros.stages.parts.depth_denials import DepthDenials
from hoi_ros.stages.parts.following import HandFollowing
from hoi_ros.stages.parts.hand_observer import HandObserver
from hoi_ros.stages.parts.hand_placement import HandPlacement
from hoi_ros.stages.parts.hand_proposals import HandProposals
from hoi_ros.stages.parts.hand_proposals import square_of
from hoi_ros.stages.parts.hand_proposals import WINDOWS
from hoi_ros.stages.parts.hand_regions import continued
from hoi_ros.stages.parts.hand_regions import is_in
from hoi_ros.stages.parts.hand_regions import region_of_tracked
from hoi_ros.stages.parts.hand_regions import without_hand
from hoi_ros.stages.parts.hand_square import HandSquare
from hoi_ros.stages.parts.object_claims import MIN_CONFIDENCE
from hoi_ros.stages.parts.object_claims import ObjectEvidence
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.parts.reconstruction_network import CropInference
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_track import RgbTrack
from hoi_ros.stages.parts.scores import ScoreCalibration

OBJECT_MESH = 'object_mesh.npz'
"""In the model folder: `faces` (F, 3) of the object's mesh, `directions` (M, 3) of the vertices of the sphere that it
begins as, and `mirror` (M,), the vertex at the mirror image of each vertex, which keeps the faces of a mirrored
mesh."""
VIEWS = 2
"""Views of an upright hand. On 400 validation crops the mean of two has a wrist-relative error of 13.4 mm, one alone
13.7 mm."""

_TRACKED = 0.5
"""Share of the score of a new hand that a tracked one needs: a hand is far more likely where one was a moment ago."""
_LEAST = 0.01
"""Score below which a hand is given up whatever score is asked for."""
_DETECTED_EVERY = 5
"""Frames between two runs of the detector about a tracked hand."""
_SEARCHED_EVERY = 5
"""Frames between two searches of the whole image while hands are tracked, and between two thorough searches."""
_MISSES = 2
"""Frames that a track waits for a hand that is not seen."""


class ReconstructionStage(HandFollowing[RgbTrack]):
    """Tracks hands, and what they hold, through RGB images.

    Args:
        models: folder of the trained networks and of the hand model; the package's own by default.
        backend: of the engines.
        threads: of the engines.
        max_hands: largest number of hands.
        min_score: lowest score of a new hand.
        smoothing: filter of the joints over time, or None.
        views: crops of an upright hand, slightly varied, whose predictions are averaged.
        fit_surface: whether a hand that depth shows is fitted to the observed surface, pose and shape included, and
            the mesh of what it holds; else both are moved along the hand's ray only.
        min_confidence: confidence below which a claim about a held object (its box, its gap to the hand, whether they
            touch) is withheld; 0 withholds none.

    Attributes:
        object_faces: (F, 3) triangles of `ObjectEstimate.vertices`, counter-clockwise from outside.

    Raises:
        EngineError, HandModelError, ResourceError: a model is missing or damaged, or does not tell hands from
            non-hands.
    """

    def __init__(
        self,
        models: Path | None = None,
        backend: Backend = 'auto',
        threads: int | None = None,
        max_hands: int = 2,
        min_score: float = 0.5,
        smoothing: OneEuroConfig | None = None,
        fit_surface: bool = True,
        views: int = VIEWS,
        min_confidence: float = MIN_CONFIDENCE,
    ) -> None:
        super().__init__(models, max_hands, min_score, smoothing)
        self.fit_surface = fit_surface
        self.denials = DepthDenials()
        self._propose = HandProposals(models, backend, threads)
        network = CropInference(models, len(self._hands['right'].template), backend, threads)
        parameters = network.parameters
        calibration = ScoreCalibration(**parameters.get('score_calibration', {}))
        self._observer = HandObserver(network, calibration, views)
        mesh = read_arrays(model_dir('reconstruction', models) / OBJECT_MESH, ('faces', 'mirror', 'directions'))
        self.object_faces = mesh['faces']
        self._place = HandPlacement(
            self._hands,
            self._fitters,
            network.root,
            mesh['faces'],
            mesh['mirror'],
            mesh['directions'].astype(float),
            parameters,
            min_confidence,
        )

    @property
    def views(self) -> int:
        """Crops of an upright hand whose predictions are averaged."""
        return self._observer.views

    @views.setter
    def views(self, views: int) -> None:
        self._observer.views = views

    @property
    def calibration(self) -> ScoreCalibration:
        """Makes probabilities of the scores that crops show hands."""
        return self._observer.calibration

    @calibration.setter
    def calibration(self, calibration: ScoreCalibration) -> None:
        self._observer.calibration = calibration

    @property
    def claims(self) -> Callable[[ObjectEvidence], ClaimConfidence]:
        """Confidence in the claims about a held object."""
        return self._place.claims

    @claims.setter
    def claims(self, claims: Callable[[ObjectEvidence], ClaimConfidence]) -> None:
        self._place.claims = claims

    @property
    def min_confidence(self) -> float:
        """Confidence below which a claim about a held object is withheld."""
        return self._place.min_confidence

    @min_confidence.setter
    def min_confidence(self, confidence: float) -> None:
        self._place.min_confidence = confidence

    def warm_up(self) -> None:
        """Runs everything once, so that the first frame takes as long as the others."""
        camera = Pinhole(640, 480, 600.0, 600.0, 319.5, 239.5)
        image = np.full((480, 640, 3), 90, np.uint8)
        hand = DetectedHand(np.array([320.0, 240.0]), 150.0, 1.0, 1.0, 1.0, (250.0, 170.0, 140.0, 140.0))
        depth = np.full((480, 640), 0.5, np.float32)
        for count in (1, 2, 2):
            self._propose(image, camera, depth, (), count, True, range(WINDOWS))
            tracks = [RgbTrack.start(hand, 0.0) for _ in range(count)]
            self._propose.near(image, [track.square for track in tracks])
            for track, observed in zip(
                tracks, self._observer.observe(image, camera, tracks, [track.square for track in tracks], count)
            ):
                if observed:
                    track.update(observed, 0.0, self.calibration)
                    self._place([track], depth, camera, 0.0, self.fit_surface)
        self._warmed_up()

    def __call__(
        self,
        image: np.ndarray,
        camera: Pinhole,
        stamp: float,
        depth: np.ndarray | None = None,
        regions: Sequence[Region] | None = None,
    ) -> list[HandEstimate]:
        """Reconstructs the hands of one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: of that image, undistorted.
            stamp: seconds; an earlier one than the last restarts the tracking.
            depth: (H, W) metres aligned with the image, 0 or NaN invalid; None where there is none.
            regions: where the hands are (`parts/hand_regions.py`); None to track and detect them in the whole image.

        Returns:
            The hands, those tracked longest first. Empty where there is no hand.

        Raises:
            FrameRefused: the image is not (H, W, 3) uint8 of the camera's size, or the depth has another size.
        """
        refuse_colour(image, camera)
        if depth is not None:
            refuse_aligned_depth(depth, camera)
        begun = time.perf_counter()
        self._begin(stamp)
        tracks, missed = self._track(image, camera, stamp, regions)
        tracked = time.perf_counter()
        free = None if regions is None else without_hand(regions, [track.region for track in tracks])
        found = self._discover(image, camera, stamp, tracks, missed, free, depth)
        tracks = self._surest(tracks, found)
        missed = [track for track in missed if not track.expected(stamp).is_one_of(one.square for one in found)]
        searched = time.perf_counter()
        self._tracks = []
        estimates = []
        for track, hand in zip(tracks, self._place(tracks, depth, camera, stamp, self.fit_surface)):
            if hand:
                estimates.append(hand)
            elif depth is not None:
                self.denials.deny()
            if track.outlasts(hand is not None):
                self._tracks.append(track)
        self._tracks = sorted(self._tracks + missed[: self.max_hands - len(tracks)], key=lambda track: track.identity)
        self.denials.end(bool(estimates), self._frame == 1)
        done = time.perf_counter()
        self.timings = {
            'track': tracked - begun,
            'find': searched - tracked,
            'reconstruct': done - searched,
            'total': done - begun,
        }
        return estimates

    def _track(
        self, image: np.ndarray, camera: Pinhole, stamp: float, regions: Sequence[Region] | None
    ) -> tuple[list[RgbTrack], list[RgbTrack]]:
        """The hands of the previous frames that are still there, and in their regions; and the tracks that wait for
        theirs.

        From time to time, and where the network does not confirm a hand, the detector is run about it, too: a network
        that crops by its own joints alone may drift to a part of a hand.
        """
        tracks = self._tracks[: self.max_hands]
        least = max(_TRACKED * self.min_score, _LEAST)
        expected = [track.expected(stamp) for track in tracks]
        for track in tracks:
            track.forget_side()
        observed = self._observer.observe(image, camera, tracks, expected, len(tracks))
        likely = [self._observer.score(track, seen) >= least for track, seen in zip(tracks, observed)]
        checked = [
            index
            for index, track in enumerate(tracks)
            if not likely[index] or (self._frame + track.identity) % _DETECTED_EVERY == 0
        ]
        detections = self._propose.near(image, [expected[index] for index in checked])
        again: list[tuple[int, HandSquare]] = []
        for index, hand in zip(checked, detections):
            tracks[index].detected(hand)
            square, seen = square_of(hand) if hand else None, observed[index]
            rivals = [other.square for other, sure in zip(observed, likely) if other and sure and other is not seen]
            if square and not square.is_one_of(rivals) and not (seen and seen.square.agrees(square)):
                again.append((index, square))
        shown, squares = [tracks[index] for index, _ in again], [square for _, square in again]
        others = self._observer.observe(image, camera, shown, squares, len(tracks))
        for (index, _), other in zip(again, others):
            both = [one for one in (observed[index], other) if one]
            observed[index] = max(both, key=lambda one: one.prediction.hand, default=None)
        confirmed: list[RgbTrack] = []
        missed: list[RgbTrack] = []
        # Where two tracks are at one hand, it belongs to the one that expected it there.
        for index in np.argsort([seen.square.off(at) if seen else np.inf for seen, at in zip(observed, expected)]):
            track, seen = tracks[index], observed[index]
            sure = seen if self._observer.score(track, seen) >= least else None
            if regions is None:
                track.region = None
            else:
                before = track.region
                track.region = region_of_tracked(sure.shown, before, regions) if sure else continued(before, regions)
            if regions is not None and track.region is None:
                continue
            if sure and not sure.square.is_one_of(other.square for other in confirmed):
                track.update(sure, stamp, self.calibration)
                track.give_side(track.region.side if track.region else None)
                confirmed.append(track)
            elif not sure and track.missed < _MISSES:
                track.missed += 1
                missed.append(track)
        return [track for track in tracks if track in confirmed], missed

    def _discover(
        self,
        image: np.ndarray,
        camera: Pinhole,
        stamp: float,
        tracked: list[RgbTrack],
        missed: list[RgbTrack],
        regions: Sequence[Region] | None,
        depth: np.ndarray | None,
    ) -> list[RgbTrack]:
        """New hands, and those that are seen again, which leave `missed`; `regions` hold no tracked one."""
        known = [track.square for track in tracked]
        thorough = self._is_thorough
        wanted = self.max_hands - sum(track.score >= self.min_score for track in tracked)
        if wanted <= 0 or (known and regions is None and not missed and not thorough):
            return []
        proposals: Iterable[tuple[DetectedHand, Region | None]]
        if regions is None:
            anywhere = self._propose(image, camera, depth, known, self.max_hands, thorough, self._windows)
            proposals = ((hand, None) for hand in anywhere)
        else:
            proposals = self._propose.in_regions(image, regions)
        waiting = [RgbTrack.start(hand, stamp, region, self._new_filter()) for hand, region in proposals]
        found: list[RgbTrack] = []
        while waiting and len(found) < wanted:
            others = known + [track.square for track in found]
            batch: list[RgbTrack] = []
            for track in waiting:
                room = len(found) + len(batch) < wanted
                if room and not track.square.is_one_of(others + [other.square for other in batch]):
                    batch.append(track)
            waiting = [track for track in waiting if track not in batch and not track.square.is_one_of(others)]
            for track, seen in zip(batch, self._observer.confirm(image, camera, batch, self.min_score)):
                others = known + [other.square for other in found]
                if seen and track.region and not is_in(seen.shown, track.region):
                    continue
                if seen and not (track.square.is_one_of(others) or seen.square.is_one_of(others)):
                    track.update(seen, stamp, self.calibration)
                    if self._place.is_there(track, depth, camera):
                        own = (other for other in missed if track.region and other.region is track.region)
                        there = (other for other in missed if track.may_be(other, stamp))
                        lost = next(own, None) or next(there, None)
                        if lost:
                            missed.remove(lost)
                            track.go_on_from(lost)
                        elif len(found) + len(missed) < wanted:
                            track.identity = self._new_identity()
                        else:
                            continue  # a track that waits keeps its place
                        found.append(track)
                    else:
                        self.denials.deny()
        return found

    def _surest(self, tracked: list[RgbTrack], found: list[RgbTrack]) -> list[RgbTrack]:
        """No more hands than are wanted: those that are found take the place of the most doubtful tracked ones."""
        kept = sorted(tracked, key=lambda track: -track.score)[: self.max_hands - len(found)]
        return sorted(kept + found, key=lambda track: track.identity)

    @property
    def _windows(self) -> Sequence[int]:
        """Where this frame is searched for small hands: everywhere in the first one, then in one window after the
        other."""
        if self._frame == 1:
            return range(WINDOWS)
        return [self._frame // _SEARCHED_EVERY % WINDOWS] if self._is_thorough else []

    @property
    def _is_thorough(self) -> bool:
        """Whether this frame is searched for hands that are hard to see: the first one, and one in a few."""
        return self._frame % _SEARCHED_EVERY == 1


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
