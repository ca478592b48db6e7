# SPDX-License-Identifier: Apache-2.0
"""One file a system: its losses, its schedule, its training loop."""
