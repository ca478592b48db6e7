# SPDX-License-Identifier: Apache-2.0
"""A node in a process of its own, and a bench that talks to it over DDS."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hoi_ros.msg import HandArray
from hoi_ros.nodes.messages.images import image_message
from hoi_ros.nodes.runtime.throttle import kind_of
from hoi_ros.resources import models_dir

TIMEOUT = 60.0
"""Seconds that a loaded machine may take for what takes a fraction of a second."""
STAND_IN = (str(Path(__file__).with_name('stand_in_node.py')),)
REAL = ('-m', 'hoi_ros.nodes.depth_pose')
DEPTH_POSE = REAL if (models_dir() / 'depth_pose' / 'card.yaml').is_file() else STAND_IN
"""The node with its trained models, or with a stage that needs none where they are not there."""
FRAME = 'camera_color_optical_frame'
WIDTH, HEIGHT = 320, 240
TOPICS = {name: f'/camera/{name}' for name in ('depth', 'image', 'camera_info')}
"""Where the bench publishes."""


class NodeProcess:
    """A node's executable, its output kept in a file."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        parameters: dict[str, object] | None = None,
        environment: dict[str, str] | None = None,
        topics: dict[str, str] = TOPICS,
    ) -> None:
        self._log = log
        settings = [text for name, value in (parameters or {}).items() for text in ('-p', f'{name}:={value}')]
        remappings = [text for name, topic in topics.items() for text in ('-r', f'{name}:={topic}')]
        with log.open('w') as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments, '--ros-args', *remappings, *settings],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        atexit.register(self._process.kill)  # an assertion may end a test before it ends the node

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Tells the process to end; its exit code."""
        self._process.send_signal(number)
        try:
            return self._process.wait(TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()

    def status(self, field: str) -> int:
        """A number of /proc/<pid>/status: Threads, or VmRSS in kB."""
        lines = Path(f'/proc/{self.pid}/status').read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f'{field}:')).split()[1])


class Bench:
    """Publishes camera topics, receives what a node sends, calls its services."""

    def __init__(self, node: str = '/depth_pose') -> None:
        self._node = rclpy.create_node('bench')
        self._name = node
        self._clients: dict[str, Any] = {}
        self._outputs = {
            name: self._node.create_publisher(kind, TOPICS[name], 1)
            for name, kind in (('depth', Image), ('image', Image), ('camera_info', CameraInfo))
        }
        self.diagnosis: DiagnosticStatus | None = None
        self.received: dict[str, list[Any]] = {}
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnosed, 10)
        self.listen(HandArray, f'{node}/hands')
        self._stamp = self._behind = 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(TIMEOUT)
        self._node.destroy_node()

    def listen(self, kind: type, topic: str, qos: Any = qos_profile_sensor_data) -> None:
        """Keeps what comes on a topic in `received`."""
        messages = self.received.setdefault(topic, [])
        self._node.create_subscription(kind, topic, messages.append, qos)

    def create_publisher(self, kind: type, topic: str, qos: Any = 1) -> Callable[[Any], None]:
        """Publishes one message a call."""
        return self._node.create_publisher(kind, topic, qos).publish

    def destroy_publisher(self, publish: Any) -> None:
        """Ends a publisher of `create_publisher`."""
        self._node.destroy_publisher(publish.__self__)

    @property
    def hands(self) -> list[HandArray]:
        return self.received[f'{self._name}/hands']

    @property
    def says(self) -> str:
        """Everything of the last diagnosis as one text."""
        if self.diagnosis is None:
            return ''
        values = [f'{value.key}: {value.value}' for value in self.diagnosis.values]
        return '\n'.join([self.diagnosis.message, *values, ''])

    def value(self, key: str) -> str:
        """One value of the last diagnosis."""
        return next(value.value for value in self.diagnosis.values if value.key == key)

    def until(
        self, holds: Callable[[], object], meanwhile: Callable[[], object] = lambda: None, what: str = ''
    ) -> None:
        """Waits until something holds, doing something ten times a second."""
        end = time.monotonic() + TIMEOUT
        while not holds():
            assert time.monotonic() < end, f'waited {TIMEOUT} s for {what or "it"}; diagnosis: {self.says}'
            meanwhile()
            time.sleep(0.1)

    def until_logged(self, node: NodeProcess, text: str) -> None:
        """A diagnosis may come before the line in the log, whose numbers may be those of another frame."""
        self.until(lambda: kind_of(text) in kind_of(node.log), what=f'{text!r} in the log')

    def until_state(self, state: str) -> None:
        self.until(lambda: f'state: {state}\n' in self.says, what=state)

    def until_says(self, text: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Waits for a diagnosis from now on that holds a text."""
        self.diagnosis = None
        self.until(lambda: text in self.says, meanwhile, repr(text))

    def until_well(self) -> None:
        """Sends good frames until nothing is amiss."""
        self.diagnosis = None
        self.until(lambda: self.diagnosis and self.diagnosis.level == DiagnosticStatus.OK, self.send_good, 'OK')

    def next_header(self) -> Header:
        """A header of now, at least a millisecond after the one before."""
        self._stamp = max(self._stamp + 10**6, time.time_ns() - self._behind)
        return self._header()

    def turn_back(self) -> None:
        """Lets the stamps start over three seconds earlier."""
        self._behind += 3 * 10**9
        self._stamp = 0

    def send(self, depth: Image | None = None, info: CameraInfo | None = None, image: Image | None = None) -> None:
        for name, message in (('camera_info', info), ('image', image), ('depth', depth)):
            if message is not None:
                self._outputs[name].publish(message)

    def send_good(self) -> int:
        """A flat surface before a calibrated camera; its stamp in nanoseconds."""
        header = self.next_header()
        self.send(good_depth(header), good_info(header), black_image(header))
        return stamp_of(header)

    def until_hands(self) -> HandArray:
        """Sends good frames until one is answered."""
        sent: set[int] = set()
        self.until(
            lambda: any(stamp_of(hands.header) in sent for hands in self.hands),
            lambda: sent.add(self.send_good()),
            'hands',
        )
        return next(hands for hands in reversed(self.hands) if stamp_of(hands.header) in sent)

    def call(self, kind: type, service: str, request: Any) -> Any:
        """The answer of one of the node's services."""
        if service not in self._clients:
            self._clients[service] = self._node.create_client(kind, f'{self._name}/{service}')
        client = self._clients[service]
        assert client.wait_for_service(TIMEOUT), f'no service {service}'
        future = client.call_async(request)
        answered = threading.Event()
        future.add_done_callback(lambda _: answered.set())
        assert answered.wait(TIMEOUT), f'{service} does not answer'
        return future.result()

    def has_received(self) -> bool:
        """Whether the node has a frame to work on."""
        return self.diagnosis is not None and int(self.value('frames_received')) > 0

    def count_publishers(self, topic: str) -> int:
        return self._node.count_publishers(topic)

    def count_subscribers(self, topic: str) -> int:
        return self._node.count_subscribers(topic)

    def publishers_of_the_node(self) -> dict[str, Any]:
        """What the node publishes beside what every ROS node does: the endpoint by topic."""
        namespace, _, name = self._name.rpartition('/')
        found = self._node.get_publisher_names_and_types_by_node(name, namespace or '/')
        own = [
            topic
            for topic, _ in found
            if topic not in ('/rosout', '/parameter_events', f'{self._name}/transition_event')
        ]
        return {
            topic: next(each for each in self._node.get_publishers_info_by_topic(topic) if each.node_name == name)
            for topic in own
        }

    def change_state(self, transition: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = transition
        return self.call(ChangeState, 'change_state', request).success

    @property
    def state(self) -> str:
        return self.call(GetState, 'get_state', GetState.Request()).current_state.label

    def set_parameter(self, name: str, value: object) -> Any:
        """successful and reason."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self.call(SetParameters, 'set_parameters', request).results[0]

    def get_parameter(self, name: str) -> Any:
        answer = self.call(GetParameters, 'get_parameters', GetParameters.Request(names=[name]))
        return Parameter.from_parameter_msg(rclpy.parameter.ParameterMsg(name=name, value=answer.values[0])).value

    def _header(self) -> Header:
        header = Header(frame_id=FRAME)
        header.stamp.sec, header.stamp.nanosec = divmod(self._stamp, 10**9)
        return header

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.hardware_id == self._name:
                self.diagnosis = status

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()


def stamp_of(header: Header) -> int:
    """Nanoseconds."""
    return header.stamp.sec * 10**9 + header.stamp.nanosec


def good_depth(header: Header) -> Image:
    return image_message(np.full((HEIGHT, WIDTH), 600, np.uint16), header)


def black_image(header: Header) -> Image:
    return image_message(np.zeros((HEIGHT, WIDTH, 3), np.uint8), header)


def good_info(header: Header, width: int = WIDTH, height: int = HEIGHT) -> CameraInfo:
    focal = 305.0 * width / WIDTH
    return CameraInfo(
        header=header,
        width=width,
        height=height,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0],
    )
