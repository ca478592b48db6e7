# SPDX-License-Identifier: Apache-2.0
"""Trains and compares variants of a network."""
