# SPDX-License-Identifier: Apache-2.0
"""Errors of engines, one class a cause; each message names the file, what was found and the mend."""


class EngineError(Exception):
    """Base of every error that loading or running an engine raises."""


class MissingBackendError(EngineError):
    """The backend's packages, or the device it needs, are not on this machine."""


class CardError(EngineError):
    """card.yaml is missing, cannot be read, or does not describe the network beside it."""


class ModelFileError(EngineError):
    """The model file is missing, truncated or not an ONNX model."""


class HashMismatchError(ModelFileError):
    """The model file is not the one that the card was written for."""


class UnsupportedOperatorError(EngineError):
    """The network holds an operator that the backend cannot run."""


class PrecisionError(EngineError):
    """The backend does not compute in the precision asked for."""


class InputError(EngineError, ValueError):
    """An input's name, shape or type is not what the network takes."""


class EngineBuildError(EngineError):
    """TensorRT could not build the engine."""
