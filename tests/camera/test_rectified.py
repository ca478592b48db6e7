# SPDX-License-Identifier: Apache-2.0
"""Whether the name of a topic or folder says that its images are rectified."""

import pytest

from hoi_ros.camera.rectified import is_rectified


@pytest.mark.parametrize(
    ('name', 'rectified'),
    [
        ('/camera/image_rect', True),
        ('/camera/image_rect_color', True),
        ('/camera/depth/image_rect_raw', True),
        ('/camera/image_rect/compressed', True),
        ('/zed/zed_node/rgb/color/rect/image', True),
        ('/zed/zed_node/rgb/color/rect/image/compressed', True),
        ('/zed/zed_node/rgb/color/raw/image', False),
        ('/camera/camera/color/image_raw', False),
        ('/camera/rectified/image_raw', False),
        ('/rectangle/image', False),
        ('/rect/robot/camera/image', False),
        ('/camera/unrectified', False),
        ('image', False),
        ('', False),
    ],
)
def test_the_name_decides_unless_the_user_does(name, rectified):
    assert is_rectified('auto', name) is rectified
    assert is_rectified('true', name) and not is_rectified('false', name)
