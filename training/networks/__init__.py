# SPDX-License-Identifier: Apache-2.0
"""Networks, their building blocks, and loading of weights."""
