# SPDX-License-Identifier: Apache-2.0
"""Real recordings under licences that allow released weights: backgrounds, photos of hands, scanned objects."""
