# SPDX-License-Identifier: Apache-2.0
"""The sim_camera node: a simulated RealSense before which hands move, with the truth beside it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence

import numpy as np
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.hand import HandModel
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.images import camera_info_message
from hoi_ros.nodes.messages.objects import held_objects
from hoi_ros.nodes.runtime.camera_topics import COLOUR
from hoi_ros.nodes.runtime.camera_topics import DEPTH
from hoi_ros.nodes.runtime.camera_topics import FRAME
from hoi_ros.nodes.runtime.camera_topics import INFO
from hoi_ros.nodes.runtime.diagnostics import Finding
from hoi_ros.nodes.runtime.diagnostics import Level
from hoi_ros.nodes.runtime.frame_statistics import FrameStatistics
from hoi_ros.nodes.runtime.image_transport import make_room_for_images
from hoi_ros.nodes.runtime.managed_node import LIFECYCLE_SETTINGS
from hoi_ros.nodes.runtime.managed_node import ManagedNode
from hoi_ros.nodes.runtime.qos import LATCHED
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.qos import qos_settings
from hoi_ros.nodes.runtime.running import run
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.simulation.camera import MovingHand
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.camera import SimulatedView
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.hands_together import HandsTogether
from hoi_ros.simulation.held_solid import SOLIDS
from hoi_ros.simulation.sensor import SensorModel

_FOCAL = 610 / 640  # of a RealSense D435's colour camera, as a share of the width
_PICTURES_PER_SECOND = 30.0

SETTINGS = {
    'Lifecycle': LIFECYCLE_SETTINGS,
    'Images': (
        Setting('rate', 30.0, 'Images a second; above 30 each picture is sent several times.', 1.0, 120.0, live=True),
        Setting('width', 640, 'Pixels.', 64, 1920),
        Setting('height', 480, 'Pixels.', 48, 1080),
        Setting('noise', True, 'Add the noise, holes and shadows of a real depth camera.'),
        Setting('frame_id', FRAME, 'Frame of the images.'),
    ),
    'Scene': (
        Setting('side', 'right', 'The hands in view.', choices=('right', 'left', 'both')),
        Setting(
            'motion',
            'apart',
            'apart: each hand moves on its own. together: both hands come together, touch in several ways, and part; '
            'for side both and object none.',
            choices=('apart', 'together'),
        ),
        Setting('object', 'none', 'What the hands hold; with none they move freely.', choices=('none', *SOLIDS)),
        Setting('seed', 0, 'Seed of the motion, the shape of the hands and the noise.', 0, 2**31 - 1),
        Setting('loop', 8.0, 'Period of the motion, rendered before the camera starts, s.', 1.0, 60.0),
    ),
    'Outputs': qos_settings('output_qos', 'the images', 'reliable'),
}


class SimCameraNode(ManagedNode):
    """Renders a loop of pictures when it is configured and publishes them while it is active."""

    def __init__(self) -> None:
        self._statistics = FrameStatistics()
        self._timer: Timer | None = None
        self._period = 0.0
        self._views: list[SimulatedView] = []
        super().__init__('sim_camera', SETTINGS)

    def load(self) -> None:
        width, height = self.settings['width'], self.settings['height']
        focal = _FOCAL * width
        self._camera = Pinhole(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        self._render()
        self._depth, self._depth_pixels = self._image('16UC1', np.dtype(np.uint16), ())
        self._colour, self._colour_pixels = self._image('rgb8', np.dtype(np.uint8), (3,))
        self._info = camera_info_message(CameraCalibration(self._camera), Header())
        qos = qos_profile(self.settings, 'output_qos')
        self._depth_output = self.create_output(Image, DEPTH, qos)
        self._colour_output = self.create_output(Image, COLOUR, qos)
        self._info_output = self.create_output(CameraInfo, INFO, qos)
        self._truth_output = self.create_output(HandArray, '~/ground_truth', qos)
        self._true_objects_output = self.create_output(HeldObjectArray, '~/ground_truth_objects', qos)
        self._topology_output = self.create_output(MeshTopology, '~/mesh_topology', LATCHED)

    def unload(self) -> None:
        self._views = []

    def start(self) -> None:
        self._statistics = FrameStatistics()
        self._moment, self._painted = 0.0, -1
        header = Header(stamp=self.get_clock().now().to_msg())
        self._topology_output.publish(mesh_topology(header, self._model, self._model.mirrored(), self._object_faces))
        self._run_timer()

    def stop(self) -> None:
        if self._timer:
            self.destroy_timer(self._timer)
        self._timer = None

    def settings_changed(self) -> None:
        if self._timer and self._period != 1 / self.settings['rate']:
            self.stop()
            self._statistics = FrameStatistics()
            self._run_timer()

    def findings(self) -> list[Finding]:
        rate, wanted = self._statistics.values()['output_rate_hz'], self.settings['rate']
        if rate < 0.9 * wanted:
            return [Finding(Level.WARN, f'sends {rate:.1f} images a second of {wanted:.1f}: the machine is too busy')]
        return []

    def values(self) -> dict[str, object]:
        figures = self._statistics.values()
        return {
            'images_sent': figures['frames_processed'],
            'output_rate_hz': figures['output_rate_hz'],
            'processing_time_ms_p99': figures['processing_time_ms_p99'],
        }

    def _render(self) -> None:
        loop = self.settings['loop']
        model = HandModel.load()
        sides = ('right', 'left') if self.settings['side'] == 'both' else (self.settings['side'],)
        places = {'right': -0.2, 'left': 0.2} if len(sides) > 1 else {}
        seed, sensor = self.settings['seed'], SensorModel() if self.settings['noise'] else None
        solid = SOLIDS.get(self.settings['object'])
        motions: Sequence[MovingHand]
        if self.settings['motion'] == 'together':
            if len(sides) < 2 or solid:
                raise ValueError(
                    f'motion is together, side {self.settings["side"]} and object {self.settings["object"]}: set side '
                    'to both and object to none'
                )
            motions = HandsTogether(model, seed, loop).hands
        else:
            motions = [
                HandMotion(model, side, seed, loop, places.get(side, 0.0), solid() if solid else None) for side in sides
            ]
        simulated = SimulatedCamera(self._camera, motions, sensor, seed)
        count, said = math.ceil(loop * _PICTURES_PER_SECOND), time.monotonic()
        views = []
        for index in range(count):
            if self.closing:
                raise InterruptedError('the node ends')
            views.append(simulated.look(index * loop / count))
            if time.monotonic() - said > 1:
                said = time.monotonic()
                self.get_logger().info(f'rendered {index + 1} of {count} pictures')
        self._simulated, self._views = simulated, views
        self._model, self._object_faces = model, motions[0].object_faces

    def _image(self, encoding: str, dtype: np.dtype, channels: Sequence[int]) -> tuple[Image, np.ndarray]:
        """A message, and its pixels as an array that shares their memory."""
        width, height = self._camera.width, self._camera.height
        step = width * dtype.itemsize * math.prod(channels)
        message = Image(width=width, height=height, encoding=encoding, step=step, data=bytes(step * height))
        return message, np.frombuffer(message.data, dtype).reshape(height, width, *channels)

    def _run_timer(self) -> None:
        self._period = 1 / self.settings['rate']
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(self._period, self._send, clock=steady)

    def _send(self) -> None:
        views = self._views
        if not views:
            return
        begun = time.perf_counter()
        loop = self.settings['loop']
        shown = int(self._moment / loop * len(views) + 1e-6) % len(views)
        if shown != self._painted:
            self._simulated.paint(views[shown], self._depth_pixels, self._colour_pixels)
            self._painted = shown
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self.settings['frame_id'])
        self._info.header = self._depth.header = self._colour.header = header
        self._info_output.publish(self._info)
        self._depth_output.publish(self._depth)
        self._colour_output.publish(self._colour)
        if self._truth_output.get_subscription_count():
            self._truth_output.publish(hand_array(header, views[shown].hands, True))
        if self._true_objects_output.get_subscription_count():
            self._true_objects_output.publish(held_objects(header, views[shown].hands, True))
        self._moment = (self._moment + self._period) % loop
        self._statistics.processed(time.perf_counter() - begun, 0.0)


def main() -> int:
    """Runs the node until the process is told to end."""
    make_room_for_images()
    return run(SimCameraNode, (COLOUR, DEPTH, INFO))


if __name__ == '__main__':
    sys.exit(main())
