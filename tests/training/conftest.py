# SPDX-License-Identifier: Apache-2.0
"""Images that several tests of training evaluate."""

import pytest

from training.data.synthetic.rgb_scenes import RgbFrame


@pytest.fixture(scope='session')
def validation_images() -> list[RgbFrame]:
    """Six validation images of 640×480."""
    from training.evaluation.reconstruction_stage import rendered

    return list(rendered('validation', 6, 1))
