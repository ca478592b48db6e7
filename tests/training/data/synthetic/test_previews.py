# SPDX-License-Identifier: Apache-2.0
"""The previews take the scale that lies beside the images and name unusable input in one line."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.synthetic import grasp_preview
from training.data.synthetic.depth_preview import main
from training.data.synthetic.depth_preview import PreviewConfig
from training.data.synthetic.depth_preview import read_depth
from training.data.synthetic.grasp_preview import GraspPreviewConfig

SAMPLES = Path(__file__).parents[4] / 'samples' / 'depth'


def test_the_scale_beside_the_images_counts_unless_another_is_given(tmp_path: Path) -> None:
    (image, *_) = sorted(SAMPLES.glob('*.png'))
    units = cv2.imread(str(image), cv2.IMREAD_UNCHANGED).astype(np.float32)
    np.testing.assert_allclose(read_depth(image, PreviewConfig(SAMPLES)), units * 0.000125)
    np.testing.assert_allclose(read_depth(image, PreviewConfig(SAMPLES, depth_scale=0.5)), units * 0.5)
    alone = tmp_path / 'alone.png'
    alone.write_bytes(image.read_bytes())
    np.testing.assert_allclose(read_depth(alone, PreviewConfig(tmp_path)), units * 0.001)


def test_a_colour_image_and_too_few_grasps_are_one_line(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'colour.png'), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(SystemExit, match='error: .*colour.png is not a 16-bit image of one channel'):
        main(PreviewConfig(tmp_path))
    with pytest.raises(SystemExit, match='error: --count is 1; the statistics need 20 grasps or more'):
        grasp_preview.main(GraspPreviewConfig(count=1))
