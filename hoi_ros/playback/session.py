# SPDX-License-Identifier: Apache-2.0
"""A camera and a system's node as processes in a ROS domain of their own, with a recorder."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from typing import TypeVar

import psutil
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hoi_ros.nodes.runtime import camera_topics
from hoi_ros.playback.recorder import Recorder
from hoi_ros.playback.recording import Recording
from hoi_ros.systems import ImageKind
from hoi_ros.systems import System

Added = TypeVar('Added', bound=Node)

_PATIENCE = 300.0  # seconds for a process to answer on a busy machine
_DISCOVERY = 5.0  # seconds for the first answer
_SETTLING = 1.0  # seconds from the first answer to the first frame that counts
_LATE = 0.5  # seconds that the answers to the last frames may take
_FAREWELL = 4.0  # seconds for a process to end by itself

_ENDS_WITH_PARENT = ('setpriv', '--pdeathsig', 'TERM', 'sh', '-c', '[ "$PPID" -eq "$0" ] && exec "$@"')
"""Prefix of the number of this process and a program: Linux ends the program when this process is killed, and does not
start it if this process is gone already."""


def simulated_camera(system: System, **parameters: object) -> tuple[str, ...]:
    """Arguments of Python that start the simulated camera with the scene of a system and further parameters."""
    settings = {**system.scene, **parameters}
    return (
        '-m',
        'hoi_ros.nodes.sim_camera',
        '--ros-args',
        *(text for name, value in settings.items() for text in ('-p', f'{name}:={value}')),
    )


class SessionError(RuntimeError):
    """A process did not start, ended, or stopped answering."""


@dataclasses.dataclass(frozen=True)
class StartTimes:
    """Seconds until a node appears in ROS, is configured (networks loaded and warm) and is activated."""

    process_s: float
    configure_s: float
    activate_s: float

    @property
    def ready_s(self) -> float:
        """Configure and activate."""
        return self.configure_s + self.activate_s


class Session:
    """Starts and ends only processes of its own. Use it in a `with` statement.

    Args:
        system: the system whose node is started.
        camera: arguments of Python that start the camera.
        logs: folder for the logs of the processes.
        pictures: number of images that a recording stores.
        kind: kind of those images.
        say: receives progress lines.
        every: stores each image of this number of images.
        parameters: of the node.
    """

    def __init__(
        self,
        system: System,
        camera: Sequence[str],
        logs: Path,
        pictures: int = 0,
        kind: ImageKind = 'depth',
        say: Callable[[str], None] = print,
        every: int = 3,
        parameters: Mapping[str, object] = types.MappingProxyType({}),
    ) -> None:
        self._system = system
        self._camera_arguments = camera
        self._logs = logs
        self._pictures, self._kind, self._every = pictures, kind, every
        self._parameters = parameters
        self._say = say
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._nodes: list[Node] = []
        self.domain = os.getpid() % 50 + 51

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        os.environ['ROS_DOMAIN_ID'] = str(self.domain)
        self._context = Context()
        rclpy.init(
            args=[], context=self._context, domain_id=self.domain, signal_handler_options=SignalHandlerOptions.NO
        )
        self._recorder = Recorder(self._system, self._context, self._pictures, self._kind, self._every)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._recorder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end_processes()
        finally:
            self._executor.shutdown()
            for node in (*self._nodes, self._recorder):
                node.destroy_node()
            rclpy.shutdown(context=self._context)

    def start_node(self) -> StartTimes:
        """Starts the nodes that the system stands on, then its own, and takes each through its lifecycle.

        Returns:
            The times of the system's own node.

        Raises:
            SessionError: one cannot be started; the text holds its reason.
        """
        for below in self._system.below:
            self._start_node(below)
        return self._start_node(self._system)

    def start_camera(self) -> None:
        """Starts the camera and waits for the first answer, at most a few seconds after the first frame.

        Raises:
            SessionError: no frame arrives.
        """
        self._say('starting the camera')
        self._start('camera', self._camera_arguments)
        self._wait(lambda: self._recorder.frames > 0, 'the first frame of the camera')
        end = time.monotonic() + _DISCOVERY
        while not self._recorder.answers and time.monotonic() < end:
            self._spin(0.1)
        self._spin(_SETTLING)

    def record(self, seconds: float) -> Recording:
        """Records for a while.

        Raises:
            SessionError: a process ended.
        """
        process = psutil.Process(self._processes[self._system.name].pid)
        used, begun, memory = sum(process.cpu_times()[:2]), time.monotonic(), 0
        self._recorder.start()
        told = begun
        while (now := time.monotonic()) < begun + seconds:
            self._spin(min(0.5, begun + seconds - now))
            memory = max(memory, process.memory_info().rss)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                self._say(
                    f'{told - begun:.0f} of {seconds:.0f} s: {self._recorder.frames} frames, '
                    f'{self._recorder.answers} answers'
                )
        cpu = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - begun)
        self._recorder.end()
        self._spin(_LATE)
        return self._recorder.recording(memory / 1e6, cpu)

    @property
    def recorder(self) -> Recorder:
        """The recorder, of the session's ROS domain."""
        return self._recorder

    def add(self, create: Callable[[Context], Added]) -> Added:
        """Creates a node in the session's ROS domain, which lives as long as the session."""
        node = create(self._context)
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def wait_until(self, done: Callable[[], bool], patience: float) -> bool:
        """Waits until something is so, or for `patience` seconds at most; whether it is.

        Raises:
            SessionError: a process ended.
        """
        end = time.monotonic() + patience
        while not done() and time.monotonic() < end:
            self._spin(0.02)
        return done()

    def memory_mb(self) -> float:
        """Resident memory of the node's process, 1e6 bytes."""
        return psutil.Process(self._processes[self._system.name].pid).memory_info().rss / 1e6

    def _start_node(self, system: System) -> StartTimes:
        self._say(f'starting the {system.name} node')
        begun = time.perf_counter()
        self._start(
            system.name,
            (
                '-m',
                system.node,
                '--ros-args',
                '-p',
                'autostart:=false',
                *(text for name, value in self._parameters.items() for text in ('-p', f'{name}:={value}')),
                '-r',
                f'depth:={camera_topics.DEPTH}',
                '-r',
                f'image:={camera_topics.COLOUR}',
                '-r',
                f'camera_info:={camera_topics.INFO}',
            ),
        )
        client = self._recorder.create_client(ChangeState, f'/{system.name}/change_state')
        self._wait(client.service_is_ready, f'the {system.name} node to appear')
        appeared = time.perf_counter()
        for number, name in (
            (Transition.TRANSITION_CONFIGURE, 'configured'),
            (Transition.TRANSITION_ACTIVATE, 'activated'),
        ):
            answer = client.call_async(ChangeState.Request(transition=Transition(id=number)))
            self._wait(answer.done, f'the {system.name} node to be {name}')
            if not answer.result().success:
                reason = self._reason(system)
                raise SessionError(
                    f'the {system.name} node cannot be {name}: {reason}'
                    if f'be {name}' not in reason
                    else f'the {system.name} node {reason}'
                )
            if number == Transition.TRANSITION_CONFIGURE:
                configured = time.perf_counter()
        times = StartTimes(appeared - begun, configured - appeared, time.perf_counter() - configured)
        for line in self._log(system.name).read_text(errors='replace').splitlines():
            if line.startswith('[WARN]'):
                self._say(f'the node says: {line.rpartition("]: ")[2]}')
        self._recorder.destroy_client(client)
        return times

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        lead = (*_ENDS_WITH_PARENT, str(os.getpid())) if shutil.which('setpriv') else ()
        with self._log(name).open('wb') as log, _uninterrupted():
            # A group of its own: Ctrl-C reaches this process alone, which ends the others in order.
            self._processes[name] = subprocess.Popen(
                [*lead, sys.executable, *arguments], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _log(self, name: str) -> Path:
        return self._logs / f'{name}.log'

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.1))
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise SessionError(
                    f'the process of {name} ended with exit code {process.returncode}; {self._said(name)}'
                )

    def _wait(self, done: Callable[[], bool], event: str) -> None:
        begun = told = time.monotonic()
        latest = next(reversed(self._processes))
        while not done():
            self._spin(0.02)
            now = time.monotonic()
            if now - begun > _PATIENCE:
                raise SessionError(f'waited {_PATIENCE:.0f} s in vain for {event}; {self._said(latest)}')
            if now - told > 5:
                told = now
                last = [line.rpartition(']: ')[2] for line in self._last_lines(latest, 1)]
                self._say('; '.join([f'waiting for {event}', *last]))

    def _reason(self, system: System) -> str:
        """The next message of a system's node on /diagnostics."""
        self._recorder.diagnostics.pop(system.name, None)
        self._wait(lambda: system.name in self._recorder.diagnostics, 'its diagnostics')
        return self._recorder.diagnostics[system.name]

    def _said(self, name: str) -> str:
        return '\n  '.join([f'the end of {self._log(name)}:', *self._last_lines(name, 5)])

    def _last_lines(self, name: str, count: int) -> list[str]:
        return self._log(name).read_text(errors='replace').splitlines()[-count:]

    def _end_processes(self) -> None:
        running = [process for process in self._processes.values() if process.poll() is None]
        self._processes.clear()
        try:
            for process in running:
                process.send_signal(signal.SIGINT)
            end = time.monotonic() + _FAREWELL
            for process in running:
                process.wait(max(end - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            pass
        finally:
            for process in running:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Defers SIGINT and SIGTERM while a process is started and registered."""
    pending: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: pending.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if pending:
            signal.raise_signal(pending[0])
