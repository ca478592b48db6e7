# SPDX-License-Identifier: Apache-2.0
"""Requests for samples of the two-hand prior → hands with scores, and the volume that the two of a sample share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.engines.errors import EngineError
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import MOST_TURNED
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import HandParameters
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import vector_of
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.volumes import grid_volume
from hoi_ros.resources import ResourceError
from hoi_ros.stages.parts.object_points import ObjectError
from hoi_ros.stages.parts.pair_plausibility import change_of
from hoi_ros.stages.parts.pair_plausibility import plausibility
from hoi_ros.stages.parts.sample_request import HandSamples
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.stages.parts.two_hand_object import EmbeddedObject
from hoi_ros.stages.parts.two_hand_object import ObjectEmbedding
from hoi_ros.stages.parts.two_hand_sampler import PORTION
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler

MOST = 256
"""Samples of a request."""
_VOXEL = 0.001
"""Edge of a voxel of the shared volume, metres, as in the paper."""
_SIDES = ('left', 'right')
FARTHEST = 20.0
"""Largest distance of a hand or an object from the origin of its frame, metres."""
_APART = 0.3
"""Largest distance of an anchor's wrist from the box around the object, metres: further away both are in different
frames."""
STRANGEST = 8.0
"""Largest coefficient of the shape of a hand."""
_BEYOND = np.radians(60)
"""Largest angle by which the joints of an anchor may be beyond their limits."""
_STRONGEST = {'guidance': 3.0, 'anti_penetration': 100.0}
"""Largest strength of each guidance: fingers and shapes drawn more strongly towards the anchor are no hand's."""


class _AbortedError(Exception):
    """Nobody waits for the samples any more."""


