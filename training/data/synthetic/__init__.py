# SPDX-License-Identifier: Apache-2.0
"""The synthetic generator: poses, grasps, scenes, rendering, crops."""
