# SPDX-License-Identifier: Apache-2.0
"""Recorded images: folders, replay, recording of a running node, video, the demo."""
