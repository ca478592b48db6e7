# SPDX-License-Identifier: Apache-2.0
"""The topics of a node that publishes hands, and what they hold: estimates, topology, transforms, markers."""

from __future__ import annotations

import collections
import dataclasses
import functools
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from hoi_ros.drawing.hands import draw_hands
from hoi_ros.drawing.hands import draw_regions
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.hand.in_image import in_image
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_transforms
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.images import image_message
from hoi_ros.nodes.messages.markers import estimate_markers
from hoi_ros.nodes.messages.objects import held_objects
from hoi_ros.nodes.messages.objects import object_boxes
from hoi_ros.nodes.messages.objects import object_transforms
from hoi_ros.nodes.runtime.camera_frames import CameraFrames
from hoi_ros.nodes.runtime.camera_frames import OriginalImage
from hoi_ros.nodes.runtime.marker_lifetime import MarkerLifetime
from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.qos import LATCHED
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.regions import Regions
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.worker import NewestFirstWorker
from hoi_ros.nodes.runtime.worker_node import AnyWorkerNode

AUTO_PREFIX = 'auto'
_EARLY = 0.8
"""Share of the time between two drawings after which the next one is due."""

Markers = Callable[
    [Header, Sequence[HandEstimate], Mapping[str, np.ndarray], np.ndarray | None, float],
    MarkerArray,
]
"""Markers of the hands of one image, with the arguments of `estimate_markers`."""
Transforms = Callable[[Header, Sequence[HandEstimate], Mapping[str, HandModel], str], list[TransformStamped]]
"""Transforms of the hands of one image under its header, from the hand models by side and the prefix of the frames."""


def hand_output_settings(frames: str) -> tuple[Setting, ...]:
    """The parameters of `HandOutputs`.

    Args:
        frames: the frames on /tf.
    """
    return (
        Setting('publish_mesh', True, 'Publish the vertices of the meshes.', live=True),
        Setting('publish_tf', True, f'Publish {frames} on /tf.', live=True),
        Setting(
            'tf_prefix',
            AUTO_PREFIX,
            "Prefix of the names of those frames; auto is the node's namespace (/left gives left/right_wrist), '' is "
            'none.',
            live=True,
        ),
        Setting(
            'marker_rate',
            5.0,
            'Markers and overlays a second while somebody subscribes; 0 for none.',
            0.0,
            30.0,
            live=True,
        ),
    )


HAND_OUTPUT_SETTINGS = hand_output_settings('wrists, fingertips and held objects')


def estimate_transforms(
    header: Header, hands: Sequence[HandEstimate], models: Mapping[str, HandModel], prefix: str
) -> list[TransformStamped]:
    """Wrists, fingertips and held objects."""
    found = list(hand_transforms(header, hands, models, prefix).transforms)
    return found + object_transforms(header, hands, prefix)


@dataclasses.dataclass(frozen=True)
class _Shown:
    """What markers and overlay show: the hands of one image."""

    session: int
    header: Header
    hands: Sequence[HandEstimate]
    object_faces: np.ndarray | None
    original: OriginalImage | None
    regions: Sequence[Region]


