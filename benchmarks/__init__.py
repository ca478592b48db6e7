# SPDX-License-Identifier: Apache-2.0
"""Speed and cost of what runs on the robot; one JSON file of results a machine."""

# Stages are timed with the threads that the nodes have: hoi_ros limits them, which must happen before NumPy is loaded.
from hoi_ros.missing_packages import name_missing_packages

name_missing_packages('run make training, which installs it')
