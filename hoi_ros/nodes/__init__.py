# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 nodes, one file each, and what they share. The only place that imports rclpy."""

import os

# The matrices of the hand model are small: threads of the linear algebra cost more than they bring, and wait for the
# cores that the networks use. Set before NumPy is loaded; what the user has set stays.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
