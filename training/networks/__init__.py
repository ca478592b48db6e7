# SPDX-License-Identifier: Apache-2.0
"""One file a system, and the blocks that they share."""
