# SPDX-License-Identifier: Apache-2.0
"""Two observed hands → the same hands where pairs of hands are likely, and samples of hands on request.

The prior is that of Lee et al., "InterHandGen: Two-Hand Interaction Generation via Cascaded Reverse Diffusion" (CVPR
2024): a diffusion network that makes a hand alone, beside another hand, or on an object.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hoi_ros.engines import Backend
from hoi_ros.engines import load_engine
from hoi_ros.engines.errors import ModelFileError
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import MOST_TURNED
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import HandParameters
from hoi_ros.hand.pair import out_of_frame
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import vector_of
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.volumes import grid_volume
from hoi_ros.resources import model_dir
from hoi_ros.stages.parts.hand_separation import HandSurfaces
from hoi_ros.stages.parts.hand_separation import nearest_of
from hoi_ros.stages.parts.pair_cleaner import CleanedPair
from hoi_ros.stages.parts.pair_cleaner import confidences_of
from hoi_ros.stages.parts.pair_cleaner import PairCleaner
from hoi_ros.stages.parts.pair_regulariser import PairRegulariser
from hoi_ros.stages.parts.pair_regulariser import RegulariserConfig
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.sample_request import HandInteraction
from hoi_ros.stages.parts.sample_request import HandSamples
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.stages.parts.two_hand_gap import hand_gap
from hoi_ros.stages.parts.two_hand_object import ObjectEmbedding
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler
from hoi_ros.stages.parts.two_hand_samples import FARTHEST
from hoi_ros.stages.parts.two_hand_samples import SampleMaker
from hoi_ros.stages.parts.two_hand_samples import STRANGEST

_SIDES = ('left', 'right')
_BATCHES = 2, 16, 32
"""Items of a run where a backend compiles for a number of items: two observed hands or one guided sample, sampled hands
without guidance and with it."""
_VOXEL = 0.003
"""Edge of a voxel of the volume that two observed hands share, metres."""
_APART = 0.1
"""Distance of the boxes around two hands beyond which their gap is that of their nearest vertices, metres."""
_OVERLAPPING = 5e-6
"""Shared volume, m³, from which on a hand may be misplaced: observations that lie on one hand share more, and hands
that touch less."""
_PARTING = 0.01
"""Metres by which a placed hand is moved out of the other one. On 212 validation pairs none, one, two and three such
steps take 11, 12, 12 and 11 % from the error of the relative root and 68, 77, 85 and 89 % from the shared volume, but
add 2, 4, 6 and 9 % to the error of the joints in the camera's frame."""
_ONE_HAND = 3e-5
"""Shared volume, m³, beyond which two estimates are of one hand, or one of them is no hand: joints of such simulated
pairs are off by centimetres. Unless one is found to be misplaced, both pass through."""
_PLACED_WRIST = 0.5
"""Weight of the wrist of a hand that was placed."""


