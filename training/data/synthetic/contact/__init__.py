# SPDX-License-Identifier: Apache-2.0
"""Hands and objects with soft contact on both surfaces, and hands beside their true place."""

from training.data.synthetic.contact.labels import soft_contact
from training.data.synthetic.contact.perturbation import jittered
from training.data.synthetic.contact.perturbation import LEVELS
from training.data.synthetic.contact.perturbation import perturb
from training.data.synthetic.contact.records import CONTACT_DTYPE
from training.data.synthetic.contact.records import contact_dtype
from training.data.synthetic.contact.records import ContactGrasps

__all__ = ['CONTACT_DTYPE', 'LEVELS', 'ContactGrasps', 'contact_dtype', 'jittered', 'perturb', 'soft_contact']
