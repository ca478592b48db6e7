# SPDX-License-Identifier: Apache-2.0
"""Speed and cost of what runs on the robot; results are kept as one JSON file a machine."""
