# SPDX-License-Identifier: Apache-2.0
"""Hands and the objects they handle, from RGB and depth cameras, in metres, for ROS 2."""

from pkgutil import extend_path

# The messages are generated into the install space: this joins that hoi_ros to the source tree's.
__path__ = extend_path(__path__, __name__)
