# SPDX-License-Identifier: Apache-2.0
"""Samples to learn from: generated, or read from public data sets."""
