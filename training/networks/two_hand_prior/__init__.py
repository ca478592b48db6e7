# SPDX-License-Identifier: Apache-2.0
"""The denoiser of `two_hand_prior` and the networks that it is compared with."""
