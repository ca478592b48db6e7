# SPDX-License-Identifier: Apache-2.0
"""Offline work: networks, data, recipes, evaluation and export; never imported by `hoi_ros`."""
