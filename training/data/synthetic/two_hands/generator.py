# SPDX-License-Identifier: Apache-2.0
"""The stream of two-hand interactions: draw a kind, postures and points that meet, place the hands, and solve.

(seed, split, index) decide a pair: the same three give the same pair on every machine. The splits share neither random
numbers nor poses of real hands.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.hand.articulation import JOINTS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import SIZE
from hoi_ros.hand.pair import with_root
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.contact import surface_gap
from training.data.synthetic.two_hands.body import Arms
from training.data.synthetic.two_hands.body import arms_apart
from training.data.synthetic.two_hands.body import sample_arms
from training.data.synthetic.two_hands.clearance import FingerClearance
from training.data.synthetic.two_hands.interactions import Interaction
from training.data.synthetic.two_hands.interactions import INTERACTIONS
from training.data.synthetic.two_hands.postures import HAND_POSES
from training.data.synthetic.two_hands.postures import PostureLibrary
from training.data.synthetic.two_hands.postures import SPLITS
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.data.synthetic.two_hands.regions import surface_regions
from training.data.synthetic.two_hands.solver import Contacts
from training.data.synthetic.two_hands.solver import PairSolver
from training.data.synthetic.two_hands.solver import PosedHand

DEEPEST = 0.002
"""Depth of a vertex of one hand in the other beyond which a pair is dropped, metres."""
NEAREST = 0.003
"""Gap up to which a pair that should touch is kept, metres."""
_KINDS, _ATTEMPTS = 10, 12
"""Kinds that are drawn for one pair, and attempts at each."""
_BANK = 20000
"""Placements of the arms of one person that a stream chooses from."""
_PLACEMENTS, _CHOICE, _WORST = 2000, 12, 2.0
"""Placements of the arms that are drawn, those of the best that are tested for penetration, and the largest cost of one
that is taken."""
_PARALLEL = 0.3
"""Largest preference of hands that point in one direction, as people's mostly do, over others that fit as well."""
_APART = 0.002
"""Least gap of a pair that should not touch, metres."""
_TIGHT = 0.0025
"""Largest lack of clearance between the fingers of one hand, metres."""
_WAYS = np.array([0.0, 0.012, 0.025, 0.04])
"""Ways along the normal from which the hands approach each other, metres."""
_SHARES = np.array([kind.share for kind in INTERACTIONS]) / sum(kind.share for kind in INTERACTIONS)


class _Pair(NamedTuple):
    """A solved pair, its depth and gap, metres."""

    right: PosedHand
    left: PosedHand
    depth: float
    gap: float


