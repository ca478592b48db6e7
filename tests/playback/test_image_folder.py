# SPDX-License-Identifier: Apache-2.0
"""Folders of depth and colour images as frames."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.playback.cameras import camera_beside
from hoi_ros.playback.cameras import cameras_of
from hoi_ros.playback.frame_reader import FrameReader
from hoi_ros.playback.image_folder import folder_calibration
from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import list_frames
from hoi_ros.playback.image_folder import read_colour
from hoi_ros.playback.image_folder import read_depth
from hoi_ros.playback.image_folder import read_metric_depth
from hoi_ros.playback.image_folder import unpack_video
from hoi_ros.playback.picture_files import write_picture
from hoi_ros.playback.sequence import image_size
from hoi_ros.playback.sources import kind_of
from hoi_ros.playback.sources import left_out
from hoi_ros.playback.sources import opened
from hoi_ros.playback.sources import wrong_kind
from hoi_ros.systems import SYSTEMS


def folder(tmp_path, *names):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.ones((4, 6), np.uint16) if path.suffix == '.png' else np.ones((4, 6), np.uint8))
    return tmp_path


def test_numbers_sort_by_value(tmp_path):
    depth = folder(tmp_path, '110.png', '30.png', 'b/2.png', 'b/10.png', 'frame_9.png', 'frame_10.png')
    (tmp_path / 'notes.txt').write_text('not an image')
    (tmp_path / '.hidden.png').write_bytes(b'')
    assert [frame.name for frame in list_frames(depth, None)] == [
        '30.png',
        '110.png',
        'b/2.png',
        'b/10.png',
        'frame_9.png',
        'frame_10.png',
    ]


def test_one_name_is_one_frame_and_none_is_lost(tmp_path):
    depth, colour = folder(tmp_path / 'depth', '1.png', '2.png'), folder(tmp_path / 'rgb', '2.jpg', '3.jpg')
    frames = list_frames(depth, colour)
    assert [frame.name for frame in frames] == ['1.png', '2.png', '3.jpg']
    assert [(frame.depth is None, frame.colour is None) for frame in frames] == [
        (False, True),
        (False, False),
        (True, False),
    ]


@pytest.mark.parametrize(
    ('names', 'told'),
    [
        ((), 'no folder'),
        (('1.txt.d/x.npy',), 'holds no image'),
        (('1.heic', '2.HEIC'), 'holds no image, .*; it holds 2 .heic: convert them'),
    ],
)
def test_a_bad_folder_is_refused_by_name(tmp_path, names, told):
    for name in names:
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'')
    with pytest.raises(ImageFolderError, match=told):
        list_frames(tmp_path / 'images', None)


def test_images_of_one_name_are_refused_where_they_are_to_be_paired_and_kept_elsewhere(tmp_path):
    colour = folder(tmp_path / 'rgb', '1.png', '1.jpg')
    assert [frame.name for frame in list_frames(None, colour)] == ['1.jpg', '1.png']
    with pytest.raises(ImageFolderError, match='two images of one name'):
        list_frames(folder(tmp_path / 'depth', '1.png'), colour)


def test_folders_that_do_not_pair_are_refused(tmp_path):
    with pytest.raises(ImageFolderError, match="'b' and 'a'"):
        list_frames(folder(tmp_path / 'depth', 'a.png'), folder(tmp_path / 'rgb', 'b.png'))


def test_depth_in_sixteen_bits_and_in_floats(tmp_path):
    raw = np.array([[0, 8, 4000]], np.uint16)
    cv2.imwrite(str(tmp_path / 'raw.png'), raw)
    np.testing.assert_array_equal(read_depth(tmp_path / 'raw.png'), raw)
    np.testing.assert_allclose(read_metric_depth(tmp_path / 'raw.png', 0.000125), [[0, 0.001, 0.5]], rtol=1e-6)
    cv2.imwrite(str(tmp_path / 'metres.tiff'), np.array([[0.4, np.nan, 1.0]], np.float32))
    np.testing.assert_allclose(read_metric_depth(tmp_path / 'metres.tiff', 1), [[0.4, 0, 1]], rtol=1e-6)


def test_colours_are_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / 'red.png'), np.full((2, 2, 3), (0, 0, 255), np.uint8))
    np.testing.assert_array_equal(read_colour(tmp_path / 'red.png')[0, 0], [255, 0, 0])


@pytest.mark.parametrize(
    ('name', 'pixels', 'told'),
    [
        ('grey.png', np.ones((4, 4), np.uint8), r'grey.png: 1 channel\(s\) of uint8'),
        ('colour.png', np.ones((4, 4, 3), np.uint16), r'colour.png: 3 channel\(s\) of uint16'),
    ],
)
def test_what_is_no_depth_is_refused_by_name(tmp_path, name, pixels, told):
    cv2.imwrite(str(tmp_path / name), pixels)
    with pytest.raises(ImageFormatError, match=told):
        read_depth(tmp_path / name)


def test_unreadable_files_are_refused_by_name(tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'not a png')
    for path, told in (
        (tmp_path / 'broken.png', 'broken.png: .*no readable PNG'),
        (tmp_path / 'absent.png', 'absent.png: cannot be read'),
    ):
        for read in (read_depth, read_colour):
            with pytest.raises(ImageFormatError, match=told):
                read(path)


def test_a_video_becomes_a_folder_of_its_frames(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / 'hand.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 24, (64, 48))
    for number in range(12):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    assert opened(tmp_path / 'hand.avi', tmp_path / 'frames') == (tmp_path / 'frames', 24)
    frames = list_frames(None, tmp_path / 'frames')
    assert len(frames) == 12
    brightness = [read_colour(frame.colour).mean() for frame in frames]
    np.testing.assert_allclose(brightness, 20 * np.arange(12), atol=6)

    opened(tmp_path / 'hand.avi', tmp_path / 'frames', 0.25)
    assert 6 <= len(list_frames(None, tmp_path / 'frames')) <= 7
    # A shorter video in the same folder leaves no frame of the longer one.
    writer = cv2.VideoWriter(str(tmp_path / 'short.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 30, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    unpack_video(tmp_path / 'short.avi', tmp_path / 'frames')
    assert len(list_frames(None, tmp_path / 'frames')) == 1


def test_a_video_replaces_the_frames_of_another_video_and_no_other_file(tmp_path, capsys):
    frames = tmp_path / 'frames'
    for name, count in (('long.avi', 3), ('short.avi', 1)):
        writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter_fourcc(*'MJPG'), 30, (64, 48))
        for _ in range(count):
            writer.write(np.zeros((48, 64, 3), np.uint8))
        writer.release()
        unpack_video(tmp_path / name, frames)
        assert len(list_frames(None, frames)) == count
    (tmp_path / 'none.mp4').write_bytes(b'no video')
    with pytest.raises(ImageFolderError, match='no video that can be read'):
        unpack_video(tmp_path / 'none.mp4', frames)
    assert len(list_frames(None, frames)) == 1 and not capsys.readouterr().out
    own = tmp_path / 'own'
    own.mkdir()
    (own / '000000.jpg').write_bytes(b'mine')
    with pytest.raises(ImageFolderError, match='own: the frames of .* go there, and it holds other files'):
        unpack_video(tmp_path / 'long.avi', own)
    assert (own / '000000.jpg').read_bytes() == b'mine'


def test_a_video_that_is_cut_short_says_so(tmp_path, capsys):
    writer = cv2.VideoWriter(str(tmp_path / 'cut.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 30, (64, 48))
    for number in range(20):
        writer.write(np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    whole = (tmp_path / 'cut.avi').read_bytes()
    (tmp_path / 'cut.avi').write_bytes(whole[: len(whole) // 2])
    unpack_video(tmp_path / 'cut.avi', tmp_path / 'frames')
    count = len(list_frames(None, tmp_path / 'frames'))
    assert (
        count < 18 and f'{count} of about 20 frames could be read: the file may be cut short' in capsys.readouterr().out
    )


def test_hidden_folders_hold_no_frames(tmp_path):
    colour = folder(tmp_path / 'rgb', '1.png', '.ipynb_checkpoints/1-checkpoint.png')
    assert [frame.name for frame in list_frames(None, colour)] == ['1.png']
    assert wrong_kind(colour, 'colour') == 'depth' and not left_out(colour)


def test_the_calibration_lies_with_the_images_or_above_rgb_and_depth(tmp_path):
    colour, depth = folder(tmp_path / 'rgb', '1.png'), folder(tmp_path / 'depth', '1.png')
    other = folder(tmp_path / 'photos', '1.png')
    assert camera_beside(colour, depth) is None
    (tmp_path / 'camera.yaml').touch()
    assert camera_beside(colour, depth) == camera_beside(depth / '1.png') == tmp_path / 'camera.yaml'
    assert camera_beside(other) is None
    (depth / 'camera.yaml').touch()
    assert camera_beside(colour, depth) == depth / 'camera.yaml'


@pytest.mark.parametrize(('said', 'rate'), [(24.0, 24.0), (1000.0, 25.0), (0.0, 25.0), (90000.0, 25.0)])
def test_the_clock_of_a_container_is_no_rate(tmp_path, monkeypatch, said, rate):
    class Capture:
        shown = 0

        def read(self):
            self.shown += 1
            return self.shown <= 5, np.zeros((48, 64, 3), np.uint8)

        def get(self, field):
            return {cv2.CAP_PROP_FPS: said, cv2.CAP_PROP_FRAME_COUNT: 5.0}.get(field, 40.0 * (self.shown - 1))

        def release(self):
            pass

    monkeypatch.setattr(cv2, 'VideoCapture', lambda name: Capture())
    assert unpack_video(tmp_path / 'hand.webm', tmp_path / 'frames') == pytest.approx(rate)


def test_a_source_is_a_folder_a_file_or_a_video(tmp_path):
    colour = folder(tmp_path / 'rgb', '1.png', 'below/2.png')
    assert opened(colour, tmp_path / 'frames') == (colour, None)
    assert opened(colour / '1.png', tmp_path / 'frames') == (colour / '1.png', None)
    assert [frame.name for frame in list_frames(None, colour / '1.png')] == ['1.png']
    (colour / 'clip.mp4').write_bytes(b'')
    assert left_out(colour) == [f'1 video beside the images: give the file to use one, {colour / "clip.mp4"}']
    videos = tmp_path / 'videos'
    videos.mkdir()
    for name in ('a.mp4', 'b.MOV'):
        (videos / name).write_bytes(b'')
    with pytest.raises(ImageFolderError, match=r'videos holds 2 videos, expected one: give the file, such as .*a\.mp4'):
        opened(videos, tmp_path / 'frames')


def test_the_kind_of_images_is_read_from_their_files(tmp_path):
    cv2.imwrite(str(tmp_path / 'depth.png'), np.ones((4, 4), np.uint16))
    cv2.imwrite(str(tmp_path / 'metres.tiff'), np.ones((4, 4), np.float32))
    cv2.imwrite(str(tmp_path / 'photo.jpg'), np.ones((4, 4, 3), np.uint8))
    kinds = [kind_of(tmp_path / name) for name in ('depth.png', 'metres.tiff', 'photo.jpg', 'clip.mp4', 'absent.png')]
    assert kinds == ['depth', 'depth', 'colour', 'colour', None]
    assert wrong_kind(tmp_path / 'depth.png', 'colour') == 'depth' and wrong_kind(tmp_path, 'depth') is None


def test_names_that_are_no_text_are_read_and_written(tmp_path):
    """OpenCV ends the process when it opens a file of such a name itself."""
    path = Path(os.fsdecode(bytes(tmp_path) + b'/caf\xe9.png'))
    picture = np.random.default_rng(0).integers(0, 255, (8, 9, 3), np.uint8)
    write_picture(path, picture)
    np.testing.assert_array_equal(read_colour(path), picture)
    with pytest.raises(ImageFolderError, match='no text in UTF-8'):
        unpack_video(path.with_suffix('.mp4'), tmp_path / 'frames')
    with pytest.raises(OSError, match=r"no picture of the kind '\.xyz'"):
        write_picture(tmp_path / 'a.xyz', picture)


def test_a_video_that_is_none_is_named(tmp_path):
    (tmp_path / 'hand.mp4').write_bytes(b'no video')
    with pytest.raises(ImageFolderError, match=r'hand\.mp4: no video that can be read'):
        unpack_video(tmp_path / 'hand.mp4', tmp_path / 'frames')


def test_a_photo_is_turned_upright_as_its_exif_orientation_says(tmp_path):
    upright = np.zeros((40, 24, 3), np.uint8)
    upright[:10, :, 2] = 255  # a red top
    # Orientation 6: the camera was turned, so that the stored rows run from the right to the left.
    _, stored = cv2.imencode('.jpg', cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE))
    tag = bytes.fromhex('0112 0003 00000001 00060000')
    exif = b'Exif\0\0' + b'MM\0*' + bytes.fromhex('00000008 0001') + tag + bytes(4)
    segment = b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif
    (tmp_path / 'phone.jpg').write_bytes(stored.tobytes()[:2] + segment + stored.tobytes()[2:])
    read = read_colour(tmp_path / 'phone.jpg')
    assert read.shape == (40, 24, 3)
    assert read[:8, :, 0].min() > 150 and read[14:, :, 0].max() < 100
    assert image_size(tmp_path / 'phone.jpg') == (40, 24)
    # What lies beside it is not turned with it.
    cv2.imwrite(str(tmp_path / 'depth.png'), np.full((40, 24), 800, np.uint16))
    reader = FrameReader(SYSTEMS['reconstruction'], cameras_of(None, 65.0), 0.001)
    frame = reader.images_of('phone', {'colour': tmp_path / 'phone.jpg', 'depth': tmp_path / 'depth.png'})
    assert set(frame.views) == {'colour'} and 'the depth image is left out' in frame.faults[-1]


def test_depth_in_a_tiff_is_no_photo(tmp_path):
    cv2.imwrite(str(tmp_path / 'depth.tiff'), np.full((4, 4), 7000, np.uint16))
    with pytest.raises(ImageFormatError, match='this is a depth image'):
        read_colour(tmp_path / 'depth.tiff')


def test_sizes_are_read_from_the_header(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 6), np.uint16))
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'a.tif'), np.zeros((4, 6), np.float32))
    (tmp_path / 'cut.jpg').write_bytes((tmp_path / 'a.jpg').read_bytes()[:20])
    sizes = [image_size(tmp_path / name) for name in ('a.png', 'a.jpg', 'a.tif', 'cut.jpg', 'absent.png')]
    assert sizes == [(6, 4), (60, 40), None, None, None]


def test_the_name_of_a_folder_or_the_user_says_that_its_images_are_rectified(tmp_path):
    text = (Path(__file__).parents[1] / 'data' / 'sr305_camera.yaml').read_text()
    camera = tmp_path / 'camera.yaml'
    projection = '[500.0, 0.0, 320.0, 0.0, 0.0, 501.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]'
    camera.write_text(text[: text.index('projection_matrix')] + f'projection_matrix: {{data: {projection}}}')
    raw, rectified = tmp_path / 'depth', tmp_path / 'image_rect'
    assert folder_calibration(camera, 'auto', (raw, None)).camera.fx == 476.007
    assert folder_calibration(camera, 'true', (raw, None)).camera.fx == 500
    assert folder_calibration(camera, 'auto', (None, rectified)).camera.fx == 500
    assert folder_calibration(camera, 'false', (None, rectified)).camera.fx == 476.007
    with pytest.raises(CalibrationError, match='--rectified true or false'):
        folder_calibration(camera, 'auto', (raw, rectified))
    assert folder_calibration(camera, 'true', (raw, rectified)).camera.fx == 500
