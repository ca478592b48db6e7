# SPDX-License-Identifier: Apache-2.0
"""Fits calibrations on validation data and writes them, and measured figures, into the cards of models."""
