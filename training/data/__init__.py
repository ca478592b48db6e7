# SPDX-License-Identifier: Apache-2.0
"""The synthetic generator, and one adapter a public dataset."""
