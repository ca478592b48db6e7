# SPDX-License-Identifier: Apache-2.0
"""One file a system: arrays in, arrays out, no ROS."""
