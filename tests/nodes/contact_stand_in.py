# SPDX-License-Identifier: Apache-2.0
"""The contact node around a stage that needs no trained model."""

import dataclasses
import sys
import time

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import GraspEstimate
from hoi_ros.nodes.contact import ContactNode
from hoi_ros.nodes.runtime.running import run

MOVED = np.array([0, 0, 0.01], np.float32)
"""What a refined hand is moved by, metres."""
SLOW = 77
"""Track of a hand that takes two seconds."""


class StandInStage:
    """Moves a hand that holds something, unless told not to refine; the object is touched by the thumb at one corner
    and by the index finger at another. An object half a metre away is not touched."""

    def __init__(self, models, backend, threads):
        self.timings, self.reasons = {}, {}
        self.refine, self.budget, self.hold_object, self.restarts = True, 0.06, False, 1
        self._hands = {'right': HandModel.load()}
        self._hands['left'] = self._hands['right'].mirrored()

    def hand_model(self, side):
        return self._hands[side]

    def warm_up(self):
        pass

    def reset(self):
        self.timings = {}

    def __call__(self, hands, object_faces, stamp):
        self.timings, self.reasons = {'total': self.budget}, {}
        time.sleep(2.0 if any(hand.track_id == SLOW for hand in hands) else 0.0)
        assert all(object_faces.max() < len(hand.held.vertices) for hand in hands if hand.held)
        return [hand if hand.held is None else self._grasping(hand) for hand in hands]

    def _grasping(self, hand):
        thing = hand.held
        apart = np.linalg.norm(thing.vertices.mean(0) - hand.joints[0])
        if apart > 0.5:
            self.reasons[hand.track_id] = f'its object is {apart:.2f} m away from it, expected at most 0.50 m'
            return hand
        contact = np.linspace(0, 1, len(hand.vertices)).astype(np.float32)
        points = thing.vertices[:2]
        normals = np.array([[1, 0, 0], [-1, 0, 0]], np.float32)
        centroids, directions = np.full((2, 5, 3), np.nan, np.float32)
        centroids[:2], directions[:2] = points, normals
        place = hand.joints[0].astype(float)
        return dataclasses.replace(
            hand,
            joints=hand.joints + MOVED * self.refine,
            contact=ContactEstimate(
                contact, np.ones(len(thing.vertices), np.float32), points, normals, np.array([0, 1]), 0.001, 2e-6
            ),
            grasp=GraspEstimate(
                'precision',
                0.75,
                place,
                np.array([0, 0, 0, 1.0]),
                thing.position,
                thing.orientation,
                thing.size,
                np.array([0, 0, 0, 0, 0, 0, 1.0]),
                np.array([0, 0, 1.0]),
                float(np.linalg.norm(points[1] - points[0])),
                np.array([True, True, False, False, False]),
                centroids,
                directions,
                0.25,
            ),
        )


if __name__ == '__main__':
    sys.exit(run(lambda: ContactNode(StandInStage)))
