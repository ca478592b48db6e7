# SPDX-License-Identifier: Apache-2.0
"""When two surfaces touch."""

TOUCHING = 0.004
"""Metres within which two surfaces are in contact, as in the contact labels of HO-3D (Hampali et al., CVPR 2020). The
one threshold of the package: estimates, messages and the simulated truth."""
