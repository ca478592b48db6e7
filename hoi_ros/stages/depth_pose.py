# SPDX-License-Identifier: Apache-2.0
"""Depth image → hands: place, side, 21 joints, pose, shape and mesh.

The networks are LSPS' (Abdi et al., BMVC 2018), G_y(P(crop)), or the stronger one trained beside it. A hand's place
comes from a given region, else from the frame before, else from the hand finder. The hand model is fitted to the
inferred joints, and the fit is refined on the observed surface.
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
from hoi_ros.camera.refusal import refuse_depth
from hoi_ros.engines.loading import Backend
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.surface_fit import SurfaceFitter
from hoi_ros.stages.parts.depth_pose_network import GOOD_JOINT
from hoi_ros.stages.parts.depth_pose_network import HandNetwork
from hoi_ros.stages.parts.depth_pose_network import VARIANTS
from hoi_ros.stages.parts.depth_track import DepthTrack
from hoi_ros.stages.parts.depth_track import SURE
from hoi_ros.stages.parts.depth_track import waiting_for
from hoi_ros.stages.parts.following import HandFollowing
from hoi_ros.stages.parts.hand_finder import FoundHand
from hoi_ros.stages.parts.hand_finder import HandFinder
from hoi_ros.stages.parts.hand_regions import centre_of
from hoi_ros.stages.parts.hand_regions import is_in
from hoi_ros.stages.parts.hand_regions import region_of_tracked
from hoi_ros.stages.parts.hand_regions import without_hand
from hoi_ros.stages.parts.inferred_hand import InferredHand
from hoi_ros.stages.parts.inferred_hand import mean_of
from hoi_ros.stages.parts.inferred_hand import side_evidence
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.parts.scores import probability

__all__ = ['VARIANTS', 'DepthPoseStage', 'side_evidence']

_CANDIDATE, _UNJUDGED = 0.05, 0.2
"""Lowest scores of the finder's proposals, with a network that estimates the probability of a hand and without."""
_DOUBTFUL = 0.002
"""Proposals that score below this after the first crop are discarded."""
_UNLIKELY = 0.2
"""The side of a hand is not estimated below this share of a new hand's least score."""
_FOLLOWED, _LEAST = 0.5, 0.05
"""Share of a new hand's least score below which a tracked hand is not seen, and the least such score."""
_RECENTRE = 0.012
"""A followed hand further than this from its crop's centre is cropped again, metres."""
_CROPS, _FAR_OFF = 2, 0.02
"""A new hand further than this from its crop's centre, metres, is cropped again, at most this many times."""
_QUARTERS = math.pi / 2, math.pi, -math.pi / 2
"""Rolls of a new hand's first crops beside none, radians."""
_CERTAIN = 0.012
"""Mean expected error of the joints below which a new hand needs no crop of another roll, metres."""
_ALIGNING_VIEWS = 3
"""Views of each side that align and centre the crops of a new hand."""
_FEW_STEPS = 1
"""Least-squares steps of a fit that is refined on the surface: more would follow the noise of the joints."""
_SEARCH_EVERY = 5
"""Frames between two searches for another hand while one is followed."""
_OTHER_SIDE = 0.05
"""Of two followed hands at one place, one that looks of the other side is put off by this, metres."""


