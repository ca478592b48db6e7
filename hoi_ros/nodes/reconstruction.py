# SPDX-License-Identifier: Apache-2.0
"""The reconstruction node: colour images, and depth images where there are any, in; hands and held objects out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.nodes.messages.images import colour_of
from hoi_ros.nodes.messages.images import known_depth_of
from hoi_ros.nodes.runtime.camera_frames import CALIBRATION
from hoi_ros.nodes.runtime.camera_frames import CAMERA_SETTINGS
from hoi_ros.nodes.runtime.camera_frames import CameraFrames
from hoi_ros.nodes.runtime.camera_frames import DEPTH_TRANSPORT
from hoi_ros.nodes.runtime.camera_frames import image_input
from hoi_ros.nodes.runtime.camera_frames import IMAGE_TRANSPORT
from hoi_ros.nodes.runtime.camera_frames import same_camera
from hoi_ros.nodes.runtime.engine_settings import engine_arguments
from hoi_ros.nodes.runtime.engine_settings import ENGINE_SETTINGS
from hoi_ros.nodes.runtime.hand_outputs import HAND_OUTPUT_SETTINGS
from hoi_ros.nodes.runtime.hand_outputs import HandOutputs
from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.inputs import Input
from hoi_ros.nodes.runtime.inputs import INPUT_SETTINGS
from hoi_ros.nodes.runtime.inputs import Role
from hoi_ros.nodes.runtime.managed_node import LIFECYCLE_SETTINGS
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.regions import REGION_SETTINGS
from hoi_ros.nodes.runtime.regions import Regions
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.tracking_settings import tracking_arguments
from hoi_ros.nodes.runtime.tracking_settings import TRACKING_SETTINGS
from hoi_ros.nodes.runtime.tracking_settings import tune_tracking
from hoi_ros.nodes.runtime.worker_node import OUTPUT_QOS_SETTINGS
from hoi_ros.nodes.runtime.worker_node import WorkerNode
from hoi_ros.stages.parts.object_claims import MIN_CONFIDENCE
from hoi_ros.stages.reconstruction import ReconstructionStage
from hoi_ros.stages.reconstruction import VIEWS

_SMALLEST = 32
"""Smallest side of an image in which a hand can be detected, pixels."""
_WITHOUT_DEPTH = 'the hands are located by their size'

SETTINGS = {
    'Lifecycle': LIFECYCLE_SETTINGS,
    'Networks': (
        *ENGINE_SETTINGS,
        Setting(
            'views',
            VIEWS,
            'Views of a hand that are averaged, shared by the hands that are tracked at once: more are more accurate, '
            'and each costs a run of the network.',
            1,
            8,
            live=True,
        ),
    ),
    'Results': (
        *TRACKING_SETTINGS,
        Setting(
            'fit_surface',
            True,
            'Refine pose and shape on the observed depth; otherwise a hand only moves along its ray.',
            live=True,
        ),
        Setting(
            'min_confidence',
            MIN_CONFIDENCE,
            'A claim about a held object (its box, its gap to the hand, whether they touch) below this confidence is '
            'withheld; 0 withholds none.',
            0.0,
            1.0,
            live=True,
        ),
    ),
    'Inputs': (
        IMAGE_TRANSPORT,
        Setting('use_depth', True, 'Use depth images, where there are any, to locate the hands.'),
        DEPTH_TRANSPORT,
        Setting('depth_tolerance', 0.02, 'Largest difference of the stamps of an image and its depth, s.', 0.0, 1.0),
        *CAMERA_SETTINGS,
        *REGION_SETTINGS,
        *INPUT_SETTINGS,
    ),
    'Outputs': (*HAND_OUTPUT_SETTINGS, *OUTPUT_QOS_SETTINGS),
}


class ReconstructionNode(WorkerNode[ReconstructionStage, Frame, list[HandEstimate]]):
    """Topics around `ReconstructionStage`.

    Args:
        create_stage: creates the stage from its arguments.
    """

    def __init__(self, create_stage: Callable[..., ReconstructionStage] = ReconstructionStage) -> None:
        self._create_stage = create_stage
        self._inputs = FrameInputs(self._list_inputs)
        self._camera, self._regions = CameraFrames(self._inputs), Regions(self._inputs)
        self._hand_outputs = HandOutputs(self._camera, self._regions)
        super().__init__('reconstruction', SETTINGS, (self._inputs, self._regions, self._hand_outputs))

    def load_stage(self) -> ReconstructionStage:
        stage = self._create_stage(**engine_arguments(self.settings), **tracking_arguments(self.settings))
        self.tune(stage)
        stage.warm_up()
        hand_models = {side: stage.hand_model(side) for side in ('right', 'left')}
        self._hand_outputs.create(hand_models, np.asarray(stage.object_faces))
        return stage

    def tune(self, stage: ReconstructionStage) -> None:
        tune_tracking(stage, self.settings)
        stage.fit_surface, stage.views = self.settings['fit_surface'], self.settings['views']
        stage.min_confidence = self.settings['min_confidence']

    def process(self, stage: ReconstructionStage, frame: Frame) -> list[HandEstimate]:
        image = colour_of(frame.messages['image'])
        height, width = image.shape[:2]
        if min(height, width) < _SMALLEST:
            raise FrameRefused(
                f'{self._inputs.where("image")} is {width}x{height} pixels, expected at least {_SMALLEST} a side: '
                'no hand can be detected in it; raise the resolution of the camera'
            )
        rectifier = self._camera.rectifier(frame, image)
        hands = stage(
            rectifier.colour(np.ascontiguousarray(image)),
            rectifier.camera,
            frame.seconds,
            depth=self._depth(frame, rectifier),
            regions=self._regions.within(rectifier),
        )
        if stage.denials.doubt:
            self.caution(f'{self._inputs.where("depth")}: {stage.denials.doubt}')
        return hands

    def publish(self, frame: Frame, result: list[HandEstimate], session: int) -> None:
        self._hand_outputs.publish(frame.messages['image'].header, result, session)

    def _list_inputs(self) -> Sequence[Input]:
        settings = self.settings
        image = image_input('image', self.resolve_topic_name('image'), Role.LEADER, settings['image_transport'])
        if not settings['use_depth']:
            return image, CALIBRATION
        depth = image_input(
            'depth',
            self.resolve_topic_name('depth'),
            Role.OPTIONAL,
            settings['depth_transport'],
            tolerance=settings['depth_tolerance'],
            without=_WITHOUT_DEPTH,
            mend='have the driver stamp both alike (realsense2_camera: enable_sync:=true), or raise depth_tolerance',
            spare='set use_depth to false for a camera without depth',
        )
        return image, CALIBRATION, depth

    def _depth(self, frame: Frame, rectifier: Rectifier) -> np.ndarray | None:
        """(H, W) undistorted metres of the frame; None where it has none that can be used, which is reported."""
        message = frame.messages.get('depth')
        if message is None:
            return None
        depth_frame, image_frame = message.header.frame_id, frame.messages['image'].header.frame_id
        camera = rectifier.camera
        try:
            depth = known_depth_of(message, _refuse)
            height, width = depth.shape
            if (width, height) != (camera.width, camera.height):
                raise FrameRefused(
                    f'it is {width}x{height} pixels, the image {camera.width}x{camera.height}: align it to the image '
                    '(realsense2_camera: align_depth.enable:=true)'
                )
            if self.settings['check_frame_id'] and not same_camera(depth_frame, image_frame):
                raise FrameRefused(
                    f'its frame_id is {depth_frame!r}, that of the image {image_frame!r}: align it to the image '
                    '(realsense2_camera: align_depth.enable:=true), or set the parameter check_frame_id to false if it '
                    'is aligned'
                )
            self._camera.refuse_unlike('depth', frame)
        except FrameRefused as error:
            self.caution(f'{self._inputs.where("depth")} is not used, {_WITHOUT_DEPTH}: {error}')
            return None
        return rectifier.depth(depth)


def _refuse(reason: str) -> None:
    # Depth out of reach would place no hand: its size does, and the status must say so.
    raise FrameRefused(reason)


def main() -> int:
    """Runs the node until the process is told to end."""
    return run(ReconstructionNode, ('image', 'camera_info', 'depth', 'region', 'regions'))


if __name__ == '__main__':
    sys.exit(main())
