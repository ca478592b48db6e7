# SPDX-License-Identifier: Apache-2.0
"""The depth_pose node around a stage that needs no trained model and takes as long as it is told."""

import os
import sys
import time

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.depth_pose import DepthPoseNode
from hoi_ros.nodes.runtime.running import run

BUSY = float(os.environ.get('STAND_IN_BUSY', '0'))


class StandInStage:
    """Sees one flat right hand at the image's centre."""

    def __init__(self, models, variant, max_hands, min_score, smoothing, **_):
        if models and not (models / variant / 'card.yaml').is_file():
            raise FileNotFoundError(f'{models / variant}: no card.yaml; restore the folder')
        self.max_hands, self.min_score, self.smoothing = max_hands, min_score, smoothing
        self.timings = {}
        self._hands = {'right': HandModel.load()}
        self._hands['left'] = self._hands['right'].mirrored()

    def hand_model(self, side):
        return self._hands[side]

    def reset(self):
        self.timings = {}

    def warm_up(self):
        pass

    def __call__(self, depth, camera, stamp, regions=None):
        time.sleep(BUSY)
        self.timings = {'total': BUSY}
        if self.min_score > 0.9:
            return []
        pose, shape = np.zeros(48, np.float32), np.zeros(10, np.float32)
        place = np.array([0, 0, np.median(depth[depth > 0])], np.float32)
        posed = self._hands['right'].forward(pose, shape, place)
        return [
            HandEstimate('right', 1, 0.9, posed.keypoints, np.ones(21, np.float32), pose, shape, place, posed.vertices)
        ]


if __name__ == '__main__':
    sys.exit(run(lambda: DepthPoseNode(StandInStage)))
