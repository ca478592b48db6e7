# SPDX-License-Identifier: Apache-2.0
"""What realsense-ros publishes of an aligned RGB-D camera: names, frame, CameraInfo."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from hoi_ros.camera.calibration import CameraCalibration

COLOUR = '/camera/camera/color/image_raw'
DEPTH = '/camera/camera/aligned_depth_to_color/image_raw'
INFO = '/camera/camera/color/camera_info'
FRAME = 'camera_color_optical_frame'


def camera_info_message(calibration: CameraCalibration, header: Header) -> CameraInfo:
    """The CameraInfo of a calibrated camera that is neither binned, cut nor rectified."""
    camera, matrix = calibration.camera, calibration.camera.matrix
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model=calibration.distortion_model or 'plumb_bob',
        d=list(calibration.distortion) or [0.0] * 5,
        k=matrix.ravel(),
        r=np.eye(3).ravel(),
        p=np.column_stack([matrix, np.zeros(3)]).ravel(),
    )
