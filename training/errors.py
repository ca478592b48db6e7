# SPDX-License-Identifier: Apache-2.0
"""The base of errors that a command ends with in one line."""


class TrainingError(RuntimeError):
    """Names what was found, what was expected and the remedy."""
