# SPDX-License-Identifier: Apache-2.0
"""Offline work: data, networks, evaluation, recipes, ablation, calibration and export; never imported by `hoi_ros`."""

from hoi_ros.missing_packages import name_missing_packages

name_missing_packages('run make training, which installs it')
