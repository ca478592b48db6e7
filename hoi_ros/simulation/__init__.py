# SPDX-License-Identifier: Apache-2.0
"""A simulated RGB-D camera: sensor faults, ray casting, moving hands and the solids that they hold."""
