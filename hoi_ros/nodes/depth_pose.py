# SPDX-License-Identifier: Apache-2.0
"""The depth_pose node: depth images in, hands with joints, pose and mesh out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.messages.images import depth_of
from hoi_ros.nodes.runtime.hand_node import HandNode
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.stage_node import Input
from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.stages.depth_pose import VARIANTS

_SETTINGS = (
    Setting('variant', VARIANTS[0], 'The network: the stronger one, or that of the paper.', choices=VARIANTS),
    Setting(
        'following_views',
        1,
        'Rolled views of a hand that is followed, whose readings are averaged: more are '
        'steadier, and each costs a run of the network.',
        1,
        6,
        live=True,
    ),
)


class DepthPoseNode(HandNode[DepthPoseStage]):
    """Topics around `DepthPoseStage`; the README lists them.

    Args:
        create_stage: makes the stage from its arguments.
    """

    def __init__(self, create_stage: Callable[..., DepthPoseStage] = DepthPoseStage) -> None:
        super().__init__('depth_pose', create_stage, _SETTINGS)

    def inputs(self) -> Sequence[Input]:
        return (
            self.image_input('depth', 'leader', self.settings['depth_transport']),
            Input('camera_info', CameraInfo, 'camera_info', 'constant'),
            Input('image', Image, 'image', 'neighbour'),
        )

    def stage_arguments(self) -> dict[str, Any]:
        return {'variant': self.settings['variant']}

    def tune(self, stage: DepthPoseStage) -> None:
        super().tune(stage)
        stage.following_views = self.settings['following_views']

    def read(self, stage: DepthPoseStage, frame: Frame) -> list[HandEstimate]:
        depth = depth_of(frame.messages['depth'])
        if not depth.any():
            raise ImageFormatError(
                'the depth is unknown everywhere (0 or NaN): uncover the camera, or move it away from what is too near'
            )
        rectifier = self.rectifier(frame, depth)
        return stage(rectifier.depth(depth), rectifier.camera, frame.stamp / 1e9, self.regions(rectifier))


def main() -> int:
    """Runs the node until the process is told to end."""
    return run(DepthPoseNode)


if __name__ == '__main__':
    sys.exit(main())
