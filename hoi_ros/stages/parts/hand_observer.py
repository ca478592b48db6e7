# SPDX-License-Identifier: Apache-2.0
"""Infers tracked and new hands: a batch a round, and another round for the hands that a crop misses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.stages.parts.hand_square import HandSquare
from hoi_ros.stages.parts.reconstruction_network import CropInference
from hoi_ros.stages.parts.reconstruction_network import CropRequest
from hoi_ros.stages.parts.rgb_track import Observation
from hoi_ros.stages.parts.rgb_track import observed_as_either
from hoi_ros.stages.parts.rgb_track import observed_in
from hoi_ros.stages.parts.rgb_track import RgbTrack
from hoi_ros.stages.parts.scores import ScoreCalibration

_UNLIKELY = 0.2
"""Share of the score of a new hand below which the first crop alone refuses it."""
_CLEAR = 0.8
"""Score of a new hand from which on two crops are enough although the first one misses the hand."""


class HandObserver:
    """Observes hands with the reconstruction network.

    Args:
        network: infers crops.
        calibration: of its score that a crop shows a hand.
        views: crops of an upright hand whose predictions are averaged; hands that are tracked at once share them.
    """

    def __init__(self, network: CropInference, calibration: ScoreCalibration, views: int) -> None:
        self.calibration, self.views = calibration, views
        self._network = network

    def score(self, track: RgbTrack, seen: Observation | None) -> float:
        """Probability that an observation of a track is a hand; 0 without one."""
        return track.score_of(seen.prediction, self.calibration) if seen else 0.0

    def observe(
        self,
        image: np.ndarray,
        camera: Pinhole,
        tracks: Sequence[RgbTrack],
        squares: Sequence[HandSquare],
        sharing: int,
    ) -> list[Observation | None]:
        """Infers tracks in the squares where they are expected, and again where a crop misses the hand.

        None where there is no hand. `sharing` hands, these tracks among them, share the views.
        """
        views = max(1, self.views // max(1, sharing))
        observed = self._infer(image, camera, tracks, squares, views)
        places = [seen.square if seen and seen.missed_by(square) else None for seen, square in zip(observed, squares)]
        again = self._infer_again(image, camera, tracks, observed, places, views)
        return [other if place else seen for seen, other, place in zip(observed, again, places)]

    def confirm(
        self, image: np.ndarray, camera: Pinhole, tracks: Sequence[RgbTrack], least: float
    ) -> list[Observation | None]:
        """Infers new hands from two or three crops, which together are sure of a hand: few non-hands pass.

        The second crop is about the joints of the first. Where the first one misses the hand, a third one follows
        unless the first two are clear and the hand is centred in the second. None where there is no hand.
        """
        squares = [track.square for track in tracks]
        first = self._infer(image, camera, tracks, squares, self.views)
        missed = [bool(seen and seen.missed_by(square)) for seen, square in zip(first, squares)]
        places = [
            seen.square if seen and miss else self._joints(track, seen, least)
            for track, seen, miss in zip(tracks, first, missed)
        ]
        second = self._infer_again(image, camera, tracks, first, places, self.views, either=True)
        unclear = [
            miss and self._unclear(track, before, seen, place, least)
            for track, before, seen, miss, place in zip(tracks, first, second, missed, places)
        ]
        places = [
            self._joints(track, seen, least) if again else None for track, seen, again in zip(tracks, second, unclear)
        ]
        third = self._infer_again(image, camera, tracks, second, places, self.views)
        return [
            self._confirmed(track, [before, seen, after] if again else [before, seen], least)
            for track, before, seen, after, again in zip(tracks, first, second, third, unclear)
        ]

    def _infer(
        self,
        image: np.ndarray,
        camera: Pinhole,
        tracks: Sequence[RgbTrack],
        squares: Sequence[HandSquare],
        views: int,
    ) -> list[Observation | None]:
        """Infers tracks in squares in one batch, those of unsure side as of both sides.

        Where this frame changes a sure side, the hand is inferred again as of the other side.
        """
        requests: list[CropRequest] = []
        for track, square in zip(tracks, squares):
            requests.append(track.request(square, track.right, track.prediction))
            if track.side_unsure:
                requests.append(track.request(square, not track.right, track.prediction))
        predictions = iter(self._network(image, camera, requests, views))
        observed = [
            track.observation(square, next(predictions), next(predictions) if track.side_unsure else None)
            for track, square in zip(tracks, squares)
        ]
        changed = {
            index: seen
            for index, seen in enumerate(observed)
            if seen and (seen.side_evidence >= 0) != seen.prediction.right
        }
        requests = [
            tracks[index].request(squares[index], not tracks[index].right, tracks[index].prediction)
            for index in changed
        ]
        predictions = iter(self._network(image, camera, requests, views))
        for index, seen in changed.items():
            observed[index] = observed_in(squares[index], next(predictions), seen.side_evidence)
        return observed

    def _infer_again(
        self,
        image: np.ndarray,
        camera: Pinhole,
        tracks: Sequence[RgbTrack],
        observed: Sequence[Observation | None],
        places: Sequence[HandSquare | None],
        views: int,
        either: bool = False,
    ) -> list[Observation | None]:
        """Infers observed hands in other squares in one batch, upright as they are observed; None without a square.

        With `either` as of both sides where no region gives the side: upright crops tell it better.
        """
        both = [either and not track.side_given for track in tracks]
        requests = [
            track.request(place, right, seen.prediction)
            for track, seen, place, two in zip(tracks, observed, places, both)
            if seen and place
            for right in (seen.prediction.right, not seen.prediction.right)[: 1 + two]
        ]
        predictions = iter(self._network(image, camera, requests, views))
        again: list[Observation | None] = []
        for track, seen, place, two in zip(tracks, observed, places, both):
            if not (seen and place):
                again.append(None)
                continue
            own, other = next(predictions), next(predictions) if two else None
            if own and other:
                again.append(observed_as_either(place, own, other, track.side_evidence))
            else:
                again.append(observed_in(place, own, seen.side_evidence))
        return again

    def _joints(self, track: RgbTrack, seen: Observation | None, least: float) -> HandSquare | None:
        """The square of the joints of a new hand; None where it is unlikely or its joints lie off its square."""
        if seen is None or self.score(track, seen) < _UNLIKELY * least:
            return None
        joints = seen.prediction.square
        near = np.linalg.norm(joints.centre - seen.square.centre) < seen.square.side
        return joints if near and 0.4 < joints.side / seen.square.side < 2.5 else None

    def _unclear(
        self,
        track: RgbTrack,
        before: Observation | None,
        seen: Observation | None,
        place: HandSquare | None,
        least: float,
    ) -> bool:
        """Whether two crops of a new hand, the second one about a place, are not enough.

        A score is low, they disagree on whether the hand holds something, or the hand is not centred.
        """
        if before is None or seen is None or place is None:
            return False
        lower = min(self.score(track, before), self.score(track, seen))
        held, holds = ((each.prediction.holds or 0.0) >= 0.5 for each in (before, seen))
        return lower < max(least, _CLEAR) or held != holds or not seen.centred_in(place)

    def _confirmed(self, track: RgbTrack, observed: Sequence[Observation | None], least: float) -> Observation | None:
        """The last observation of a new hand with the mean score of all of them; None where that is not enough."""
        seen = [each for each in observed if each]
        if len(seen) < len(observed):
            return None
        *before, last = seen
        whole = last._replace(prediction=last.prediction.with_mean_score(*(each.prediction for each in before)))
        return whole if self.score(track, whole) >= least else None
