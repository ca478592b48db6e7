# SPDX-License-Identifier: Apache-2.0
"""`python -m hoi_ros.image`, and the estimator of single pictures: see `hoi_ros.playback.single_image`."""

import sys

from hoi_ros.playback.single_image import ImageEstimator
from hoi_ros.playback.single_image import ImageResult
from hoi_ros.playback.single_image import main

__all__ = ['ImageEstimator', 'ImageResult', 'main']

if __name__ == '__main__':
    sys.exit(main())
