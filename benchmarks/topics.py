# SPDX-License-Identifier: Apache-2.0
"""From the camera to the topic: the simulated camera and the node as two processes over DDS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from hoi_ros.playback.recording import Traffic
from hoi_ros.playback.recording import traffic_of
from hoi_ros.playback.replay import STAGES
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import SIMULATED_CAMERA


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
    stage: str, camera_hz: float, seconds: float, logs: Path, say: Callable[[str], None] = print
) -> TopicFigures:
    """Runs the simulated camera and a stage's node and listens; a hand holds a can where the stage sees objects.

    Raises:
        SessionError: a process does not do its part.
    """
    held = 'can' if STAGES[stage].sees_objects else 'none'
    camera = (*SIMULATED_CAMERA, '-p', f'rate:={float(camera_hz)}', '-p', f'object:={held}')
    with Session(stage, camera, logs, say=say) as session:
        start = session.start_stage()
        session.start_camera()
        recording = session.record(seconds)
    return TopicFigures(
        camera_hz, seconds, traffic_of(recording), recording.memory_mb, recording.cpu, start.ready_s, start.process_s
    )
