# SPDX-License-Identifier: Apache-2.0
"""Records the topics of a camera and of a system's node."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from hoi_ros.camera.calibration import calibration_of
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.messages.images import colour_of
from hoi_ros.nodes.messages.images import depth_of
from hoi_ros.nodes.runtime import camera_topics
from hoi_ros.nodes.runtime.qos import LATCHED
from hoi_ros.playback.answer_log import ALL
from hoi_ros.playback.answer_log import AnswerLog
from hoi_ros.playback.answer_log import stamp_of
from hoi_ros.playback.recording import Answer
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording
from hoi_ros.systems import ImageKind
from hoi_ros.systems import System


class Recorder(Node):
    """Stores the messages of a recording as they are; `recording` converts them afterwards.

    Args:
        system: the system whose node is recorded.
        context: rclpy context of its ROS domain.
        pictures: number of images to store; with 0 it does not subscribe to the images.
        kind: kind of those images.
        every: stores each image of this number of images.

    Attributes:
        diagnostics: the last message on /diagnostics by system: of the recorded node, and of those that it stands on.
        last_rejection: why one of these nodes has refused its last frame.
        log: what the system's node publishes.
    """

    def __init__(
        self, system: System, context: Context, pictures: int = 0, kind: ImageKind = 'depth', every: int = 3
    ) -> None:
        super().__init__('recorder', context=context)
        self._system = system
        self._most_pictures, self._kind, self._every = pictures, kind, every
        self._faces: dict[str, np.ndarray] = {}
        self._true_object_faces: np.ndarray | None = None
        self.log = AnswerLog(self, system)
        self._input_log = AnswerLog(self, system.below[-1]) if system.below else None
        self.diagnostics: dict[str, str] = {}
        self._rejected: dict[str, int] = {}
        self.last_rejection = ''
        self.start()
        self.create_subscription(CameraInfo, camera_topics.INFO, self._take_info, ALL)
        self.create_subscription(HandArray, '/sim_camera/ground_truth', self._take_truth, ALL)
        self.create_subscription(HeldObjectArray, '/sim_camera/ground_truth_objects', self._take_true_objects, ALL)
        self.create_subscription(MeshTopology, f'/{system.name}/mesh_topology', self._take_topology, LATCHED)
        self.create_subscription(MeshTopology, '/sim_camera/mesh_topology', self._take_true_topology, LATCHED)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics, ALL)
        if pictures:
            topic = camera_topics.BY_KIND[kind]
            self.create_subscription(Image, topic, self._take_image, qos_profile_sensor_data, raw=True)

    @property
    def frames(self) -> int:
        """Frames that the camera has sent since the start."""
        return len(self._infos)

    @property
    def answers(self) -> int:
        """Frames since the start that the node has answered."""
        return len({stamp_of(info) for info in self._infos} & self.log.stamps)

    @property
    def rejected(self) -> int:
        """The number of frames that these nodes have refused."""
        return sum(self._rejected.values())

    @property
    def warnings(self) -> list[str]:
        """The faults that these nodes have named on /diagnostics since the start."""
        return list(self._warnings.values())

    @property
    def faces(self) -> dict[str, np.ndarray]:
        """(F, 3) of the meshes, empty until the node has published them."""
        return self._faces

    def answer_to(self, stamp: int) -> Answer | None:
        """What the node has published for a frame; None as long as a part of it is missing."""
        return self.log.answer_to(stamp)

    def start(self) -> None:
        """Discards everything recorded."""
        self._infos: list[CameraInfo] = []
        for log in filter(None, (self.log, self._input_log)):
            log.start()
        self._truth: list[HandArray] = []
        self._true_objects: list[HeldObjectArray] = []
        self._images: list[bytes] = []
        self._image_count = 0
        self._warnings: dict[str, str] = {}
        self._last_stamp: int | None = None

    def end(self) -> None:
        """Ends the recording: later frames are ignored, late answers to earlier frames count."""
        # A calibration may be announced ahead of its image.
        now = time.time_ns()
        self._last_stamp = max((stamp for info in self._infos if (stamp := stamp_of(info)) <= now), default=0)

    def recording(self, memory_mb: float, cpu: float) -> Recording:
        """The recording, with the resources that the node's process used."""
        sent = [stamp for stamp in map(stamp_of, self._infos) if self._last_stamp is None or stamp <= self._last_stamp]
        first, last = min(sent, default=0), max(sent, default=0)
        true_held = {stamp_of(message): message for message in self._true_objects}
        truth = {
            stamp_of(message): hand_estimates(message, true_held.get(stamp_of(message))) for message in self._truth
        }
        return Recording(
            sent,
            self.log.answers(first, last),
            truth,
            list(self._pictures(first, last)),
            self._faces,
            self.diagnostics.get(self._system.name, ''),
            memory_mb,
            cpu,
            self.warnings,
            self._input_log.answers(first, last) if self._input_log else (),
            self._true_object_faces,
        )

    def _pictures(self, first: int, last: int) -> Iterable[Picture]:
        infos = {stamp_of(info): info for info in self._infos}
        rectifier = functools.lru_cache(maxsize=4)(Rectifier)
        for data in self._images:
            message = deserialize_message(data, Image)
            info = infos.get(stamp_of(message))
            if info is None or not first <= stamp_of(message) <= last:
                continue
            rectify = rectifier(calibration_of(info, message.width, message.height, camera_topics.INFO))
            image = rectify.depth(depth_of(message)) if self._kind == 'depth' else rectify.colour(colour_of(message))
            yield Picture(stamp_of(message), image, rectify.camera)

    def _take_info(self, message: CameraInfo) -> None:
        self._infos.append(message)

    def _take_truth(self, message: HandArray) -> None:
        self._truth.append(message)

    def _take_true_objects(self, message: HeldObjectArray) -> None:
        self._true_objects.append(message)

    def _take_image(self, data: bytes) -> None:
        if self._image_count % self._every == 0 and len(self._images) < self._most_pictures:
            self._images.append(data)
        self._image_count += 1

    def _take_topology(self, message: MeshTopology) -> None:
        self._faces = {
            'right': np.asarray(message.right_faces).reshape(-1, 3),
            'left': np.asarray(message.left_faces).reshape(-1, 3),
        }
        if message.object_faces:
            self._faces['object'] = np.asarray(message.object_faces).reshape(-1, 3)

    def _take_true_topology(self, message: MeshTopology) -> None:
        self._true_object_faces = np.asarray(message.object_faces).reshape(-1, 3) if message.object_faces else None

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.hardware_id.lstrip('/')
            if name in (self._system.name, *(below.name for below in self._system.below)):
                self.diagnostics[name] = status.message
                values = {pair.key: pair.value for pair in status.values}
                rejected = int(values.get('frames_rejected', '0'))
                if rejected != self._rejected.get(name):
                    self._rejected[name] = rejected
                    self.last_rejection = values.get('last_rejection', '')
                if status.level != DiagnosticStatus.OK:
                    # The same sentence with other numbers is the same fault.
                    self._warnings.setdefault(re.sub(r'\d+', '#', status.message), status.message)
