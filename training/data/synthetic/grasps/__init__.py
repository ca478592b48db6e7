# SPDX-License-Identifier: Apache-2.0
"""Synthetic grasps: hands that hold objects, and hands shortly before."""

from training.data.synthetic.grasps.generator import Grasp
from training.data.synthetic.grasps.generator import GraspGenerator
from training.data.synthetic.grasps.grips import GRIPS

__all__ = ['GRIPS', 'Grasp', 'GraspGenerator']
