# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from training.data.synthetic.recolouring import OTHER_COLOURS
from training.data.synthetic.recolouring import OWN_COLOURS
from training.data.synthetic.recolouring import recoloured


def test_an_image_keeps_its_own_colours_or_takes_others_of_its_seed() -> None:
    image = np.random.default_rng(0).integers(40, 200, (24, 32, 3), np.uint8)
    np.testing.assert_array_equal(recoloured(image, OWN_COLOURS, np.random.default_rng(0)), image)
    others = [recoloured(image, OTHER_COLOURS, np.random.default_rng(seed)) for seed in range(400)]
    np.testing.assert_array_equal(others[7], recoloured(image, OTHER_COLOURS, np.random.default_rng(7)))
    changes = np.array([other.mean() / image.mean() for other in others])
    assert changes.min() < 0.7 and changes.max() > 1.3 and 0.85 < np.median(changes) < 1.15
    plain = [not np.ptp(other.astype(int), axis=-1).max() > 40 for other in others]  # grey, but for its noise
    assert 0.05 < np.mean(plain) < 0.2
