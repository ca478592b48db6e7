# SPDX-License-Identifier: Apache-2.0
"""Sends independent pictures to the node of a session, each once, and waits for its answer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
from rclpy.context import Context
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.nodes.messages.images import camera_info_message
from hoi_ros.nodes.messages.images import image_message
from hoi_ros.nodes.runtime import camera_topics
from hoi_ros.playback.folder_publisher import published_images
from hoi_ros.playback.frame_reader import Frame
from hoi_ros.playback.frame_reader import FrameReader
from hoi_ros.playback.image_folder import FrameFiles
from hoi_ros.playback.overlays import shrunk
from hoi_ros.playback.recording import Answer
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.replay import PICTURE_RATE
from hoi_ros.playback.results import listed
from hoi_ros.playback.results import Reasons
from hoi_ros.playback.results import sides_counted
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import SessionError
from hoi_ros.playback.sources import counted
from hoi_ros.playback.tables import Row
from hoi_ros.systems import System

PARAMETERS = {'input_timeout': 60.0, 'input_qos.reliability': 'reliable'}
"""Of a node that gets single pictures: their size exceeds what best-effort readers receive, and pauses are normal."""
LARGEST_SHEET = 100
"""Pictures that are kept for drawing."""
_PERIOD_NS = round(1e9 / PICTURE_RATE)
_AHEAD_NS = _PERIOD_NS // 2
_PATIENCE = 10.0  # seconds for an answer
_CONNECTING = 60.0  # seconds until the node subscribes
_SETTLING = 1.0  # seconds
_KEPT = 960  # pixels of the longer side of a kept picture
_NAMES = 12


@dataclasses.dataclass(frozen=True)
class PhotoResults:
    """What became of each picture.

    Attributes:
        recording: the pictures that were sent and their answers.
        names: of the pictures of the recording.
        unreadable, unanswered, without: names of the pictures that could not be read, that the node did not answer,
            and in which it found no hand.
        reasons: why pictures could not be used, a line a kind of fault.
    """

    recording: Recording
    names: Sequence[str]
    unreadable: Sequence[str]
    unanswered: Sequence[str]
    without: Sequence[str]
    reasons: Sequence[str]

    def rows(self, system: System) -> list[Row]:
        """Counts, each picture once."""
        answers = self.recording.answers
        with_hands = sum(bool(answer.hands) for answer in answers)
        parts = [f'{with_hands} with hands']
        for names, what in (
            (self.without, 'without'),
            (self.unreadable, 'unreadable'),
            (self.unanswered, 'without an answer'),
        ):
            if names:
                parts.append(f'{len(names)} {what} ({listed(names, _NAMES)})')
        total = len(answers) + len(self.unanswered) + len(self.unreadable)
        hands = [hand for answer in answers for hand in answer.hands]
        rows = [('pictures', f'{total}: {", ".join(parts)}'), ('hands', sides_counted(hands))]
        if system.source.optional_images:
            by_depth = sum(hand.located_by == 'depth' for hand in hands)
            rows.append(('located by', f'depth {by_depth}, size of the hand {len(hands) - by_depth}'))
        if system.has_objects:
            rows.append(('may hold something', f'{sum(hand.held is not None for hand in hands)}'))
        if system.has_contact:
            rows.append(('contact found', f'{sum(hand.contact is not None for hand in hands)}'))
        return rows


class PhotoNode(Node):
    """Publishes single pictures under the topics of a camera."""

    def __init__(self, context: Context, kinds: Sequence[str]) -> None:
        super().__init__('photos', context=context)
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        topics = camera_topics.BY_KIND
        self._images: dict[str, Publisher] = {
            kind: self.create_publisher(Image, topic, qos) for kind, topic in topics.items() if kind in kinds
        }
        self._info = self.create_publisher(CameraInfo, camera_topics.INFO, qos)

    def is_connected(self, leading: str) -> bool:
        """Whether the node takes the leading images, and the node and the recorder the calibration."""
        return self._images[leading].get_subscription_count() > 0 and self._info.get_subscription_count() > 1

    def announce(self, calibration: CameraCalibration, stamp: int) -> None:
        """Publishes the calibration of the next picture."""
        self._info.publish(camera_info_message(calibration, _header(stamp)))

    def publish(self, images: dict[str, np.ndarray], stamp: int) -> None:
        """Publishes a picture."""
        for kind, image in images.items():
            self._images[kind].publish(image_message(image, _header(stamp)))


def send_photos(
    session: Session,
    system: System,
    frames: Sequence[FrameFiles],
    reader: FrameReader,
    metres_per_unit: float,
    cameras: Callable[[int, int], CameraCalibration],
    say: Callable[[str], None],
) -> PhotoResults:
    """Sends each picture once, in a session whose node runs.

    Raises:
        SessionError: a process ended, or the node does not subscribe.
    """
    source = system.source
    node = session.add(lambda context: PhotoNode(context, (*source.images, *source.optional_images)))
    if not session.wait_until(lambda: node.is_connected(source.images[0]), _CONNECTING):
        raise SessionError(f'the {system.name} node did not subscribe within {_CONNECTING:.0f} s')
    session.wait_until(lambda: False, _SETTLING)
    sent: list[int] = []
    answers: list[Answer] = []
    pictures: list[Picture] = []
    names: list[str] = []
    unreadable: list[str] = []
    unanswered: list[str] = []
    without: list[str] = []
    reasons = Reasons()
    told, memory = time.monotonic(), 0.0
    for index, files in enumerate(frames):
        frame = reader.read(files)
        for fault in frame.faults:
            reasons.add(fault)
        if not frame.complete(system):
            unreadable.append(files.name)
            continue
        files = dataclasses.replace(files, depth=files.depth if 'depth' in frame.views else None)
        images, calibration = published_images(files, metres_per_unit, cameras)
        answer, rejected = None, session.recorder.rejected
        for _ in range(1 if unanswered else 2):
            stamp = max(time.time_ns() + _AHEAD_NS, (sent[-1] if sent else 0) + _PERIOD_NS)
            sent.append(stamp)
            answer = _sent(session, node, images, calibration, stamp)
            if answer is not None or session.recorder.rejected > rejected:
                break
        memory = max(memory, session.memory_mb())
        if answer is None:
            unanswered.append(files.name)
            if session.recorder.rejected > rejected:
                reasons.add(f'{files.name}: the node refuses the picture: {session.recorder.last_rejection}')
        else:
            answers.append(answer)
            if not answer.hands:
                without.append(files.name)
        if len(pictures) < LARGEST_SHEET:
            pictures.append(_kept(frame, stamp))
            names.append(files.name)
        if time.monotonic() - told > 5:
            told = time.monotonic()
            say(f'{index + 1} of {counted(len(frames), "picture")}')
    recorder = session.recorder
    recording = Recording(
        sent,
        answers,
        {},
        pictures,
        recorder.faces,
        recorder.diagnostics.get(system.name, ''),
        memory,
        0.0,
        recorder.warnings,
    )
    return PhotoResults(recording, names, unreadable, unanswered, without, reasons.lines())


def _sent(
    session: Session, node: PhotoNode, images: dict[str, np.ndarray], calibration: CameraCalibration, stamp: int
) -> Answer | None:
    """Publishes a picture at the time of its stamp, its calibration ahead of it, and waits for the answer."""
    session.wait_until(lambda: time.time_ns() >= stamp - _AHEAD_NS, _PATIENCE)
    node.announce(calibration, stamp)
    session.wait_until(lambda: time.time_ns() >= stamp, _PATIENCE)
    node.publish(images, stamp)
    recorder = session.recorder
    rejected = recorder.rejected
    session.wait_until(lambda: recorder.answer_to(stamp) is not None or recorder.rejected > rejected, _PATIENCE)
    return recorder.answer_to(stamp)


def _kept(frame: Frame, stamp: int) -> Picture:
    """The image to draw on, shrunk where it is large."""
    image, camera = shrunk(frame.shown.image, _KEPT), frame.shown.camera
    if image.shape != frame.shown.image.shape:
        camera = camera.scaled(image.shape[1], image.shape[0])
    return Picture(stamp, image, camera)


def _header(stamp: int) -> Header:
    return Header(stamp=Time(nanoseconds=stamp).to_msg(), frame_id=camera_topics.FRAME)
