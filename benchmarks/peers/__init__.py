# SPDX-License-Identifier: Apache-2.0
"""Hand trackers of other projects, timed in turns with the stages on the same machine."""
