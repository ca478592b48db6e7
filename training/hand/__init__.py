# SPDX-License-Identifier: Apache-2.0
"""Hand model files: the project's own hand, and a user's MANO."""