class SampleMaker:
    """Makes samples.

    Args:
        sampler: of the network.
        models: the hand models by side.
        changes: quantiles of `pair_plausibility` by 'alone' and 'beside'; without them the scores are NaN.
        load_object: loads the object encoder, once an object is given.
    """

    def __init__(
        self,
        sampler: TwoHandSampler,
        models: Mapping[str, HandModel],
        changes: Mapping[str, Sequence[float]],
        load_object: Callable[[], ObjectEmbedding],
    ) -> None:
        self._sampler, self._models, self._changes = sampler, models, changes
        self._load_object = load_object
        self._closed = {side: close_holes(model.faces) for side, model in models.items()}
        self._object: ObjectEmbedding | None = None

    def __call__(
        self,
        request: SampleRequest,
        steps: int,
        abort: Callable[[], bool] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> HandSamples | None:
        """See `TwoHandPriorStage.sample`."""
        refuse_unfit(request, self._models)

        def check() -> None:
            if abort is not None and abort():
                raise _AbortedError

        self._sampler.check = check
        hands: list[list[HandEstimate]] = []
        scores: list[float] = []
        volumes: list[float] = []
        try:
            thing = self._embedded(request)
            config = SamplingConfig(steps, request.guidance, request.anti_penetration)
            for first in range(0, request.count, PORTION):
                count = min(PORTION, request.count - first)
                made, score = self._portion(request, thing, config, request.first + first, count)
                scores += score.tolist()
                for row in range(count):
                    check()
                    sides = [self._estimate(made[side][row], side, score[row]) for side in _SIDES if side in made]
                    sides = [hand for hand in sides if request.side in ('both', hand.side)]
                    volumes.append(self._shared(sides))
                    hands.append(_numbered(sides, request, request.first + first + row))
                if progress is not None:
                    progress(first + count)
        except _AbortedError:
            return None
        finally:
            self._sampler.check = _never
        return HandSamples(hands, np.array(scores), np.array(volumes))

    def _embedded(self, request: SampleRequest) -> EmbeddedObject | None:
        """The object of a request.

        Raises:
            FrameRefused: it is none that hands hold, or the network takes no objects.
        """
        if request.object_vertices is None or request.object_faces is None:
            return None
        if not self._sampler.object_width:
            raise FrameRefused('the network takes no objects: leave the object out, or install a network that does')
        try:
            if self._object is None:
                self._object = self._load_object()
            return self._object(request.object_vertices, request.object_faces)
        except (ObjectError, EngineError, ResourceError) as error:
            raise FrameRefused(str(error)) from error

    def _portion(
        self, request: SampleRequest, thing: EmbeddedObject | None, config: SamplingConfig, first: int, count: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The hands (count, 64) of some samples by side, in the frame of the request, and their scores (count,)."""
        sampler, seed = self._sampler, request.seed
        feature, origin = (None, np.zeros(3)) if thing is None else thing
        made: dict[str, np.ndarray] = {}
        if request.anchor is not None:
            given = request.anchor
            anchor = vector_of(self._models[given.side], HandParameters(given.pose, given.shape, given.translation))
            anchor[PLACE] -= origin
            sampled = 'left' if given.side == 'right' else 'right'
            made[given.side] = np.tile(anchor, (count, 1))
            made[sampled] = sampler.beside(anchor, count, seed, sampled, feature, config, first)
        elif request.side == 'both':
            sampled = 'right'
            made['right'], made['left'] = sampler.pairs(count, seed, feature, config, first)
        else:
            sampled = request.side
            made[sampled] = sampler.alone(count, seed, sampled, feature, config, first)
        scores = self._scores(made, sampled, thing)
        for hands in made.values():
            hands[:, PLACE] += origin.astype(np.float32)
        return made, scores

    def _scores(self, made: Mapping[str, np.ndarray], sampled: str, thing: EmbeddedObject | None) -> np.ndarray:
        """(N,) scores of the hands that were sampled last."""
        # The network knows right hands: a left one is scored as its mirror image.
        hands = made[sampled] if sampled == 'right' else mirrored(made[sampled])
        other = made.get('left' if sampled == 'right' else 'right')
        if other is not None and sampled == 'left':
            other = mirrored(other)
        feature = None
        if thing is not None:
            feature = thing.feature.own if sampled == 'right' else thing.feature.mirrored
        elif other is not None:
            hands, other = about_anchor(hands, other), anchored(other)
        quantiles = self._changes.get('alone' if other is None else 'beside')
        if not quantiles:
            return np.full(len(hands), np.nan)
        return plausibility(change_of(self._sampler, hands, other, feature), quantiles)

    def _estimate(self, vector: np.ndarray, side: str, score: float) -> HandEstimate:
        wanted = parameters_of(self._models[side], vector)
        posed = self._models[side].forward(*wanted)
        return HandEstimate(
            side,
            0,
            float(score),
            np.asarray(posed.keypoints, np.float32),
            np.ones(21, np.float32),
            wanted.pose,
            wanted.shape,
            wanted.translation,
            np.asarray(posed.vertices, np.float32),
        )

    def _shared(self, hands: Sequence[HandEstimate]) -> float:
        """m³ that the two hands of a sample share; 0 of one hand."""
        if len(hands) < 2:
            return 0.0
        origin = hands[0].joints[0]
        first, second = (hand.vertices - origin for hand in hands)
        faces = [self._closed[hand.side] for hand in hands]
        return grid_volume(first, faces[0], second, faces[1], _VOXEL)


def refuse_unfit(request: SampleRequest, models: Mapping[str, HandModel]) -> None:
    """Refuses a request that cannot be carried out.

    Raises:
        FrameRefused: its count, a strength, or its anchor cannot be used, or anchor and object are far from each other.
    """
    if not 1 <= request.count <= MOST:
        raise FrameRefused(f'count is {request.count}, expected 1 to {MOST}')
    if request.seed < 0 or request.first < 0:
        raise FrameRefused(f'seed and first sample are {request.seed} and {request.first}, expected 0 or more')
    for name, strength in (('guidance', request.guidance), ('anti_penetration', request.anti_penetration)):
        if not 0 <= strength <= _STRONGEST[name]:
            raise FrameRefused(f'{name} is {strength}, expected 0 to {_STRONGEST[name]:g}')
    if request.side not in ('both', *_SIDES):
        raise FrameRefused(f'side is {request.side!r}, expected left, right or both')
    anchor = request.anchor
    if anchor is None:
        return
    if anchor.side == request.side:
        raise FrameRefused(
            f'the anchor is a {anchor.side} hand and so are the samples: let side be that of the other hand, or both'
        )
    if anchor.side not in models:
        raise FrameRefused(f'the side of the anchor is {anchor.side!r}, expected left or right')
    for name, size in (('pose', 48), ('shape', 10), ('translation', 3)):
        array = np.asarray(getattr(anchor, name))
        if array.shape != (size,) or not np.isfinite(array).all():
            raise FrameRefused(f'the {name} of the anchor is not {size} finite numbers')
    if (strange := float(np.abs(anchor.shape).max())) > STRANGEST:
        raise FrameRefused(
            f'the anchor is no hand: a coefficient of its shape is {strange:.3g}, expected at most {STRANGEST:g}'
        )
    if (turned := float(np.abs(anchor.pose).max())) > MOST_TURNED:
        raise FrameRefused(
            f'the anchor is no hand: its pose has a rotation of {turned:.3g} rad, expected at most {MOST_TURNED:g}'
        )
    refuse_far('the anchor', anchor.translation)
    model = models[anchor.side]
    angles, limits = model.anatomical(np.asarray(anchor.pose))[1:], model.limits[1:]
    if (beyond := float(np.maximum(angles - limits[..., 1], limits[..., 0] - angles).max())) > _BEYOND:
        raise FrameRefused(
            f'the anchor is no hand: a joint is bent {np.degrees(beyond):.0f} degrees beyond its limit, expected at '
            f'most {np.degrees(_BEYOND):.0f}'
        )
    if request.object_vertices is not None and len(request.object_vertices):
        _refuse_apart(anchor.translation, np.asarray(request.object_vertices, float))


def refuse_far(what: str, place: np.ndarray) -> None:
    """Refuses what is far away.

    Args:
        what: a hand or an object.
        place: (3,) metres.

    Raises:
        FrameRefused: it is further than 20 m from the origin of its frame.
    """
    if (distance := float(np.linalg.norm(np.asarray(place, float)))) > FARTHEST:
        raise FrameRefused(
            f'{what} is {distance:.4g} m away from the origin of its frame, expected at most {FARTHEST:g} m: it seems '
            'to be in millimetres'
        )


def _refuse_apart(wrist: np.ndarray, vertices: np.ndarray) -> None:
    """Refuses a wrist (3,) that is far from the box around the vertices (M, 3) of an object."""
    outside = np.maximum(np.maximum(vertices.min(0) - wrist, wrist - vertices.max(0)), 0)
    if (distance := float(np.linalg.norm(outside))) > _APART:
        raise FrameRefused(
            f'the anchor is {distance:.2f} m away from the object, expected at most {_APART:g} m: both must be in one '
            'frame'
        )


def _numbered(hands: Sequence[HandEstimate], request: SampleRequest, number: int) -> list[HandEstimate]:
    """The hands of a sample with their tracks, and the anchor as it was given."""
    result = []
    for hand in hands:
        track = 2 * number + _SIDES.index(hand.side)
        given = request.anchor if request.anchor is not None and request.anchor.side == hand.side else hand
        result.append(dataclasses.replace(given, track_id=track))
    return result


def _never() -> None:
    """Nothing ends a sampling."""
