# SPDX-License-Identifier: Apache-2.0
"""A simulated RGB-D camera: sensor noise, ray casting, moving hands and what they hold."""
