# SPDX-License-Identifier: Apache-2.0
"""Two hands that touch, are near each other, or hold one object: training data of `two_hand_prior`."""
