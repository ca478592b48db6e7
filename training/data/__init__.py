# SPDX-License-Identifier: Apache-2.0
"""Training samples: generated, or read from public data sets."""
