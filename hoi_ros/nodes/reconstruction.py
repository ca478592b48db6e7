# SPDX-License-Identifier: Apache-2.0
"""The reconstruction node: colour images, and depth where there is any, in; hands and what they hold out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.images import colour_of
from hoi_ros.nodes.messages.images import depth_of
from hoi_ros.nodes.messages.markers import object_markers
from hoi_ros.nodes.messages.objects import held_objects
from hoi_ros.nodes.messages.objects import object_boxes
from hoi_ros.nodes.messages.objects import object_transforms
from hoi_ros.nodes.runtime.hand_node import HandNode
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.stage_node import Input
from hoi_ros.stages.reconstruction import ReconstructionStage
from hoi_ros.stages.reconstruction import VIEWS

_SMALLEST = 32
"""Pixels of an image's side below which no hand can be told."""
_WITHOUT_DEPTH = 'the hands are located by their size'

_SETTINGS = (
    Setting(
        'image_transport',
        'raw',
        'How the colours travel; compressed reads <image>/compressed.',
        choices=('raw', 'compressed'),
    ),
    Setting('use_depth', True, 'Whether depth tells how far the hands are, where there is any.'),
    Setting(
        'fit_surface',
        True,
        'Whether, where depth shows a hand, its mesh is moved onto what is observed, pose and '
        'shape and all; else it moves along its ray alone.',
        live=True,
    ),
    Setting(
        'views',
        VIEWS,
        'Views of a hand, each cut a little differently, whose readings are averaged: more are '
        'nearer to the truth, and each costs a run of the network.',
        1,
        8,
        live=True,
    ),
    Setting('depth_tolerance', 0.02, 'How far the stamps of an image and its depth may differ, seconds.', 0.0, 1.0),
)


class ReconstructionNode(HandNode[ReconstructionStage]):
    """Topics around `ReconstructionStage`; the README lists them.

    Args:
        create_stage: makes the stage from its arguments.
    """

    def __init__(self, create_stage: Callable[..., ReconstructionStage] = ReconstructionStage) -> None:
        super().__init__('reconstruction', create_stage, _SETTINGS)

    def inputs(self) -> Sequence[Input]:
        image = self.image_input('image', 'leader', self.settings['image_transport'])
        info = Input('camera_info', CameraInfo, 'camera_info', 'constant')
        if not self.settings['use_depth']:
            return image, info
        depth = self.image_input(
            'depth',
            'companion',
            self.settings['depth_transport'],
            tolerance=self.settings['depth_tolerance'],
            without=_WITHOUT_DEPTH,
            mend='have the driver stamp both alike (realsense2_camera: enable_sync:=true), or raise depth_tolerance',
        )
        return image, info, depth

    def load_stage(self) -> ReconstructionStage:
        stage = super().load_stage()
        self._object_faces = np.asarray(stage.object_faces)
        every_frame = qos_profile(self.settings, 'output_qos')
        self._objects = self.create_output(HeldObjectArray, '~/objects', every_frame)
        self._boxes = self.create_output(Detection3DArray, '~/object_boxes', every_frame)
        return stage

    def tune(self, stage: ReconstructionStage) -> None:
        super().tune(stage)
        stage.fit_surface = self.settings['fit_surface']
        stage.views = self.settings['views']

    def topology(self, header: Header) -> MeshTopology:
        return mesh_topology(header, self.hand_models['right'], self.hand_models['left'], self._object_faces)

    def transforms(self, header: Header, hands: Sequence[HandEstimate]) -> TFMessage:
        message = super().transforms(header, hands)
        message.transforms += object_transforms(header, hands, self.settings['tf_prefix'])
        return message

    def markers(self, header: Header, hands: Sequence[HandEstimate], lifetime: float) -> MarkerArray:
        message = super().markers(header, hands, lifetime)
        message.markers += object_markers(header, hands, self._object_faces, lifetime)
        return message

    def read(self, stage: ReconstructionStage, frame: Frame) -> list[HandEstimate]:
        image = colour_of(frame.messages['image'])
        height, width = image.shape[:2]
        if min(height, width) < _SMALLEST:
            raise ImageFormatError(
                f'{self.where("image")} is {width}x{height} pixels, expected at least {_SMALLEST} '
                'a side: no hand can be told in it; raise the resolution of the camera'
            )
        rectifier = self.rectifier(frame, image)
        return stage(
            rectifier.colour(np.ascontiguousarray(image)),
            rectifier.camera,
            frame.stamp / 1e9,
            depth=self._depth(frame, rectifier),
            regions=self.regions(rectifier),
        )

    def publish(self, session: int, header: Header, result: list[HandEstimate]) -> None:
        super().publish(session, header, result)
        if self._objects.get_subscription_count():
            self._objects.publish(held_objects(header, result, self.settings['publish_mesh']))
        if self._boxes.get_subscription_count():
            self._boxes.publish(object_boxes(header, result))

    def _depth(self, frame: Frame, rectifier: Rectifier) -> np.ndarray | None:
        """(H, W) metres of the frame, undistorted; None where it has none that can be used, which is said."""
        message = frame.messages.get('depth')
        if message is None:
            return None
        seen_from, wanted = message.header.frame_id, frame.messages['image'].header.frame_id
        try:
            depth = depth_of(message)
            height, width = depth.shape
            if (width, height) != (rectifier.camera.width, rectifier.camera.height):
                raise ImageFormatError(
                    f'it is {width}x{height} pixels, the image {rectifier.camera.width}x'
                    f'{rectifier.camera.height}: align it to the image (realsense2_camera: '
                    'align_depth.enable:=true)'
                )
            if seen_from and wanted and seen_from != wanted:
                raise ImageFormatError(
                    f'its frame_id is {seen_from!r}, that of the image {wanted!r}: align it to the '
                    'image (realsense2_camera: align_depth.enable:=true)'
                )
            if not depth.any():
                raise ImageFormatError(
                    'it is unknown everywhere (0 or NaN): uncover the camera, or move it away from what is too near'
                )
        except ImageFormatError as error:
            self.caution(f'{self.where("depth")} is not used, {_WITHOUT_DEPTH}: {error}')
            return None
        return rectifier.depth(depth)


def main() -> int:
    """Runs the node until the process is told to end."""
    return run(ReconstructionNode)


if __name__ == '__main__':
    sys.exit(main())
