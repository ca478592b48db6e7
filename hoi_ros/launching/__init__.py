# SPDX-License-Identifier: Apache-2.0
"""The parts that launch files are composed of."""
