# SPDX-License-Identifier: Apache-2.0
"""Estimates as messages and back, markers, transforms, images."""
