# SPDX-License-Identifier: Apache-2.0
"""Pinhole geometry, undistortion, crops and depth."""

from hoi_ros.camera.pinhole import Pinhole

__all__ = ['Pinhole']
