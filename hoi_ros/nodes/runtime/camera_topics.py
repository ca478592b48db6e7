# SPDX-License-Identifier: Apache-2.0
"""Topics and frame of an aligned RGB-D camera as realsense-ros names them."""

COLOUR = '/camera/camera/color/image_raw'
DEPTH = '/camera/camera/aligned_depth_to_color/image_raw'
INFO = '/camera/camera/color/camera_info'
FRAME = 'camera_color_optical_frame'
BY_KIND = {'depth': DEPTH, 'colour': COLOUR}