class DepthPoseStage(HandFollowing[DepthTrack]):
    """Tracks up to two hands through depth images.

    Args:
        models: folder of the trained networks and of the hand model; the package's own by default.
        backend: of the engines.
        threads: of the engines.
        max_hands: hands at most.
        min_score: least score of a new hand.
        smoothing: filter of the joints over time, or None.
        variant: the network, one of `VARIANTS`.
        views: rolled crops about the upright hand that are averaged for a new hand, for each side.
        following_views: the same for a tracked hand.

    Raises:
        ValueError: the variant is unknown.
        EngineError, HandModelError: a model is missing or damaged.
    """

    def __init__(
        self,
        models: Path | None = None,
        backend: Backend = 'auto',
        threads: int | None = None,
        max_hands: int = 2,
        min_score: float = 0.5,
        smoothing: OneEuroConfig | None = None,
        variant: str = 'depth_pose',
        views: int = 3,
        following_views: int = 1,
    ) -> None:
        self.network = HandNetwork(models, backend, threads, variant)
        super().__init__(models, max_hands, min_score, smoothing)
        self.views, self.following_views = views, following_views
        self._proposed = _CANDIDATE if self.network.detects else _UNJUDGED
        self._finder = HandFinder(models, backend, threads)
        self._surfaces = {side: SurfaceFitter(model) for side, model in self._hands.items()}

    def warm_up(self) -> None:
        """Runs everything once, so that the first frame is as fast as the others."""
        camera = Pinhole(640, 480, 600.0, 600.0, 319.5, 239.5)
        rows, columns = np.mgrid[:480, :640]
        ball = (0.5 + ((columns - 320) ** 2 + (rows - 240) ** 2) * 1e-5).astype(np.float32)
        place = np.array([0, 0, 0.5], np.float32)
        rest = (
            self._hands['right']
            .forward(np.zeros(48, np.float32), np.zeros(10, np.float32), place, vertices=False)
            .keypoints
        )
        for _ in range(2):
            self._finder(ball, camera)
            self._follow_hand(ball, camera, place.astype(float), rest, True)
            hand = InferredHand(rest.astype(float), np.full(21, 0.01), 1.0, 1.0, True)
            self.both_sides(ball, camera, hand)
            self._estimate(self._start(hand, 0.0), hand, ball, camera, 0.0)
        self._warmed_up()

    def __call__(
        self, depth: np.ndarray, camera: Pinhole, stamp: float, regions: Sequence[Region] | None = None
    ) -> list[HandEstimate]:
        """Estimates the hands in one image.

        Args:
            depth: (H, W) metres, 0 or NaN invalid.
            camera: of that image, undistorted.
            stamp: seconds; one before the last starts tracking anew.
            regions: where the hands are (`parts/hand_regions.py` has the rule); None to track and find them in the
                whole image.

        Returns:
            The hands, longest followed first; empty without a hand.

        Raises:
            FrameRefused: the depth is not (H, W) floats of the camera's size.
        """
        refuse_depth(depth, camera)
        begun = time.perf_counter()
        self._begin(stamp)
        followed, missed = self._follow(depth, camera, stamp, regions)
        tracked = time.perf_counter()
        free = None if regions is None else without_hand(regions, [track.region for track, _ in followed])
        fresh = self._discover(depth, camera, [hand for _, hand in followed], free, bool(missed))
        new: list[tuple[InferredHand, Region | None]] = []
        for hand, region in fresh:
            again = waiting_for(missed, hand, region, stamp)
            if again is None:
                new.append((hand, region))
                continue
            missed.remove(again)
            again.region = region
            again.give_side(region.side if region else None)
            if again.right != hand.right:
                again.side_evidence, again.smoothing, again.fit = hand.evidence, self._new_filter(), None
            followed.append((again, hand))
        # A hand that is waited for keeps its place.
        room = max(self.max_hands - len(followed) - len(missed), 0)
        followed += [(self._start(hand, stamp, region), hand) for hand, region in new[:room]]
        followed.sort(key=lambda each: each[0].identity)
        found = time.perf_counter()
        self._tracks = []
        estimates = []
        for track, hand in followed:
            try:
                estimates.append(self._estimate(track, hand, depth, camera, stamp))
                self._tracks.append(track)
            except ValueError:
                # Joints on one line are not a hand, whatever its score: the track ends.
                continue
        self._tracks += missed
        done = time.perf_counter()
        self.timings = {'track': tracked - begun, 'find': found - tracked, 'fit': done - found, 'total': done - begun}
        return estimates

    def _follow(
        self, depth: np.ndarray, camera: Pinhole, stamp: float, regions: Sequence[Region] | None
    ) -> tuple[list[tuple[DepthTrack, InferredHand]], list[DepthTrack]]:
        """The followed hands that are seen, and the tracks of those that are not; where several follow one hand, that
        which is most like it does."""
        seen: list[tuple[float, DepthTrack, InferredHand]] = []
        unseen: list[DepthTrack] = []
        least = max(_FOLLOWED * self.min_score, _LEAST)
        for track in self._tracks[: self.max_hands]:
            expected = track.expected(stamp)
            hand = self._follow_hand(depth, camera, expected, track.joints, track.right)
            if hand.score >= least:
                gap = float(np.linalg.norm(hand.centre - expected))
                seen.append((gap + _OTHER_SIDE * (hand.right != track.right), track, hand))
            else:
                unseen.append(track)
        chosen: list[tuple[DepthTrack, InferredHand]] = []
        for _, track, hand in sorted(seen, key=lambda each: each[0]):
            if not hand.near(other for _, other in chosen):
                chosen.append((track, hand))
            else:
                unseen.append(track)
        followed: list[tuple[DepthTrack, InferredHand]] = []
        for track, hand in sorted(chosen, key=lambda each: each[0].identity):
            track.region = region_of_tracked(hand.square(camera), track.region, regions) if regions else None
            if regions is not None and track.region is None:
                continue
            if self.network.tells_sides and track.add_side(hand.evidence):
                track.identity, track.smoothing, track.fit = self._new_identity(), self._new_filter(), None
            track.give_side(track.region.side if track.region else None)
            if track.right != hand.right:
                # The track's side is reported, not this frame's.
                hand = self._infer(depth, camera, hand.centre, track.right, hand.joints, self.following_views)
            followed.append((track, hand))
        return followed, [track for track in unseen if track.waits(stamp, regions)]

    def _discover(
        self,
        depth: np.ndarray,
        camera: Pinhole,
        known: list[InferredHand],
        regions: Sequence[Region] | None,
        missing: bool,
    ) -> list[tuple[InferredHand, Region | None]]:
        """New hands and the regions that they come from; `known` are the followed hands, `regions` hold none of them,
        and `missing` says whether one that was followed is not seen."""
        if len(known) >= self.max_hands or (known and regions is None and not missing and self._frame % _SEARCH_EVERY):
            return []
        candidates: list[tuple[InferredHand, Region | None]] = []
        if regions is None:
            candidates += [(hand, None) for hand in self.candidates(depth, camera, known)]
        else:
            tried = [(self._hand_in(depth, camera, region), region) for region in regions]
            candidates += [(hand, region) for hand, region in tried if hand and is_in(hand.square(camera), region)]
        fresh: list[tuple[InferredHand, Region | None]] = []
        for hand, region in candidates:
            if hand.score >= self.min_score and not hand.near(known + [other for other, _ in fresh]):
                fresh.append((hand, region))
        return fresh

    def candidates(self, depth: np.ndarray, camera: Pinhole, known: Sequence[InferredHand] = ()) -> list[InferredHand]:
        """The hands at the finder's proposals away from the known hands, confirmed or not, as both networks score them;
        by falling score of the finder."""
        score = self.network.proposal_calibration
        return [
            dataclasses.replace(hand, score=score(hand.score, found.score))
            for found, hand in self.proposals(depth, camera, known)
        ]

    def proposals(
        self, depth: np.ndarray, camera: Pinhole, known: Sequence[InferredHand] = ()
    ) -> list[tuple[FoundHand, InferredHand]]:
        """The finder's proposals away from the known hands, by falling score, and the hands that the network sees
        there, with its own score."""
        # While a hand is followed, another one may be found in a later frame.
        most, least = (self.max_hands, 2 * self._proposed) if known else (self.max_hands + 4, self._proposed)
        found = self._finder(depth, camera, most, least, [hand.centre for hand in known])
        return [(each, self._new_hand(depth, camera, each.centre, True)) for each in found]

    def _hand_in(self, depth: np.ndarray, camera: Pinhole, region: Region) -> InferredHand | None:
        """The best hand at the depths that a region holds: its nearest surface need not be the hand."""
        left, top = max(int(region.x), 0), max(int(region.y), 0)
        end, bottom = int(region.x + region.width), int(region.y + region.height)
        window = depth[top : max(bottom, top + 1), left : max(end, left + 1)]
        valid = window[window > 0]
        if not valid.size:
            return None
        pixel = centre_of(region)
        depths = np.unique(np.percentile(valid, [15, 50, 80]).round(2))
        right, sure = region.side != 'left', SURE if region.side else 0.0
        hands = [self._new_hand(depth, camera, camera.unproject(pixel, z), right, sure) for z in depths]
        return max(hands, key=lambda hand: hand.score)

    def _follow_hand(
        self, depth: np.ndarray, camera: Pinhole, centre: np.ndarray, joints: np.ndarray, right: bool
    ) -> InferredHand:
        """Infers a hand near its expected centre, upright by its joints of the frame before; again where the crop
        lies off the hand, and for the other side where its own does not fit."""
        views = self.following_views
        hand = self._infer(depth, camera, centre, right, joints, views)
        if hand.score >= _DOUBTFUL and np.linalg.norm(hand.centre - centre) > _RECENTRE:
            centre, joints = hand.centre, hand.joints
            hand = self._infer(depth, camera, centre, right, joints, views)
        if hand.score < _DOUBTFUL or hand.side_fits >= 0.5:
            return hand
        other = self._infer(depth, camera, centre, not right, joints, views)
        return other if other.side_fits > hand.side_fits else hand

    def _new_hand(
        self, depth: np.ndarray, camera: Pinhole, centre: np.ndarray, right: bool, sure: float = 0.0
    ) -> InferredHand:
        """Infers what may be a hand near a centre, cropped again where it lies off it, then upright as both sides.

        The side is that of which the network is surer and whose hand model fits the joints better. A network that
        tells the sides has learned the joints of both: the mean of the two inferences is nearer to the truth. `sure`
        are log-odds of the given side that are known before.
        """
        hand = self._first_crops(depth, camera, centre, right)
        for _ in range(_CROPS):
            if hand.score < _DOUBTFUL or np.linalg.norm(hand.centre - centre) < _FAR_OFF:
                break
            centre = hand.centre
            hand = self._infer(depth, camera, centre, right, hand.joints)
        if hand.score < _UNLIKELY * self.min_score:
            return hand
        hand, other = self.both_sides(depth, camera, hand, self.network.side_by_fits)
        evidence = self.network.side_calibration(*side_evidence(hand, other)) + sure
        chosen = hand if evidence >= 0 else other
        if self.network.tells_sides:
            both = mean_of([hand, other])
            chosen = self._fitted(dataclasses.replace(chosen, joints=both.joints, spread=both.spread), _FEW_STEPS)
        return dataclasses.replace(chosen, side_fits=probability(abs(evidence)))

    def _first_crops(self, depth: np.ndarray, camera: Pinhole, centre: np.ndarray, right: bool) -> InferredHand:
        """The inference of least expected error under four rolls, for a hand whose roll is unknown; of the first roll
        where it is certain or not a hand."""
        crop = self.network.crop(camera, centre, right)
        hands = self.network.infer(depth, [[crop]])
        if hands[0].score >= _DOUBTFUL and hands[0].spread.mean() > _CERTAIN:
            hands += self.network.infer(depth, [[dataclasses.replace(crop, turn=turn)] for turn in _QUARTERS])
        return min(hands, key=lambda hand: hand.spread.mean())

    def both_sides(
        self, depth: np.ndarray, camera: Pinhole, hand: InferredHand, with_fits: bool = True
    ) -> tuple[InferredHand, InferredHand]:
        """A hand inferred as its side and as the other one, with their fits; a first inference aligns the crops."""
        aligned = self._sides(depth, camera, hand, _ALIGNING_VIEWS)
        hand = mean_of(aligned) if self.network.tells_sides else aligned[0]
        sides = self._sides(depth, camera, hand, self.views)
        own, other = (self._fitted(side) if with_fits else side for side in sides)
        return own, other

    def _sides(self, depth: np.ndarray, camera: Pinhole, hand: InferredHand, views: int) -> list[InferredHand]:
        """Several views of a hand, upright by its joints, as its side and as the other one, in one batch."""
        crops = (self.network.crop(camera, hand.centre, side) for side in (hand.right, not hand.right))
        return self.network.infer(depth, [self.network.upright(crop, hand.joints, views) for crop in crops])

    def _fitted(self, hand: InferredHand, steps: int | None = None) -> InferredHand:
        """The hand with its fit; without one where its joints lie on one line."""
        try:
            return dataclasses.replace(hand, fit=self._fitters[hand.side].fit(hand.joints, hand.weights, steps=steps))
        except ValueError:
            return hand

    def _infer(
        self, depth: np.ndarray, camera: Pinhole, centre: np.ndarray, right: bool, joints: np.ndarray, views: int = 1
    ) -> InferredHand:
        """The mean of several views about the one in which a hand with joints (21, 3) stands upright."""
        crop = self.network.crop(camera, centre, right)
        return self.network.infer(depth, [self.network.upright(crop, joints, views)])[0]

    def _start(self, hand: InferredHand, stamp: float, region: Region | None = None) -> DepthTrack:
        identity, smoothing = self._new_identity(), self._new_filter()
        track = DepthTrack(identity, hand.evidence, hand.joints, np.zeros(3), stamp, smoothing, region)
        track.give_side(region.side if region else None)
        return track

    def _fit(self, hand: InferredHand, before: HandFit | None) -> HandFit:
        fitter = self._fitters[hand.side]
        if hand.fit is not None:
            return hand.fit
        if before is None:
            return fitter.fit(hand.joints, hand.weights)
        return fitter.fit(hand.joints, hand.weights, before, _FEW_STEPS)

    def _estimate(
        self, track: DepthTrack, hand: InferredHand, depth: np.ndarray, camera: Pinhole, stamp: float
    ) -> HandEstimate:
        track.update(hand.joints, stamp)
        fit = self._fit(hand, track.fit)
        crop = CubeCrop(camera, fit.keypoints.mean(0).astype(float), self.network.cube)
        fit = self._surfaces[hand.side].refine(fit, hand.weights, crop.surface(depth))
        if track.smoothing:
            # Filtered joints no longer belong to a hand: the model is fitted to them once more.
            fit = self._fitters[hand.side].fit(track.smoothing(fit.keypoints, stamp), None, fit)
        track.fit = fit
        return HandEstimate(
            side=hand.side,
            side_score=probability(abs(track.side_evidence)),
            track_id=track.identity,
            score=hand.score,
            joints=fit.keypoints,
            joint_scores=(1 - np.exp(-GOOD_JOINT / np.maximum(hand.spread, 1e-4))).astype(np.float32),
            pose=fit.pose,
            shape=fit.shape,
            translation=fit.translation,
            vertices=self._hands[hand.side].forward(fit.pose, fit.shape, fit.translation).vertices,
        )
