# SPDX-License-Identifier: Apache-2.0
"""From a trained module to the model folder that a robot loads."""

from training.export.onnx_export import export_onnx
from training.export.onnx_export import ExportError

__all__ = ['ExportError', 'export_onnx']
