# SPDX-License-Identifier: Apache-2.0
"""One adapter a public data set."""
