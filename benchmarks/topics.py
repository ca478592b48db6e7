# SPDX-License-Identifier: Apache-2.0
"""From the camera to the topic: the simulated camera and a system's node as two processes over DDS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from hoi_ros.playback.recording import Traffic
from hoi_ros.playback.recording import traffic_of
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import simulated_camera
from hoi_ros.systems import System


@dataclasses.dataclass(frozen=True)
class TopicFigures:
    """Traffic and cost of a node over `seconds`."""

    camera_hz: float
    """Requested rate of the camera."""
    seconds: float
    traffic: Traffic
    memory_mb: float
    cpu_cores: float
    start_s: float
    """Configure and activate."""
    process_s: float
    """From the start of the process until the node appears in ROS."""


def measure(
    system: System, camera_hz: float, seconds: float, logs: Path, say: Callable[[str], None] = print
) -> TopicFigures:
    """Runs the simulated camera with the scene of a system and the system's node, and records.

    Args:
        system: it, or the system that it stands on, reads an image.
        camera_hz: images a second.
        seconds: of the recording.
        logs: folder for the output of the processes.
        say: receives progress lines.

    Raises:
        SessionError: a process does not start, ends, or sends nothing.
    """
    with Session(system, simulated_camera(system, rate=float(camera_hz)), logs, say=say) as session:
        start = session.start_node()
        session.start_camera()
        recording = session.record(seconds)
    return TopicFigures(
        camera_hz, seconds, traffic_of(recording), recording.memory_mb, recording.cpu, start.ready_s, start.process_s
    )
