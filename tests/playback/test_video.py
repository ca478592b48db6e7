# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from hoi_ros.playback.video import VideoWriter


def test_video(tmp_path):
    imageio = pytest.importorskip('imageio.v2', reason='video needs imageio')
    pytest.importorskip('imageio_ffmpeg', reason='video needs imageio-ffmpeg')
    with VideoWriter(tmp_path / 'clips' / 'hand.mp4', 30) as video:
        for brightness in range(0, 250, 25):
            video.write(np.full((47, 63, 3), brightness, np.uint8))
        with pytest.raises(ValueError, match=r'\(47, 64, 3\), expected \(47, 63, 3\)'):
            video.write(np.zeros((47, 64, 3), np.uint8))
    frames = [frame for frame in imageio.get_reader(tmp_path / 'clips' / 'hand.mp4')]  # it has no length
    assert len(frames) == 10 and frames[0].shape == (48, 64, 3)
    assert frames[-1].mean() == pytest.approx(225, abs=4)
