# SPDX-License-Identifier: Apache-2.0
"""Stages without networks, for tests of the replay."""

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate


def estimate(posed, **more):
    """A right hand of track 3 whose side is 75 % sure."""
    return HandEstimate(
        side='right',
        track_id=3,
        score=0.9,
        joints=posed.keypoints,
        joint_scores=np.ones(21),
        pose=np.zeros(48),
        shape=np.zeros(10),
        translation=np.zeros(3),
        vertices=posed.vertices,
        side_score=0.75,
        **more,
    )


class NearestPoint:
    """Stands in for a stage: a hand wherever something is nearer than 0.5 m, its wrist at the nearest point."""

    def __init__(self, backend='auto'):
        self.backend = backend
        self.model = HandModel.load()
        self.stamps = []

    def __call__(self, depth, camera, stamp):
        self.stamps.append(stamp)
        near = np.where(depth > 0, depth, np.inf)
        row, column = np.unravel_index(near.argmin(), near.shape)
        if near[row, column] > 0.5:
            return []
        wrist = camera.unproject(np.array([column, row]), near[row, column])
        posed = self.model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), wrist - self.model.joints[0])
        return [estimate(posed)]

    def warm_up(self):
        self.stamps.clear()

    def reset(self):
        pass

    def hand_model(self, side):
        return self.model if side == 'right' else self.model.mirrored()


class RedThing:
    """Stands in for a stage that looks at colours: a hand that holds a thing where the image is red."""

    object_faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])

    def __init__(self, least_confidence=0.0):
        self.model, self.least_confidence = HandModel.load(), least_confidence
        self.depths = []

    def __call__(self, image, camera, stamp, depth=None):
        self.depths.append(depth)
        assert image.shape[:2] == (camera.height, camera.width)
        posed = self.model.forward(
            np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, 0.5], np.float32)
        )
        tetrahedron = np.array([[0, 0, 0.5], [0.05, 0, 0.5], [0, 0.05, 0.5], [0, 0, 0.55]])
        box, sure = (tetrahedron.mean(0), np.array([0, 0, 0, 1.0]), np.full(3, 0.05)), ClaimConfidence(0.9, 0.8, 0.7)
        thing = ObjectEstimate(0.75, tetrahedron, *box, -0.001, True, sure).withheld_below(self.least_confidence)
        held = thing if image[..., 0].mean() > 100 else None
        return [estimate(posed, located_by='hand_size' if depth is None else 'depth', held=held)]

    def warm_up(self):
        self.depths.clear()

    def reset(self):
        pass

    def hand_model(self, side):
        return self.model if side == 'right' else self.model.mirrored()
