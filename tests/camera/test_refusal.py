# SPDX-License-Identifier: Apache-2.0
"""Every error about an unusable image or calibration is a FrameRefused."""

import pytest

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import CameraSizeError
from hoi_ros.camera.calibration import UncalibratedError
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.refusal import FrameRefused


@pytest.mark.parametrize('error', [CalibrationError, CameraSizeError, UncalibratedError, ImageFormatError])
def test_errors_about_a_frame_are_refusals(error: type[Exception]) -> None:
    assert issubclass(error, FrameRefused)
    assert issubclass(FrameRefused, ValueError)
