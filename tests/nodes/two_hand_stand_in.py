# SPDX-License-Identifier: Apache-2.0
"""The two_hand_prior node around a stage that needs no trained model."""

import dataclasses
import sys
import time

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.two_hand_prior import TwoHandPriorNode
from hoi_ros.stages.parts.sample_request import HandInteraction
from hoi_ros.stages.parts.sample_request import HandSamples

MOVED = np.array([0, 0, 0.01], np.float32)
"""What the right one of two hands that interact is moved by, metres."""
PORTION, STEPS, STEP = 16, 8, 0.02
"""Samples that are made together, their steps by default, and the seconds of a step: 256 samples take 2.6 s."""


class StandInStage:
    """Hands interact whose wrists are nearer than `nearness`; sampled ones are turned by a seed about a flat hand."""

    def __init__(self, models, backend, threads):
        self.timings, self.interaction, self.steps = {}, None, STEPS
        self._hands = {'right': HandModel.load()}
        self._hands['left'] = self._hands['right'].mirrored()

    def hand_model(self, side):
        return self._hands[side]

    def warm_up(self):
        pass

    def reset(self):
        self.timings = {}

    def __call__(self, hands, object_faces, stamp):
        self.timings = {'total': 0.001}
        assert object_faces.shape == (0, 3)
        sides = [hand.side for hand in hands]
        if sorted(sides) != ['left', 'right']:
            self.interaction = HandInteraction(False, f'{len(hands)} hands, sides {sides}')
            return hands
        left, right = (hands[sides.index(side)] for side in ('left', 'right'))
        gap = float(np.linalg.norm(left.joints[0] - right.joints[0]))
        found = HandInteraction(False, 'regularise is false', left.track_id, right.track_id, gap)
        if not self.regularise or gap > self.nearness:
            reason = f'they are {gap:.2f} m apart' if self.regularise else found.reason
            self.interaction = dataclasses.replace(found, reason=reason)
            return hands
        self.interaction = dataclasses.replace(
            found, regularised=True, reason='', intersection_before=2e-6, intersection_after=1e-6
        )
        moved = dataclasses.replace(right, joints=right.joints + MOVED)
        return [moved if hand is right else hand for hand in hands]

    def sample(self, request, abort):
        hands = []
        for start in range(0, request.count, PORTION):
            for _ in range(self.steps):
                if abort():
                    return None
                time.sleep(STEP)
            hands += [self._one(request, number) for number in range(start, min(start + PORTION, request.count))]
        return HandSamples(hands, np.linspace(0, 1, request.count), np.full(request.count, 3e-9))

    def _one(self, request, number):
        rng = np.random.default_rng([request.seed, number])
        hands = []
        for index, side in enumerate(('left', 'right')):
            if request.anchor is not None and request.anchor.side == side:
                hands += [dataclasses.replace(request.anchor, track_id=2 * number + index)] * (request.side == 'both')
            elif request.side in ('both', side):
                hands.append(self._hand(side, 2 * number + index, rng, request.anchor))
        return hands

    def _hand(self, side, number, rng, anchor):
        pose, shape = np.zeros(48, np.float32), np.zeros(10, np.float32)
        pose[:3] = rng.normal(size=3)
        place = np.zeros(3, np.float32) if anchor is None else anchor.translation
        posed = self._hands[side].forward(pose, shape, place)
        scores = np.ones(21, np.float32)
        return HandEstimate(side, number, 0.5, posed.keypoints, scores, pose, shape, place, np.asarray(posed.vertices))


if __name__ == '__main__':
    sys.exit(run(lambda: TwoHandPriorNode(StandInStage)))
