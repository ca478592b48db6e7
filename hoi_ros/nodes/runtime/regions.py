# SPDX-License-Identifier: Apache-2.0
"""Regions of hands that another node publishes; `hoi_ros.stages.parts.hand_regions` says how they limit detection."""

from __future__ import annotations

import math
import re
import time

import numpy as np
from rclpy.subscription import Subscription
from sensor_msgs.msg import RegionOfInterest
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray

from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.camera.undistortion import undistort_in_front
from hoi_ros.hand.estimates import Region
from hoi_ros.nodes.runtime.diagnostics import Finding
from hoi_ros.nodes.runtime.diagnostics import Level
from hoi_ros.nodes.runtime.inputs import FrameInputs
from hoi_ros.nodes.runtime.missing_topics import other_types
from hoi_ros.nodes.runtime.missing_topics import type_name
from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.worker_node import AnyWorkerNode

REGION_SETTINGS = (Setting('region_timeout', 0.5, 'How long a received region stays valid, s.', 0.01, 60.0, live=True),)

_GRID = 17
"""Points of a region along each side that are looked up in the undistorted image."""
_SIDE = re.compile('(?:(?<![a-z])|(?<=hand))(left|right)(?=hand|[^a-z]|$)')
"""The word of a side, as in right_hand, Left, leftHand and hand-left, not as in bright."""


class Regions(Part[AnyWorkerNode]):
    """Subscribes to `region` and `regions` while the node is active.

    Args:
        inputs: the inputs of the node; regions are in pixels of the leader's images.
    """

    def __init__(self, inputs: FrameInputs) -> None:
        self._inputs = inputs
        self._received: tuple[list[Region], float] | None = None
        self._used: list[Region] | None = None
        self._subscriptions: list[Subscription] = []

    def start(self) -> None:
        self._received = self._used = None
        qos = qos_profile(self.node.settings, 'input_qos')
        self._subscriptions = [
            self.node.create_subscription(RegionOfInterest, 'region', self._take_region, qos),
            self.node.create_subscription(Detection2DArray, 'regions', self._take_detections, qos),
        ]

    def stop(self) -> None:
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            self.node.destroy_subscription(subscription)

    def findings(self) -> list[Finding]:
        used, found = self.used, []
        if used is not None:
            text = f'running: hands are detected only in {len(used)} region(s)'
            text = text if used else 'running: no hands are detected: the published regions are empty'
            found.append(Finding(Level.OK, text))
        for subscription in self._subscriptions:
            topic, expected = subscription.topic_name, subscription.msg_type
            if types := other_types(self.node, topic, expected):
                text = f'{topic} is not read: its type is {types}, expected {type_name(expected)}'
                self.node.report('warning', text)
                found.append(Finding(Level.WARN, text))
        return found

    def values(self) -> dict[str, object]:
        used = self.used
        return {'regions': 'none' if used is None else len(used)}

    @property
    def used(self) -> list[Region] | None:
        """The regions of the last frame, in pixels of the original image; None where the whole image is searched."""
        return None if self._valid() is None else self._used

    def within(self, rectifier: Rectifier) -> list[Region] | None:
        """The valid regions in pixels of the undistorted image; None where nobody gave any."""
        received = self._valid()
        if received is None:
            return None
        parts = [part for given in received if (part := self._inside(given, rectifier)) is not None]
        pairs = [(part, flat) for part in parts if (flat := self._rectified(part, rectifier)) is not None]
        # A detector that finds no hand is trusted; one whose boxes lie outside the image is not.
        self._used = [part for part, _ in pairs] if pairs or not received else None
        return None if self._used is None else [flat for _, flat in pairs]

    def _valid(self) -> list[Region] | None:
        """The regions that were received within the timeout."""
        received = self._received
        if received is None or time.monotonic() - received[1] > self.node.settings['region_timeout']:
            return None
        return received[0]

    def _take_region(self, message: RegionOfInterest) -> None:
        region = Region(message.x_offset, message.y_offset, message.width, message.height)
        self._received = ([region], time.monotonic()) if message.width and message.height else None

    def _take_detections(self, detections: Detection2DArray) -> None:
        self._received = [region_of(detection) for detection in detections.detections], time.monotonic()

    def _inside(self, region: Region, rectifier: Rectifier) -> Region | None:
        """The part of a region inside the image."""
        camera = rectifier.camera
        left, top = max(region.x, 0), max(region.y, 0)
        right, bottom = min(region.x + region.width, camera.width), min(region.y + region.height, camera.height)
        # NaN compares false: such a region lies nowhere.
        if not (left < right and top < bottom):
            self.node.caution(
                f'the region at ({region.x:g}, {region.y:g}) of {region.width:g}x{region.height:g} pixels lies outside '
                f'the image of {camera.width}x{camera.height} pixels and is ignored: give it in pixels of '
                f'{self._inputs.where(self._inputs.leader)}',
                'region',
            )
            return None
        return Region(left, top, right - left, bottom - top, region.side)

    def _rectified(self, region: Region, rectifier: Rectifier) -> Region | None:
        """The part of a region that the undistorted image shows, in its pixels."""
        camera = rectifier.camera
        if not rectifier.calibration.distorted:
            return region
        x, y = (
            np.linspace(start, start + size, _GRID)
            for start, size in ((region.x, region.width), (region.y, region.height))
        )
        pixels = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
        shown = undistort_in_front(rectifier.lens, pixels).clip(0, [camera.width, camera.height])
        (left, top), (right, bottom) = (shown.min(0), shown.max(0)) if len(shown) else np.zeros((2, 2))
        if not (left < right and top < bottom):
            self.node.caution(
                f'the region at ({region.x:g}, {region.y:g}) of {region.width:g}x{region.height:g} pixels lies where '
                'the lens sees more than the undistorted image shows, and is ignored',
                'region',
            )
            return None
        return Region(left, top, right - left, bottom - top, region.side)


def region_of(detection: Detection2D) -> Region:
    """A detection's box, or that around it if it is turned; its side where the class of its best hypothesis holds the
    word left or right."""
    box = detection.bbox
    cos, sin = abs(math.cos(box.center.theta)), abs(math.sin(box.center.theta))
    width, height = box.size_x * cos + box.size_y * sin, box.size_x * sin + box.size_y * cos
    best = max(detection.results, key=lambda result: result.hypothesis.score, default=None)
    sides = set(_SIDE.findall(best.hypothesis.class_id.lower())) if best else set()
    return Region(
        box.center.position.x - width / 2,
        box.center.position.y - height / 2,
        width,
        height,
        sides.pop() if len(sides) == 1 else None,
    )
