# SPDX-License-Identifier: Apache-2.0
"""Trainings: one file a network, with its batches, losses and schedule."""
