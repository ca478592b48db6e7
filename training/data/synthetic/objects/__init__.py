# SPDX-License-Identifier: Apache-2.0
"""Synthetic household objects that a hand can hold: watertight meshes of random shape and size."""

from training.data.synthetic.objects.families import FAMILIES
from training.data.synthetic.objects.families import HELD_OUT
from training.data.synthetic.objects.families import sample_object
from training.data.synthetic.objects.shape import ObjectShape

__all__ = ['FAMILIES', 'HELD_OUT', 'ObjectShape', 'sample_object']
