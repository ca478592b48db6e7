# SPDX-License-Identifier: Apache-2.0
"""Compressed images that lost a part are refused; whatever is complete is read."""

import struct

import cv2
import numpy as np
import pytest

from hoi_ros.camera.colour import decode_compressed_colour
from hoi_ros.camera.depth import decode_compressed_depth
from hoi_ros.camera.image_buffer import ImageFormatError

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 255, (240, 320, 3)).astype(np.uint8), (0, 0), 3)
JPEG = cv2.imencode('.jpg', PICTURE)[1].tobytes()
PROGRESSIVE = cv2.imencode('.jpg', PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
PNG = cv2.imencode('.png', PICTURE)[1].tobytes()
MILLIMETRES = RNG.integers(400, 900, (120, 160)).astype(np.uint16)
DEPTH = cv2.imencode('.png', MILLIMETRES)[1].tobytes()
END = b'\xff\xd9'
THUMBNAIL = b'\xff\xe1' + struct.pack('>H', 2 + 400) + JPEG[:398] + END


def half(data):
    return data[: len(data) // 2]


def holed(data, size=1024):
    return half(data) + data[len(data) // 2 + size :]


DAMAGED = {
    'a truncated JPEG': half(JPEG),
    'a truncated JPEG with an end marker': half(JPEG) + END,
    'a truncated JPEG with a whole thumbnail': JPEG[:2] + THUMBNAIL + half(JPEG[2:]),
    'a JPEG without a middle part': holed(JPEG),
    'a JPEG with a part of zeros': half(JPEG) + bytes(1024) + JPEG[len(JPEG) // 2 + 1024 :],
    'a truncated progressive JPEG': half(PROGRESSIVE) + END,
    'a JPEG header alone': JPEG[:300],
    'a truncated PNG': half(PNG),
    'a PNG without its end': PNG[:-12],
    'a PNG with a wrong byte': half(PNG) + b'?' + PNG[len(PNG) // 2 + 1 :],
    'a PNG without a middle part': holed(PNG),
}


@pytest.mark.parametrize('what', DAMAGED)
def test_a_damaged_picture_is_refused_in_one_short_sentence(what):
    with pytest.raises(ImageFormatError, match='truncated or damaged') as caught:
        decode_compressed_colour(DAMAGED[what], 'rgb8; jpeg compressed bgr8')
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize('damage', [half, holed, lambda data: data[:-12]])
@pytest.mark.parametrize('header', [b'', struct.pack('<iff', 0, 0, 0)])
def test_damaged_depth_is_refused(damage, header):
    with pytest.raises(ImageFormatError, match='PNG image of .* is truncated or damaged'):
        decode_compressed_depth(header + damage(DEPTH), '16UC1; compressedDepth png')


COMPLETE = {
    'JPEG': JPEG,
    'a JPEG padded with zeros': JPEG + bytes(100),
    'a JPEG with a thumbnail': JPEG[:2] + THUMBNAIL + JPEG[2:],
    'a progressive JPEG': PROGRESSIVE,
    'a JPEG with surplus bytes before its end': JPEG[:-2] + bytes(4) + END,
    'PNG': PNG,
    'a padded PNG': PNG + bytes(100),
}


@pytest.mark.parametrize('what', COMPLETE)
def test_a_complete_picture_is_read(what):
    image = decode_compressed_colour(memoryview(COMPLETE[what]), 'jpeg')
    assert np.abs(image[..., ::-1].astype(int) - PICTURE).mean() < 4


def test_a_grey_jpeg_has_three_equal_channels():
    grey = decode_compressed_colour(cv2.imencode('.jpg', PICTURE[..., 0])[1].tobytes(), 'mono8; jpeg compressed mono8')
    assert grey.shape == PICTURE.shape
    assert (grey[..., 0] == grey[..., 2]).all()


def test_padded_depth_is_read():
    depth = decode_compressed_depth(bytes(12) + DEPTH + bytes(7), '16UC1; compressedDepth png')
    np.testing.assert_allclose(depth, MILLIMETRES / 1000, rtol=1e-6)
