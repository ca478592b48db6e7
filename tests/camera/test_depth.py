# SPDX-License-Identifier: Apache-2.0
"""Depth and colour images of every encoding, and what is refused."""

import array
import struct

import cv2
import numpy as np
import pytest

from hoi_ros.camera.colour import decode_colour
from hoi_ros.camera.colour import decode_compressed_colour
from hoi_ros.camera.depth import decode_compressed_depth
from hoi_ros.camera.depth import decode_depth
from hoi_ros.camera.depth import ImageFormatError

MILLIMETRES = np.array([[0, 250, 1000], [65535, 1, 4000]], np.uint16)
METRES = MILLIMETRES.astype(np.float32) / 1000


def message_bytes(pixels, padding=0):
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    return np.pad(rows, ((0, 0), (0, padding))).tobytes(), rows.shape[1] + padding


@pytest.mark.parametrize('encoding', ['16UC1', 'mono16'])
@pytest.mark.parametrize('padding', [0, 1, 10])
def test_sixteen_bits_are_millimetres(encoding, padding):
    data, step = message_bytes(MILLIMETRES, padding)
    depth = decode_depth(data, encoding, 3, 2, step)
    assert depth.dtype == np.float32 and depth.flags.writeable and depth.flags.c_contiguous
    np.testing.assert_allclose(depth, METRES, rtol=1e-6)


def test_float_metres_with_every_invalid_number_as_zero():
    raw = np.array([[0.5, np.nan, np.inf], [-1.0, 0.0, -np.inf]], np.float32)
    data, step = message_bytes(raw, 4)
    depth = decode_depth(data, '32FC1', 3, 2, step)
    np.testing.assert_array_equal(depth, np.array([[0.5, 0, 0], [0, 0, 0]], np.float32))


@pytest.mark.parametrize(('encoding', 'raw'), [('16UC1', MILLIMETRES), ('32FC1', METRES)])
def test_big_endian(encoding, raw):
    data, step = message_bytes(raw.byteswap())
    np.testing.assert_allclose(decode_depth(data, encoding, 3, 2, step, is_bigendian=True), METRES, rtol=1e-6)


@pytest.mark.parametrize(
    'make',
    [bytes, bytearray, memoryview, lambda data: array.array('B', data), lambda data: np.frombuffer(data, np.uint8)],
)
def test_any_buffer(make):
    data, step = message_bytes(MILLIMETRES)
    np.testing.assert_allclose(decode_depth(make(data), '16UC1', 3, 2, step), METRES, rtol=1e-6)


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'encoding': 'bayer_rggb16'}, "'bayer_rggb16'.*expected 16UC1, mono16, 32FC1"),
        ({'encoding': ''}, "encoding ''"),
        ({'encoding': 'uint16'}, "'uint16' is no depth .* set encoding to 16UC1"),
        ({'encoding': '64FC1'}, 'convert it to float32 and set encoding to 32FC1'),
        ({'encoding': 'float32'}, 'set encoding to 32FC1'),
        ({'encoding': 'mono8'}, 'mono8.*8 bits'),
        ({'encoding': '8UC1'}, '8UC1.*8 bits'),
        ({'encoding': 'rgb8'}, 'rgb8.*8 bits'),
        ({'width': 0}, '0x2 pixels'),
        ({'height': 0}, '3x0 pixels'),
        ({'step': 5}, 'step is 5 bytes, expected at least 6'),
        ({'step': 0}, 'step is 0 bytes'),
        ({'buffer': b'\0' * 11}, '11 bytes, expected 12'),
        ({'buffer': b''}, '0 bytes, expected 12'),
        ({'step': 1 << 31}, 'expected 4294967296'),
    ],
)
def test_a_bad_depth_image_is_refused_by_name(change, told):
    fields = {'buffer': MILLIMETRES.tobytes(), 'encoding': '16UC1', 'width': 3, 'height': 2, 'step': 6} | change
    with pytest.raises(ImageFormatError, match=told):
        decode_depth(**fields)


def png(pixels):
    return cv2.imencode('.png', pixels)[1].tobytes()


@pytest.mark.parametrize(
    'format', ['16UC1; compressedDepth', '16UC1; compressedDepth png', 'mono16; compressedDepth png']
)
@pytest.mark.parametrize('kind', [0, -1])
def test_compressed_depth_with_its_header(format, kind):
    data = struct.pack('<iff', kind, 0, 0) + png(MILLIMETRES)
    np.testing.assert_allclose(decode_compressed_depth(data, format), METRES, rtol=1e-6)


@pytest.mark.parametrize('format', ['16UC1; png compressed ', 'png', '16UC1; compressedDepth'])
def test_a_plain_sixteen_bit_png_is_depth_too(format):
    np.testing.assert_allclose(decode_compressed_depth(array.array('B', png(MILLIMETRES)), format), METRES, rtol=1e-6)


