# SPDX-License-Identifier: Apache-2.0
"""Speed and cost of what runs on the robot; one JSON file of results a machine."""

import importlib

from training.missing_packages import name_missing_packages

name_missing_packages()
# Stages are timed with the threads that the nodes have: hoi_ros limits them, which must happen before NumPy is loaded.
importlib.import_module('hoi_ros')
