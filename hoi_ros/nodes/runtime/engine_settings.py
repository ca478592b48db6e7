# SPDX-License-Identifier: Apache-2.0
"""The parameters that every stage with networks has: where they lie and what runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hoi_ros.engines import BACKENDS
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.settings import Settings

ENGINE_SETTINGS = (
    Setting('models', '', "Folder of the trained models; empty for the package's own."),
    Setting(
        'backend',
        'auto',
        'What runs the networks; auto: TensorRT on an NVIDIA GPU, else OpenVINO, else ONNX Runtime.',
        choices=BACKENDS,
    ),
    Setting('threads', 0, 'CPU threads of a network; 0 leaves it to the backend.', 0, 256),
)


def engine_arguments(settings: Settings) -> dict[str, Any]:
    """The arguments `models`, `backend` and `threads` of a stage."""
    models = settings['models']
    return {
        'models': Path(models).expanduser() if models else None,
        'backend': settings['backend'],
        'threads': settings['threads'] or None,
    }