def test_compressed_float_depth_is_quantised_inverse_depth():
    depth = np.array([[0.4, 1.0], [2.5, 9.0]])
    # As compressed_depth_image_transport writes it for a 10 m range and quantisation 100.
    scale = 100 * 101
    offset = 1 - scale / 10
    quantised = (scale / depth + offset).astype(np.uint16)
    quantised[1, 1] = 0
    data = struct.pack('<iff', 0, scale, offset) + png(quantised)
    decoded = decode_compressed_depth(data, '32FC1; compressedDepth png')
    np.testing.assert_allclose(decoded, [[0.4, 1.0], [2.5, 0]], rtol=1e-3)


def noise_png():
    return png(np.random.default_rng(0).integers(0, 65535, (64, 64)).astype(np.uint16))


@pytest.mark.parametrize(
    ('data', 'format', 'told'),
    [
        (b'', '16UC1; png', '0 bytes'),
        (b'', '16UC1; compressedDepth png', '0 bytes, expected a header of 12'),
        (b'\0' * 12 + b'no image', '16UC1; compressedDepth png', 'no readable PNG'),
        (struct.pack('<iff', 0, 0, 0) + b'\0' * 40, '16UC1; compressedDepth rvl', 'RVL-compressed, expected PNG'),
        (png(np.zeros((4, 4), np.uint8)), '16UC1; png', '1 channel.* of uint8'),
        (png(np.zeros((4, 4, 3), np.uint8)), 'png', '3 channel.* of uint8'),
        (png(MILLIMETRES), 'bgr8; jpeg compressed bgr8', 'bgr8.*8 bits'),
        (png(MILLIMETRES), '32FC1; png', 'lacks the compressedDepth header'),
    ],
)
def test_bad_compressed_depth_is_refused_by_name(data, format, told):
    with pytest.raises(ImageFormatError, match=told):
        decode_compressed_depth(data, format)


def test_a_truncated_png_is_refused():
    data = noise_png()
    assert decode_compressed_depth(data, '16UC1; png').shape == (64, 64)
    with pytest.raises(ImageFormatError, match='no readable PNG|truncated'):
        decode_compressed_depth(data[: len(data) // 2], '16UC1; png')


RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 9


@pytest.mark.parametrize(
    ('encoding', 'raw', 'expected'),
    [
        ('rgb8', RGB, RGB),
        ('bgr8', RGB[..., ::-1], RGB),
        ('rgba8', np.dstack([RGB, RGB[..., :1]]), RGB),
        ('bgra8', np.dstack([RGB[..., ::-1], RGB[..., :1]]), RGB),
        ('mono8', RGB[..., 0], np.repeat(RGB[..., :1], 3, -1)),
    ],
)
@pytest.mark.parametrize('padding', [0, 5])
def test_colours_come_out_as_rgb(encoding, raw, expected, padding):
    data, step = message_bytes(np.ascontiguousarray(raw), padding)
    image = decode_colour(data, encoding, 3, 2, step)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'encoding': 'yuv422'}, "'yuv422'.*expected rgb8, bgr8, mono8, rgba8, bgra8"),
        ({'encoding': '16UC1'}, "'16UC1'"),
        ({'width': 0}, '0x2 pixels'),
        ({'step': 8}, 'step is 8 bytes, expected at least 9'),
        ({'buffer': b'\0' * 17}, '17 bytes, expected 18'),
    ],
)
def test_a_bad_colour_image_is_refused_by_name(change, told):
    fields = {'buffer': RGB.tobytes(), 'encoding': 'rgb8', 'width': 3, 'height': 2, 'step': 9} | change
    with pytest.raises(ImageFormatError, match=told):
        decode_colour(**fields)


def test_compressed_colours():
    data = png(RGB[..., ::-1])
    np.testing.assert_array_equal(decode_compressed_colour(data, 'rgb8; png compressed bgr8'), RGB)
    # TIFF holds the image as it was: image_transport converts JPEG and PNG only.
    for image, encoding in ((RGB, 'rgb8'), (RGB[..., ::-1], 'bgr8')):
        data = cv2.imencode('.tiff', image)[1].tobytes()
        np.testing.assert_array_equal(decode_compressed_colour(data, f'{encoding}; tiff compressed '), RGB)
    with pytest.raises(ImageFormatError, match="format 'jpeg'"):
        decode_compressed_colour(b'no picture', 'jpeg')


def test_a_compressed_mosaic_is_no_grey_picture():
    with pytest.raises(ImageFormatError, match='mosaic of a sensor.*debayered'):
        decode_compressed_colour(png(RGB[..., 0]), 'bayer_rggb8; png compressed ')
    data = png(RGB[..., ::-1])
    np.testing.assert_array_equal(decode_compressed_colour(data, 'bayer_rggb8; png compressed bgr8'), RGB)


def test_a_truncated_jpeg_is_refused():
    data = cv2.imencode('.jpg', np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))[1].tobytes()
    assert decode_compressed_colour(data, 'jpeg').shape == (64, 64, 3)
    with pytest.raises(ImageFormatError, match='truncated'):
        decode_compressed_colour(data[: len(data) // 2], 'jpeg')
