# SPDX-License-Identifier: Apache-2.0
"""The error of a frame that cannot be used."""


class FrameRefused(ValueError):
    """A frame that cannot be used; its text says why and the mend."""