class PairInteractions:
    """A stream of two hands: index → a record of PAIR_DTYPE.

    Args:
        seed: of the whole stream.
        split: 'train', 'validation' or 'test'.
        hand: the right hand model; the default model if None.
        poses: folder of the real hands' poses; None draws from gestures and the joint limits only.

    Raises:
        KeyError: no such split.
        FileNotFoundError: the folder lacks the poses.
    """

    dtype = PAIR_DTYPE

    def __init__(
        self, seed: int = 0, split: str = 'train', hand: HandModel | None = None, poses: Path | None = HAND_POSES
    ) -> None:
        self._model = model = hand or HandModel.load()
        self.postures = PostureLibrary(model, split, poses)
        self._seed, self._split = seed, SPLITS.index(split)
        self._regions = surface_regions(model)
        self._arms = sample_arms(np.random.default_rng([self._seed, self._split]), _BANK)
        self._solver, self._clearance = PairSolver(model), FingerClearance()
        self._faces = close_holes(model.faces)
        self._left_faces = np.ascontiguousarray(self._faces[:, ::-1])

    def __getitem__(self, index: int) -> np.ndarray:
        rng = np.random.default_rng([self._seed, self._split, index])
        kind, pair = self._pair(index, rng)
        record = np.zeros((), PAIR_DTYPE)
        right, left = self._vector(pair.right), self._vector(pair.left)
        if rng.random() < 0.5:
            right, left = mirrored(left), mirrored(right)
            right, left = about_anchor(right, left), anchored(left)
        record['right'], record['left'] = right, left
        record['kind'], record['index'] = kind, index
        record['penetration'], record['gap'] = pair.depth, pair.gap
        return record

    def _pair(self, index: int, rng: np.random.Generator) -> tuple[int, _Pair]:
        """The kind of an interaction and a pair that passes every check."""
        for _ in range(_KINDS):
            kind = int(rng.choice(len(INTERACTIONS), p=_SHARES))
            for _ in range(_ATTEMPTS):
                pair = self._attempt(INTERACTIONS[kind], rng)
                if pair is not None:
                    return kind, pair
        raise RuntimeError(f'pair {index}: {_KINDS} kinds failed {_ATTEMPTS} times each')

    def _attempt(self, kind: Interaction, rng: np.random.Generator) -> _Pair | None:
        solver = self._solver
        shape = np.clip(rng.standard_normal(10), -2.5, 2.5)
        shapes = shape, np.clip(shape + (rng.random() < 0.3) * rng.normal(0, 0.15, 10), -2.5, 2.5)
        angles = [self.postures.draw(posture, rng) for posture in (kind.first, kind.second)]
        right, left = (solver.posed(side, np.eye(3), np.zeros(3), angles[side], shapes[side]) for side in range(2))
        contacts = self._contacts(kind, rng)
        placed = self._placed(kind, right, left, contacts, rng)
        if placed is None:
            return None
        right, arms, way = placed
        solved = solver.solve(right, left, contacts, way, kind.wraps)
        if solved is None:
            return None
        right, left = solved
        if min(self._clearance.shortest(hand.state) for hand in (right, left)) < -_TIGHT:
            return None
        if not arms_apart(arms, right, left, kind):
            return None
        depth, gap = self._measured(right, left)
        if depth > DEEPEST or (kind.touches and gap > NEAREST) or (not kind.touches and gap < _APART):
            return None
        return _Pair(right, left, depth, gap)

    def _contacts(self, kind: Interaction, rng: np.random.Generator) -> Contacts:
        fingers = dict(zip('fg', rng.choice(kind.fingers, 2), strict=True))
        pairs = []
        for regions in kind.contacts:
            names = [str(rng.choice(region.split('|'))).format(**fingers) for region in regions]
            pairs.append([int(rng.choice(self._regions[name])) for name in names])
        gap = rng.uniform(*kind.gap)
        return Contacts(*np.array(pairs).T, np.full(len(pairs), gap))

    def _placed(
        self, kind: Interaction, right: PosedHand, left: PosedHand, contacts: Contacts, rng: np.random.Generator
    ) -> tuple[PosedHand, Arms, float] | None:
        """The right hand placed so that the points meet with opposed normals, the arms are apart and little
        penetrates; and the directions of the arms."""
        drawn = rng.integers(len(self._arms.turns), size=_PLACEMENTS)
        turns = self._arms.turns[drawn]
        mine, others = right.vertices[:, contacts.right], left.vertices[:, contacts.left]
        their_normals = left.normals[:, contacts.left]
        flat = turns.reshape(-1, 3)
        turned = (flat @ mine).reshape(len(turns), 3, -1)
        facing = ((flat @ right.normals[:, contacts.right]).reshape(turned.shape) * their_normals).sum(1)
        targets = others + contacts.gaps * their_normals
        counts = np.full(len(contacts.gaps), kind.lead)
        counts[0] = 1.0
        counts /= counts.sum()
        places = (targets - turned) @ counts
        apart = ((turned + places[..., None] - targets) ** 2).sum(1)
        cost = (1 + facing + apart / 0.03**2) @ counts + rng.exponential(0.05, _PLACEMENTS)
        cost += rng.uniform(0, _PARALLEL) * (1 - turns[:, 1, 1])
        best = np.argpartition(cost, _CHOICE)[:_CHOICE]
        points = (turns[best] @ right.vertices[:, ::9]).transpose(0, 2, 1) + places[best, None]
        outwards = their_normals @ counts
        outwards = outwards / max(float(np.linalg.norm(outwards)), 0.3)
        steps = _WAYS[:, None, None, None] * outwards
        distance, nearest = cKDTree(left.vertices.T, balanced_tree=False, compact_nodes=False).query(
            points + steps, distance_upper_bound=0.02
        )
        found = np.isfinite(distance)
        nearest = np.where(found, nearest, 0)
        above = ((points + steps - left.vertices.T[nearest]) * left.normals.T[nearest]).sum(-1)
        depth = np.where(found, np.maximum(-above - 0.0005, 0), 0).mean(2)
        free = (depth[::-1].cumsum(0)[::-1] > 0).sum(0)
        total = (
            cost[best]
            + depth[0] / 0.004
            + np.maximum(depth[-1], depth[-2]) / (0.001 if kind.wraps else 0.0002)
            + 0.1 * free
        )
        for chosen in total.argsort():
            if total[chosen] > _WORST * (2 if kind.wraps else 1):
                return None
            row = best[chosen]
            arms = Arms(*(one[drawn[row]] for one in self._arms))
            if arms_apart(arms, right, left, kind, places[row]):
                state = right.state
                way = float(_WAYS[min(free[chosen], len(_WAYS) - 1)])
                start = self._solver.posed(0, turns[row], places[row] + way * outwards, state.angles, state.shape)
                return start, arms, way
        return None

    def _measured(self, right: PosedHand, left: PosedHand) -> tuple[float, float]:
        """Depth of the deepest vertex of one hand in the other and the gap of the surfaces, metres, exactly."""
        first, second = right.vertices.T.astype(np.float32), left.vertices.T.astype(np.float32)
        gap = surface_gap(first, second, self._left_faces)
        if -gap <= DEEPEST:
            gap = min(gap, surface_gap(second, first, self._faces))
        return max(-gap, 0.0), max(gap, 0.0)

    def _vector(self, hand: PosedHand) -> np.ndarray:
        """(64,) of a posed hand in the common frame."""
        state, vector = hand.state, np.empty(SIZE, np.float32)
        pose = np.zeros((16, 3))
        pose[JOINTS] = (self._solver.hands[0].axes @ state.angles[..., None])[..., 0]
        vector[:45], vector[45:55] = pose[1:].ravel(), state.shape
        return with_root(vector, state.turn, state.place)