class HandOutputs(Part[AnyWorkerNode]):
    """Publishes `~/hands`, `~/mesh_topology`, `~/markers` and /tf; with a camera `~/overlay`, with objects `~/objects`
    and `~/object_boxes` too.

    Markers and overlays are built on a thread of their own, at a reduced rate, and only while somebody subscribes.

    Args:
        camera: whose images the hands are in; None for a node without images, whose hands keep the pixels they have.
        regions: to which the node is limited, drawn on the overlay; None for a node without regions.
        markers: creates the markers.
        transforms: creates the transforms.
    """

    def __init__(
        self,
        camera: CameraFrames | None = None,
        regions: Regions | None = None,
        markers: Markers = estimate_markers,
        transforms: Transforms = estimate_transforms,
    ) -> None:
        self._camera, self._regions = camera, regions
        self._create_markers, self._create_transforms = markers, transforms
        self._lifetime = MarkerLifetime()
        self._object_faces: np.ndarray | None = None
        self._worker: NewestFirstWorker[Callable[[], None]] | None = None
        self._further: collections.deque[tuple[Callable[[], MarkerArray], int]] = collections.deque(maxlen=1)
        self._due = self._further_due = 0.0
        self._further_asked = False
        self._count, self._frames_without = 0, 0

    def create(self, hand_models: Mapping[str, HandModel], object_faces: np.ndarray | None = None) -> None:
        """Creates the publishers; the node calls it once its stage is loaded.

        Args:
            hand_models: by side.
            object_faces: (F, 3) of the objects' mesh; None for a system without objects, (0, 3) where they are given
                later.
        """
        self._models, self._object_faces = hand_models, object_faces
        self._faces = {side: model.faces for side, model in hand_models.items()}
        node = self.node
        every_frame = qos_profile(node.settings, 'output_qos')
        self._hands = node.create_output(HandArray, '~/hands', every_frame)
        self._topology = node.create_output(MeshTopology, '~/mesh_topology', LATCHED)
        self._markers = node.create_output(MarkerArray, '~/markers', every_frame)
        self._tf = node.create_output(TFMessage, '/tf', QoSProfile(depth=100))
        if self._camera is not None:
            self._overlay = node.create_output(Image, '~/overlay', every_frame)
        if object_faces is not None:
            self._objects = node.create_output(HeldObjectArray, '~/objects', every_frame)
            self._boxes = node.create_output(Detection3DArray, '~/object_boxes', every_frame)
        self._further_asked = False
        self._worker = NewestFirstWorker(self._draw, name='markers')

    def unload(self) -> None:
        worker, self._worker = self._worker, None
        if worker:
            worker.stop()

    def start(self) -> None:
        self._count, self._frames_without = 0, 0
        self._due = self._further_due = 0.0
        if self._object_faces is None or len(self._object_faces):
            self._publish_topology()

    def renew_objects(self, object_faces: np.ndarray) -> None:
        """Takes over the faces (F, 3) of the objects' mesh, and publishes the topology if they are others than before;
        on the worker's thread."""
        known = self._object_faces
        if known is None or not np.array_equal(object_faces, known):
            self._object_faces = object_faces
            self._publish_topology()

    def values(self) -> dict[str, object]:
        idle = bool(self.node.idle_reason)
        return {
            'hands': 0 if idle else self._count,
            'frames_without_hands': 0 if idle else self._frames_without,
        }

    def publish(self, header: Header, hands: Sequence[HandEstimate], session: int) -> None:
        """Publishes the hands of one image under its header; on the worker's thread.

        Args:
            header: of the image.
            hands: the estimates.
            session: the activation.
        """
        settings = self.node.settings
        self._count, self._frames_without = len(hands), 0 if hands else self._frames_without + 1
        with_mesh = settings['publish_mesh']
        original = self._camera.original if self._camera else None
        if self._hands.get_subscription_count():
            seen = [in_image(hand, original.lens) for hand in hands] if original else hands
            self._hands.publish(hand_array(header, seen, with_mesh))
        if self._object_faces is not None:
            if self._objects.get_subscription_count():
                self._objects.publish(held_objects(header, hands, with_mesh))
            if self._boxes.get_subscription_count():
                self._boxes.publish(object_boxes(header, hands))
        if hands and settings['publish_tf']:
            self._publish_tf(header, hands)
        rate, now, worker = settings['marker_rate'], time.monotonic(), self._worker
        if worker and rate > 0 and now >= self._due and (self.wants_markers() or self._wants_overlay()):
            self._due = now + 1 / rate
            regions = self._regions.used if self._regions else None
            shown = _Shown(session, header, hands, self._object_faces, original, regions or ())
            worker.offer(functools.partial(self._show, shown))

    def mark(self, create: Callable[[], MarkerArray], session: int) -> None:
        """Publishes further markers at `marker_rate` while somebody subscribes; they are created on the thread of the
        markers, unless newer ones come before that.

        Args:
            create: the markers.
            session: the activation.
        """
        worker, now, rate = self._worker, time.monotonic(), self.node.settings['marker_rate']
        if not worker or rate <= 0 or now < self._further_due or not self.wants_markers():
            return
        self._further_due = now + _EARLY / rate  # a timer of the same rate comes early at times
        self._further.append((create, session))
        if not self._further_asked:
            self._further_asked = True
            worker.request(self._show_further)

    def wants_markers(self) -> bool:
        """Whether markers are drawn and somebody subscribes to them."""
        return self.node.settings['marker_rate'] > 0 and self._markers.get_subscription_count() > 0

    def _publish_topology(self) -> None:
        header = Header(stamp=self.node.get_clock().now().to_msg())
        models = self._models
        self._topology.publish(mesh_topology(header, models['right'], models['left'], self._object_faces))

    def _publish_tf(self, header: Header, hands: Sequence[HandEstimate]) -> None:
        if not header.frame_id:
            self.node.caution(
                "the images have no frame_id: no transforms are published; set the camera driver's frame", 'frame_id'
            )
            return
        prefix = frame_prefix(self.node.settings['tf_prefix'], self.node.get_namespace())
        if transforms := self._create_transforms(header, hands, self._models, prefix):
            self._tf.publish(TFMessage(transforms=transforms))

    def _wants_overlay(self) -> bool:
        return self._camera is not None and self._overlay.get_subscription_count() > 0

    def _draw(self, drawing: Callable[[], None]) -> None:
        try:
            drawing()
        except Exception as error:  # one frame that cannot be drawn must not end the thread
            self.node.report('warning', f'markers and overlay of a frame failed: {type(error).__name__}: {error}')

    def _show(self, shown: _Shown) -> None:
        """Publishes markers and overlay; on their own thread."""
        if self.wants_markers():
            self._publish_markers(shown)
        if shown.original and self._wants_overlay():
            self._publish_overlay(shown, shown.original)

    def _show_further(self) -> None:
        """Publishes the newest of the further markers, then what waits for its turn; on their own thread."""
        self._further_asked = False  # first: what comes from now on asks again
        if self._further:
            create, session = self._further.pop()
            if self.node.publish_within(session, lambda: None):
                markers = create()
                self.node.publish_within(session, lambda: self._markers.publish(markers))
        if self._worker:
            self._worker.give_way()

    def _publish_markers(self, shown: _Shown) -> None:
        lifetime = self._lifetime.next(self.node.settings['marker_rate'])
        markers = self._create_markers(shown.header, shown.hands, self._faces, shown.object_faces, lifetime)
        self.node.publish_within(shown.session, lambda: self._markers.publish(markers))

    def _publish_overlay(self, shown: _Shown, original: OriginalImage) -> None:
        picture = draw_hands(original.pixels, shown.hands, original.lens, self._faces, shown.object_faces)
        draw_regions(picture, shown.regions)
        overlay = image_message(picture, shown.header)
        self.node.publish_within(shown.session, lambda: self._overlay.publish(overlay))


def frame_prefix(given: str, namespace: str) -> str:
    """The prefix of TF frames: the given one, or that of a node's namespace, so that every frame has one parent.

    Args:
        given: the parameter `tf_prefix`.
        namespace: of the node, such as '/robot/left'; '/' without one.
    """
    if given != AUTO_PREFIX:
        return given
    inner = namespace.strip('/')
    return f'{inner}/' if inner else ''
