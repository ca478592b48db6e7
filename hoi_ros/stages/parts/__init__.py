# SPDX-License-Identifier: Apache-2.0
"""What stages are assembled from: detectors, following, scores, filters."""
