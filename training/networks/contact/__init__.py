# SPDX-License-Identifier: Apache-2.0
"""GCN-Contact and the networks that it is compared with: a hand and an object as points → contact in ten bins."""
