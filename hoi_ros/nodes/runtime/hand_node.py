# SPDX-License-Identifier: Apache-2.0
"""What the nodes have in common whose stage returns hands: parameters, regions, and the hands' topics."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Generic
from typing import Protocol
from typing import TypeVar

import numpy as np
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from visualization_msgs.msg import MarkerArray

from hoi_ros.camera.calibration import calibration_of
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.camera.undistortion import undistort_points
from hoi_ros.engines import BACKENDS
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.msg import HandArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_transforms
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.markers import hand_markers
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.qos import LATCHED
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.stage_node import Input
from hoi_ros.nodes.runtime.stage_node import StageNode
from hoi_ros.nodes.runtime.worker import NewestFirstWorker
from hoi_ros.stages.parts.one_euro import OneEuroConfig

_FILTER = OneEuroConfig()

_SETTINGS = (
    Setting('models', '', 'Folder of the trained models; empty for those of the package.'),
    Setting(
        'backend',
        'auto',
        'What runs the networks; auto: TensorRT on an NVIDIA GPU, else OpenVINO, else ONNX Runtime.',
        choices=BACKENDS,
    ),
    Setting('threads', 0, 'Threads of a network that runs on the CPU; 0 leaves it to the backend.', 0, 256),
    Setting('max_hands', 2, 'Hands at the most.', 1, 4, live=True),
    Setting('min_score', 0.5, 'A new hand that is less sure is not reported.', 0.0, 1.0, live=True),
    Setting('smoothing.enabled', False, 'Filter the joints over time (One-Euro).', live=True),
    Setting(
        'smoothing.min_cutoff',
        _FILTER.min_cutoff_hz,
        'Cutoff for a hand at rest, Hz: lower is smoother and slower.',
        0.01,
        100.0,
        live=True,
    ),
    Setting(
        'smoothing.beta',
        _FILTER.beta,
        'Cutoff added per speed, Hz per m/s: higher lags less in motion.',
        0.0,
        1000.0,
        live=True,
    ),
    Setting(
        'smoothing.derivative_cutoff', _FILTER.derivative_cutoff_hz, 'Cutoff of the speed, Hz.', 0.01, 100.0, live=True
    ),
    Setting(
        'depth_transport',
        'raw',
        'How the depth travels; compressedDepth reads <depth>/compressedDepth.',
        choices=('raw', 'compressedDepth'),
    ),
    Setting(
        'region_timeout', 0.5, 'How long a region that was received says where to look, seconds.', 0.01, 60.0, live=True
    ),
    Setting('publish_mesh', True, 'Whether what is seen carries the vertices of its mesh.', live=True),
    Setting('publish_tf', True, 'Whether wrist, fingertips and what a hand holds are published on /tf.', live=True),
    Setting('tf_prefix', '', 'Put before the names of those frames.', live=True),
    Setting('marker_rate', 5.0, 'Markers a second while someone looks at them; 0 for none.', 0.0, 30.0, live=True),
)


class HandStage(Protocol):
    """What a stage has that returns hands."""

    timings: dict[str, float]
    max_hands: int
    min_score: float
    smoothing: OneEuroConfig | None

    def hand_model(self, side: str) -> HandModel:
        """The hand model of a side."""

    def reset(self) -> None:
        """Forgets the hands that were followed."""

    def warm_up(self) -> None:
        """Runs once on nothing, so that the first frame is as fast as the others."""


AnyHandStage = TypeVar('AnyHandStage', bound=HandStage)


class HandNode(StageNode[AnyHandStage, list[HandEstimate]], abc.ABC, Generic[AnyHandStage]):
    """Publishes the hands of its stage; a system says what it reads, and what else it publishes.

    Args:
        name: of the node.
        create_stage: makes the stage from its arguments.
        table: the system's own parameters.
    """

    def __init__(self, name: str, create_stage: Callable[..., AnyHandStage], table: Sequence[Setting]) -> None:
        self._create_stage = create_stage
        self._rectifier: Rectifier | None = None
        self._wanted: tuple[list[Region], float] | None = None
        self._region_subscriptions: list[Subscription] = []
        self._marker_worker: NewestFirstWorker[tuple[int, Header, list[HandEstimate]]] | None = None
        self._marker_due = 0.0
        self._seen, self._frames_without = 0, 0
        super().__init__(name, (*_SETTINGS, *table))

    # What a system may bring beside its inputs and how it reads a frame:

    def stage_arguments(self) -> dict[str, Any]:
        """Arguments of its stage beyond those that all have."""
        return {}

    def topology(self, header: Header) -> MeshTopology:
        """What does not change from frame to frame."""
        return mesh_topology(header, self.hand_models['right'], self.hand_models['left'])

    def transforms(self, header: Header, hands: Sequence[HandEstimate]) -> TFMessage:
        """The frames of what was seen."""
        return hand_transforms(header, hands, self.hand_models, self.settings['tf_prefix'])

    def markers(self, header: Header, hands: Sequence[HandEstimate], lifetime: float) -> MarkerArray:
        """What RViz shows of it, each marker for `lifetime` seconds."""
        faces = {side: model.faces for side, model in self.hand_models.items()}
        return hand_markers(header, hands, faces, lifetime)

    # What it may use:

    def image_input(self, name: str, role: str, transport: str, **more: Any) -> Input:
        """An input of images of the topic of its name, or of its sub-topic where they do not travel raw."""
        if transport == 'raw':
            return Input(name, Image, name, role, **more)
        return Input(name, CompressedImage, f'{self.resolve_topic_name(name)}/{transport}', role, **more)

    def rectifier(self, frame: Frame, image: np.ndarray) -> Rectifier:
        """Takes the lens distortion out of the frame's images, (H, W, ...), which have the size of this one.

        Raises:
            CalibrationError: its camera_info is of another camera, or of none that is calibrated.
        """
        height, width = image.shape[:2]
        calibration = calibration_of(frame.messages['camera_info'], width, height, self.where('camera_info'))
        rectifier = self._rectifier
        if rectifier is None or rectifier.calibration != calibration:
            self._rectifier = rectifier = Rectifier(calibration)
        return rectifier

    def regions(self, rectifier: Rectifier) -> list[Region] | None:
        """Where somebody said that the hands are, in pixels of the undistorted image; None where nobody did."""
        if self._wanted is None or time.monotonic() - self._wanted[1] > self.settings['region_timeout']:
            return None
        wanted = self._wanted[0]
        regions = [region for given in wanted if (region := self._rectified(given, rectifier)) is not None]
        # A detector that sees no hand is believed; one whose boxes lie outside of the image is not.
        return regions if regions or not wanted else None

    # The stage's node:

    def load_stage(self) -> AnyHandStage:
        models = self.settings['models']
        stage = self._create_stage(
            models=Path(models).expanduser() if models else None,
            backend=self.settings['backend'],
            threads=self.settings['threads'] or None,
            max_hands=self.settings['max_hands'],
            min_score=self.settings['min_score'],
            smoothing=self._smoothing(),
            **self.stage_arguments(),
        )
        stage.warm_up()
        self.hand_models = {side: stage.hand_model(side) for side in ('right', 'left')}
        every_frame = qos_profile(self.settings, 'output_qos')
        self._hands = self.create_output(HandArray, '~/hands', every_frame)
        self._topology = self.create_output(MeshTopology, '~/mesh_topology', LATCHED)
        self._markers = self.create_output(MarkerArray, '~/markers', every_frame)
        self._tf = self.create_output(TFMessage, '/tf', QoSProfile(depth=100))
        self._marker_worker = NewestFirstWorker(self._publish_markers, name='markers')
        return stage

    def unload(self) -> None:
        super().unload()
        worker, self._marker_worker = self._marker_worker, None
        if worker:
            worker.stop()

    def start(self) -> None:
        super().start()
        self._wanted, self._seen, self._frames_without = None, 0, 0
        qos = qos_profile(self.settings, 'input_qos')
        self._region_subscriptions = [
            self.create_subscription(RegionOfInterest, 'region', self._take_region, qos),
            self.create_subscription(Detection2DArray, 'regions', self._take_detections, qos),
        ]
        self._topology.publish(self.topology(Header(stamp=self.get_clock().now().to_msg())))

    def stop(self) -> None:
        super().stop()
        for subscription in self._region_subscriptions:
            self.destroy_subscription(subscription)
        self._region_subscriptions = []

    def values(self) -> dict[str, object]:
        return {**super().values(), 'hands': self._seen, 'frames_without_hands': self._frames_without}

    def tune(self, stage: AnyHandStage) -> None:
        stage.max_hands, stage.min_score = self.settings['max_hands'], self.settings['min_score']
        smoothing = self._smoothing()
        if smoothing != stage.smoothing:
            stage.smoothing = smoothing
            stage.reset()  # a hand that is followed keeps the filter it began with

    def publish(self, session: int, header: Header, result: list[HandEstimate]) -> None:
        self._seen, self._frames_without = len(result), 0 if result else self._frames_without + 1
        if self._hands.get_subscription_count():
            self._hands.publish(hand_array(header, result, self.settings['publish_mesh']))
        if result and self.settings['publish_tf']:
            self._publish_tf(header, result)
        rate, now, worker = self.settings['marker_rate'], time.monotonic(), self._marker_worker
        if worker and rate > 0 and now >= self._marker_due and self._markers.get_subscription_count():
            self._marker_due = now + 1 / rate
            worker.offer((session, header, result))

    def _publish_tf(self, header: Header, hands: list[HandEstimate]) -> None:
        if not header.frame_id:
            self.report(
                'warning',
                f'{self.where(self.leader)} has no frame_id: no transforms are published; set '
                "the camera driver's frame",
            )
            return
        self._tf.publish(self.transforms(header, hands))

    def _publish_markers(self, item: tuple[int, Header, list[HandEstimate]]) -> None:
        session, header, hands = item
        markers = self.markers(header, hands, 2 / max(self.settings['marker_rate'], 0.5))
        self.publish_within(session, lambda: self._markers.publish(markers))

    def _take_region(self, region: RegionOfInterest) -> None:
        wanted = Region(region.x_offset, region.y_offset, region.width, region.height)
        self._wanted = ([wanted], time.monotonic()) if region.width and region.height else None

    def _take_detections(self, detections: Detection2DArray) -> None:
        self._wanted = [region_of(detection) for detection in detections.detections], time.monotonic()

    def _rectified(self, region: Region, rectifier: Rectifier) -> Region | None:
        """The part of a region that lies in the image, in pixels of the image without distortion."""
        camera = rectifier.camera
        left, top = max(region.x, 0), max(region.y, 0)
        right, bottom = min(region.x + region.width, camera.width), min(region.y + region.height, camera.height)
        # Not-a-number compares false: such a region lies nowhere.
        if not (left < right and top < bottom):
            self.report(
                'warning',
                f'the region at ({region.x:g}, {region.y:g}) of {region.width:g}x{region.height:g} '
                f'pixels lies outside the image of {camera.width}x{camera.height} pixels and is ignored: '
                f'give it in pixels of {self.where(self.leader)}',
                'region',
            )
            return None
        corners = undistort_points(
            rectifier.calibration, np.array([[left, top], [right, top], [left, bottom], [right, bottom]], float)
        )
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        return Region(left, top, right - left, bottom - top, region.side)

    def _smoothing(self) -> OneEuroConfig | None:
        if not self.settings['smoothing.enabled']:
            return None
        return OneEuroConfig(
            self.settings['smoothing.min_cutoff'],
            self.settings['smoothing.beta'],
            self.settings['smoothing.derivative_cutoff'],
        )


def region_of(detection: Detection2D) -> Region:
    """A detection's box; the class of its best hypothesis says the side where it holds the word left or right."""
    box = detection.bbox
    best = max(detection.results, key=lambda result: result.hypothesis.score, default=None)
    named = best.hypothesis.class_id.lower() if best else ''
    sides = [side for side in ('left', 'right') if side in named]
    return Region(
        box.center.position.x - box.size_x / 2,
        box.center.position.y - box.size_y / 2,
        box.size_x,
        box.size_y,
        sides[0] if len(sides) == 1 else None,
    )
