# SPDX-License-Identifier: Apache-2.0
"""Exports trained modules to the model folders that robots load."""

from training.export.onnx_export import export_onnx
from training.export.onnx_export import ExportError

__all__ = ['ExportError', 'export_onnx']
