# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes: normals, nearest points, signed distance, contact, boxes. Knows no hand and no camera."""
