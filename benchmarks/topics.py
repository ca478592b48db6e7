# SPDX-License-Identifier: Apache-2.0
"""From the camera to the topic: the simulated camera and the node as two processes over DDS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from hoi_ros.playback.recording import Traffic
from hoi_ros.playback.recording import traffic_of
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import simulated_camera
from hoi_ros.systems import system_of


@dataclasses.dataclass(frozen=True)
class TopicFigures:
    """One stretch of time at the node."""

    camera_hz: float
    """What the camera was asked for."""
    seconds: float
    traffic: Traffic
    memory_mb: float
    cpu_cores: float
    start_s: float
    """Configure and activate."""
    process_s: float
    """From starting the process to the node's appearance in ROS."""


def measure(
    name: str, camera_hz: float, seconds: float, logs: Path, say: Callable[[str], None] = print
) -> TopicFigures:
    """Runs the simulated camera with the scene of a system and the system's node, and records.

    Raises:
        SessionError: a process does not do its part.
    """
    system = system_of(name)
    with Session(system, simulated_camera(system, rate=float(camera_hz)), logs, say=say) as session:
        start = session.start_node()
        session.start_camera()
        recording = session.record(seconds)
    return TopicFigures(
        camera_hz, seconds, traffic_of(recording), recording.memory_mb, recording.cpu, start.ready_s, start.process_s
    )