class TwoHandPriorStage:
    """Regularises two hands that interact, and samples hands.

    Args:
        models: folder of the trained network and of the hand model; the package's own by default.
        backend: of the engine.
        threads: of the engine.
        regularise: whether two hands that interact are moved.
        nearness: gap below which two hands interact, metres.
        steps: denoising steps of a sample; those of the model's card by default.
        config: of the regularisation.

    Attributes:
        interaction: what became of the hands of the last call.
        timings: seconds of each part of the last call.

    Raises:
        EngineError, HandModelError, ResourceError: a model is missing or damaged.
    """

    def __init__(
        self,
        models: Path | None = None,
        backend: Backend = 'auto',
        threads: int | None = None,
        regularise: bool = True,
        nearness: float = 0.02,
        steps: int | None = None,
        config: RegulariserConfig | None = None,
    ) -> None:
        self.regularise, self.nearness = regularise, nearness
        self.timings: dict[str, float] = {}
        self.interaction = HandInteraction(False, 'no image yet')
        right = HandModel.load(model_dir('hand_model', models) / 'hand.npz')
        self._hands = {'right': right, 'left': right.mirrored()}
        self._closed = {side: close_holes(hand.faces) for side, hand in self._hands.items()}
        folder = model_dir('two_hand_prior', models)
        self._engine = load_engine(folder, backend, threads=threads)
        self._engine.prepare(*(batch for batch in _BATCHES if batch <= self._engine.card.largest_batch))
        parameters = self._engine.card.parameters
        missing = [name for name in ('steps', 'object_width') if name not in parameters]
        if missing:
            raise ModelFileError(
                f'{folder}: the card lacks the parameters {", ".join(missing)}: export the model again'
            )
        self.steps = steps or int(parameters['steps'])
        whitening = PairWhitening.load(folder)
        self._sampler = TwoHandSampler(self._engine, whitening, right, int(parameters['object_width']))
        self._regulariser = PairRegulariser(self._sampler, config)
        cleaner = load_engine(model_dir('two_hand_clean', models), backend, threads=threads)
        cleaner.prepare(2)
        self._cleaner = PairCleaner(cleaner)
        self._maker = SampleMaker(
            self._sampler,
            self._hands,
            parameters.get('changes', {}),
            lambda: ObjectEmbedding(self._engine.card, models, backend, threads),
        )

    @property
    def object_faces(self) -> np.ndarray:
        """(0, 3): the stage reconstructs no objects."""
        return np.zeros((0, 3), np.uint32)

    def hand_model(self, side: str) -> HandModel:
        """The hand model of 'left' or 'right'."""
        return self._hands[side]

    def warm_up(self) -> None:
        """Regularises two hands and samples a pair once, so that the first frame takes as long as the others."""
        pair = self.sample(SampleRequest(1, 0))
        if pair is not None:
            left, right = pair.hands[0]
            self._regularised(left, right)
        self.reset()

    def reset(self) -> None:
        """Forgets the last call."""
        self.timings, self.interaction = {}, HandInteraction(False, 'no image yet')

    def sample(
        self,
        request: SampleRequest,
        abort: Callable[[], bool] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> HandSamples | None:
        """Samples hands: pairs, hands of one side, or hands beside an anchor, with or without an object.

        With an anchor or an object they are in its frame; free pairs are in the frame of the left wrist, free hands in
        that of their own. An object is seen along the axes of its frame. The scores are those of
        `hoi_ros.stages.parts.pair_plausibility`, of the hand that was sampled last given the other one.

        Args:
            request: what is wanted.
            abort: asked before each run of the network; where it says True, the answer is None.
            progress: told the number of samples that are done.

        Raises:
            FrameRefused: the request cannot be carried out; the text says why.
        """
        return self._maker(request, self.steps, abort, progress)

    def __call__(self, hands: Sequence[HandEstimate], object_faces: np.ndarray, stamp: float) -> list[HandEstimate]:
        """Regularises the hands of one image.

        Args:
            hands: of it, in the camera's frame.
            object_faces: not used.
            stamp: seconds; not used.

        Returns:
            The same hands in the same order. Exactly one left and one right hand, nearer than `nearness`, are moved; a
            misplaced one is placed beside the other one, with lower scores. All others are returned as they came.
            `interaction` says what happened.
        """
        begun = time.perf_counter()
        self.timings = {}
        hands = list(hands)
        by_side = {hand.side: hand for hand in hands}
        if len(hands) != 2 or len(by_side) != 2:
            counted = ' and '.join(f'{sum(hand.side == side for hand in hands)} {side}' for side in _SIDES)
            self.interaction = HandInteraction(False, f'{counted} hands, expected one of each')
        else:
            left, right = self._regularised(by_side['left'], by_side['right'])
            hands = [left if hand.side == 'left' else right for hand in hands]
        self.timings['total'] = time.perf_counter() - begun
        return hands

    def _regularised(self, left: HandEstimate, right: HandEstimate) -> tuple[HandEstimate, HandEstimate]:
        """Both hands, moved where they interact; `interaction` says it."""
        untouched = HandInteraction(False, '', left.track_id, right.track_id)
        for hand in (left, right):
            if fault := fault_of(hand):
                self.interaction = dataclasses.replace(untouched, reason=f'the {hand.side} hand is no hand: {fault}')
                return left, right
        begun = time.perf_counter()
        own, other = (vector_of(self._hands[hand.side], _parameters(hand)) for hand in (right, left))
        pair = self._pair(own, other)
        gap = self._gap(*pair.surfaces)
        before = self._volume(*pair.surfaces) if gap < 0 else 0.0
        untouched = dataclasses.replace(untouched, gap=gap, intersection_before=before, intersection_after=before)
        if not self.regularise or gap >= self.nearness:
            reason = f'their surfaces are {100 * gap:.1f} cm apart, nearness is {100 * self.nearness:g} cm'
            self.interaction = dataclasses.replace(untouched, reason=reason if self.regularise else 'regularise is off')
            self.timings['measure'] = time.perf_counter() - begun
            return left, right
        found = CleanedPair(own, other, np.zeros(2), None)
        if before > _OVERLAPPING:
            found = self._cleaner(own, other, np.stack([right.joints, left.joints]), _confidences(right, left))
        measured = time.perf_counter()
        if found.replaced is None and before > _ONE_HAND:
            self.interaction = dataclasses.replace(
                untouched,
                reason=f'they share {1e6 * before:.0f} cm³, at most {1e6 * _ONE_HAND:.0f} expected: one is misplaced',
            )
            self.timings['measure'] = measured - begun
            return left, right
        reason = ''
        if found.replaced is not None:
            found, pair = self._parted(found)
            right, left, reason = self._placed(right, left, found)
        keypoints = np.stack([(hand.joints - pair.origin) @ pair.turn for hand in (right, left)])
        weights = np.stack([np.clip(hand.joint_scores, 0, 1) for hand in (right, left)])
        if found.replaced is not None:
            # Only the wrist was placed; the fingers are those of the misplaced hand.
            weights[found.replaced, 0] = _PLACED_WRIST
        fits = self._regulariser(pair.right, pair.left, keypoints, weights)
        fitted = time.perf_counter()
        after = self._volume(*self._regulariser.posed(*fits))
        self.interaction = dataclasses.replace(untouched, regularised=True, reason=reason, intersection_after=after)
        # From the frame of the wrist back to the camera's.
        right, left = (
            moved(hand, self._hands[hand.side], out_of_frame(vector, pair.turn, pair.origin))
            for hand, vector in zip((right, left), fits)
        )
        self.timings |= {
            'measure': measured - begun + time.perf_counter() - fitted,
            'fit': fitted - measured,
        }
        return left, right

    def _pair(self, right: np.ndarray, left: np.ndarray) -> _Pair:
        """Of vectors (64,) in the camera's frame."""
        # Single precision is finest near the origin: in the frame of the left wrist.
        other, own, turn = about_anchor(right, left), anchored(left), rotation_of(left)
        return _Pair(other, own, turn, left[PLACE].astype(float), self._regulariser.posed(other, own))

    def _parted(self, found: CleanedPair) -> tuple[CleanedPair, _Pair]:
        """A pair of which the placed hand is moved away from the middle of the other one if it lies in it: where the
        network is unsure of the side, it places a hand in between."""
        pair = self._pair(found.right, found.left)
        if self._volume(*pair.surfaces) < _OVERLAPPING:
            return found, pair
        right, left = (surface.vertices[0].mean(0) for surface in pair.surfaces)
        away = pair.turn @ (right - left)
        step = np.zeros_like(found.right)
        step[PLACE] = _PARTING / max(float(np.linalg.norm(away)), 1e-6) * away
        if found.replaced == 0:
            found = found._replace(right=found.right + step)
        else:
            found = found._replace(left=found.left - step)
        return found, self._pair(found.right, found.left)

    def _placed(
        self, right: HandEstimate, left: HandEstimate, found: CleanedPair
    ) -> tuple[HandEstimate, HandEstimate, str]:
        """Both hands, the misplaced one where the cleaner has placed it, and what was done.

        Its scores are multiplied by the probability that it was in its place.
        """
        assert found.replaced is not None
        hands = [right, left]
        hand, share = hands[found.replaced], float(found.misplaced[found.replaced])
        placed = moved(hand, self._hands[hand.side], (found.right, found.left)[found.replaced])
        hands[found.replaced] = dataclasses.replace(
            placed, score=(1 - share) * hand.score, joint_scores=(1 - share) * hand.joint_scores
        )
        reason = f'the {hand.side} hand was misplaced ({100 * share:.0f} %) and has been placed by the other one'
        return hands[0], hands[1], reason

    def _gap(self, right: HandSurfaces, left: HandSurfaces) -> float:
        """Metres between a right and a left hand, (1, V, 3) each."""
        (low, high), (other_low, other_high) = (
            (surface.vertices[0].min(0), surface.vertices[0].max(0)) for surface in (right, left)
        )
        between = float(np.linalg.norm(np.maximum(np.maximum(low - other_high, other_low - high), 0)))
        if between > max(_APART, self.nearness):
            points, others = right.vertices[0], left.vertices[0]
            return float(np.linalg.norm(points - others[nearest_of(points, others)], axis=1).min())
        return hand_gap(right, left, self._hands['left'].faces, self._sampler.separation)

    def _volume(self, right: HandSurfaces, left: HandSurfaces) -> float:
        """m³ that a right and a left hand share, (1, V, 3) each."""
        closed = self._closed
        return grid_volume(right.vertices[0], closed['right'], left.vertices[0], closed['left'], _VOXEL)


class _Pair(NamedTuple):
    """Two hands in the frame of the left wrist.

    Attributes:
        right, left: (64,) their vectors.
        turn, origin: (3, 3) and (3,) of that frame in the camera's.
        surfaces: of the right and of the left hand, (1, V, 3).
    """

    right: np.ndarray
    left: np.ndarray
    turn: np.ndarray
    origin: np.ndarray
    surfaces: tuple[HandSurfaces, HandSurfaces]


def fault_of(hand: HandEstimate) -> str:
    """Why a hand cannot be posed; an empty text for one that can."""
    for name in ('pose', 'shape', 'translation', 'joints', 'joint_scores', 'score', 'side_score'):
        if not np.isfinite(getattr(hand, name)).all():
            return f'its {name} is not all finite'
    if (strangest := float(np.abs(hand.shape).max(initial=0))) > STRANGEST:
        return f'its shape has a coefficient of {strangest:.3g}, expected at most {STRANGEST:g}'
    if (turned := float(np.abs(hand.pose).max(initial=0))) > MOST_TURNED:
        return f'its pose has a rotation of {turned:.3g} rad, expected at most {MOST_TURNED:g}'
    if (far := float(np.linalg.norm(hand.translation))) > FARTHEST:
        return f'it is {far:.3g} m away, expected at most {FARTHEST:g}'
    if not (hand.joint_scores > 0).any():
        return 'its joint_scores are all 0'
    return ''


def moved(hand: HandEstimate, model: HandModel, vector: np.ndarray) -> HandEstimate:
    """A hand with the pose and the place of a vector (64,), and everything that follows from them.

    Its contact and its grasp are those of another place, and so are touch and gap of the object that it holds.
    """
    wanted = parameters_of(model, vector)
    posed = model.forward(*wanted, vertices=len(hand.vertices) > 0)
    held = hand.held
    if held is not None:
        sure = dataclasses.replace(held.confidence, touching=0.0, gap=0.0)
        held = dataclasses.replace(held, touching=False, gap=float('nan'), confidence=sure)
    return dataclasses.replace(
        hand,
        joints=np.asarray(posed.keypoints, np.float32),
        pose=wanted.pose,
        translation=wanted.translation,
        vertices=np.asarray(posed.vertices, np.float32),
        held=held,
        contact=None,
        grasp=None,
    )


def _confidences(*hands: HandEstimate) -> np.ndarray:
    """(N, 3) of hands."""
    scores, sides = (np.array([getattr(hand, name) for hand in hands]) for name in ('score', 'side_score'))
    return confidences_of(scores, sides, np.stack([hand.joint_scores for hand in hands]))


def _parameters(hand: HandEstimate) -> HandParameters:
    return HandParameters(*(np.asarray(part, np.float32) for part in (hand.pose, hand.shape, hand.translation)))
