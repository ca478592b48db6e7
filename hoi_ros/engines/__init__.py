# SPDX-License-Identifier: Apache-2.0
"""Run one network: TensorRT, OpenVINO or ONNX Runtime behind one interface."""

from hoi_ros.engines.card import BATCH
from hoi_ros.engines.card import Card
from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.engine import Engine
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.errors import CardError
from hoi_ros.engines.errors import EngineBuildError
from hoi_ros.engines.errors import EngineError
from hoi_ros.engines.errors import HashMismatchError
from hoi_ros.engines.errors import InputError
from hoi_ros.engines.errors import MissingBackendError
from hoi_ros.engines.errors import ModelFileError
from hoi_ros.engines.errors import PrecisionError
from hoi_ros.engines.errors import UnsupportedOperatorError
from hoi_ros.engines.loading import Backend
from hoi_ros.engines.loading import BACKENDS
from hoi_ros.engines.loading import load_engine

__all__ = [
    'BACKENDS',
    'BATCH',
    'Backend',
    'Card',
    'CardError',
    'Engine',
    'EngineBuildError',
    'EngineError',
    'HashMismatchError',
    'InputError',
    'MissingBackendError',
    'ModelFileError',
    'Precision',
    'PrecisionError',
    'TensorSpec',
    'UnsupportedOperatorError',
    'load_engine',
]
