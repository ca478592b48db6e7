# SPDX-License-Identifier: Apache-2.0
"""The reconstruction node around a stage that needs no trained model."""

import sys

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.nodes.reconstruction import ReconstructionNode
from hoi_ros.nodes.runtime.running import run
from hoi_ros.stages.parts.depth_denials import DepthDenials


class StandInStage:
    """Sees one flat right hand that holds a tetrahedron, wherever the image is not black.

    Tells what it was given: the hand is as far as the depth's median, or 0.5 m; the first three numbers of its shape
    are the image's mean red, green and blue, from 0 to 1, the next two its width and height, and the sixth is the
    number of regions, −1 without any; the seventh is whether it moves hands onto the depth's surface. Of a white image
    it breaks.
    """

    object_faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])

    def __init__(self, models, max_hands, min_score, smoothing, **_):
        self.max_hands, self.min_score, self.smoothing = max_hands, min_score, smoothing
        self.timings, self.fit_surface, self.views, self.min_confidence = {}, None, None, 0.0
        self.denials = DepthDenials()
        self._hands = {'right': HandModel.load()}
        self._hands['left'] = self._hands['right'].mirrored()

    def hand_model(self, side):
        return self._hands[side]

    def reset(self):
        self.timings = {}

    def warm_up(self):
        pass

    def __call__(self, image, camera, stamp, depth=None, regions=None):
        height, width = image.shape[:2]
        assert image.dtype == np.uint8 and image.shape[2] == 3 and (camera.width, camera.height) == (width, height)
        assert depth is None or depth.shape == (height, width)
        if image.min() == 255:
            raise RuntimeError('the stand-in breaks')
        if self.min_score > 0.9 or not image.any():
            return []
        pose, shape = np.zeros(48, np.float32), np.zeros(10, np.float32)
        shape[:6] = *image.reshape(-1, 3).mean(0) / 255, width, height, -1 if regions is None else len(regions)
        shape[6] = self.fit_surface
        place = np.array([0, 0, 0.5 if depth is None else np.median(depth[depth > 0])], np.float32)
        posed = self._hands['right'].forward(pose, 0 * shape, place)
        vertices = (np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) * 0.05 + place).astype(np.float32)
        held = ObjectEstimate(
            0.8,
            vertices,
            vertices.mean(0),
            np.array([0, 0, 0, 1.0]),
            np.full(3, 0.05),
            0.001,
            True,
            ClaimConfidence(0.95, 0.95, 0.85),
        ).withheld_below(self.min_confidence)
        return [
            HandEstimate(
                'right',
                7,
                0.9,
                posed.keypoints,
                np.ones(21, np.float32),
                pose,
                shape,
                place,
                posed.vertices,
                'hand_size' if depth is None else 'depth',
                held,
            )
        ]


if __name__ == '__main__':
    sys.exit(run(lambda: ReconstructionNode(StandInStage)))
