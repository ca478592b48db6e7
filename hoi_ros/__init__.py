# SPDX-License-Identifier: Apache-2.0
"""Hands and the objects they handle, from RGB and depth cameras, in metres, for ROS 2."""

import os
from pkgutil import extend_path

# The messages are generated into the install space: this joins that hoi_ros to the source tree's.
__path__ = extend_path(__path__, __name__)

# The matrices of the hand model are small: threads of the linear algebra cost more time than they save, and they wait
# for the cores that the networks use. NumPy must not be loaded before; a value that the user sets stays.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
