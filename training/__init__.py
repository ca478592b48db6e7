# SPDX-License-Identifier: Apache-2.0
"""Offline work: data, networks, evaluation, recipes, ablation, calibration and export; never imported by `hoi_ros`."""
