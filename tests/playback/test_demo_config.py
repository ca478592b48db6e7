# SPDX-License-Identifier: Apache-2.0
"""The options of the demo, and the images and the camera that they mean."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from hoi_ros.playback.demo_config import DemoConfig
from hoi_ros.playback.demo_config import DemoError

ROOT = Path(__file__).parents[2]
SR305 = ROOT / 'tests' / 'data' / 'sr305_camera.yaml'


def depth_image(folder):
    """A folder of one depth image."""
    folder.mkdir(exist_ok=True, parents=True)
    cv2.imwrite(str(folder / '1.png'), np.full((48, 64), 500, np.uint16))
    return folder


def colour_images(folder, *names):
    """A folder of colour images."""
    folder.mkdir(exist_ok=True, parents=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.full((48, 64, 3), 90, np.uint8))
    return folder


def test_a_folder_brings_its_calibration(tmp_path):
    depth_image(tmp_path)
    arguments = DemoConfig(data=tmp_path, camera=SR305, depth_scale=0.002).camera_arguments()
    assert arguments[arguments.index('--depth-scale') + 1] == '0.002'
    shutil.copy(SR305, tmp_path / 'camera.yaml')
    arguments = DemoConfig(data=tmp_path).camera_arguments()
    assert arguments[arguments.index('--camera') + 1] == str(tmp_path / 'camera.yaml')
    assert arguments[arguments.index('--rectified') + 1] == 'auto'
    assert arguments[arguments.index('--depth-scale') + 1] == '0.001'
    (tmp_path / 'camera.yaml').write_text(SR305.read_text() + 'depth_scale: 0.0005\n')
    assert after(DemoConfig(data=tmp_path).camera_arguments(), '--depth-scale') == '0.0005'


def test_the_sr305_frames_are_known(tmp_path):
    arguments = DemoConfig(data=depth_image(tmp_path / 'depth_sr305')).camera_arguments()
    assert Path(arguments[arguments.index('--camera') + 1]).samefile(SR305)
    assert arguments[arguments.index('--depth-scale') + 1] == '0.000125'


def after(arguments, name):
    return arguments[arguments.index(name) + 1]


def test_a_stage_of_objects_is_shown_a_can(tmp_path):
    assert 'object:=can' in DemoConfig(stage='reconstruction').camera_arguments()
    assert 'object:=ball' in DemoConfig(stage='reconstruction', object='ball').camera_arguments()
    assert not any(each.startswith('object:=') for each in DemoConfig().camera_arguments())


def test_a_stage_of_colours_takes_a_folder_of_them_with_depth_where_there_is_any(tmp_path):
    shutil.copy(SR305, tmp_path / 'camera.yaml')
    colour_images(tmp_path, '1.png', '2.png')
    arguments = DemoConfig(stage='reconstruction', data=tmp_path).camera_arguments()
    assert after(arguments, '--rgb') == str(tmp_path) and '--depth' not in arguments
    assert '--sequence' in arguments and after(arguments, '--rate') == '3.0'
    colour_images(tmp_path, *(f'{number}.png' for number in range(30)))
    arguments = DemoConfig(stage='reconstruction', data=tmp_path).camera_arguments()
    assert after(arguments, '--rate') == '30.0'
    colour_images(tmp_path / 'rgb', '1.png')
    depth_image(tmp_path / 'depth')
    arguments = DemoConfig(stage='reconstruction', data=tmp_path).camera_arguments()
    assert after(arguments, '--rgb') == str(tmp_path / 'rgb')
    assert after(arguments, '--depth') == str(tmp_path / 'depth') and after(arguments, '--depth-scale') == '0.001'


def test_photos_are_published_one_by_one_and_need_no_calibration(tmp_path):
    config = DemoConfig(stage='reconstruction', data=colour_images(tmp_path, 'kitchen.png', 'garden.png'))
    assert config.shows_photos and config.replayed.count == 2
    one = DemoConfig(stage='reconstruction', data=tmp_path / 'kitchen.png')
    assert one.shows_photos and str(one.replayed.order) == 'one picture'


def test_what_follows_in_time_is_the_users_word(tmp_path):
    folder = colour_images(tmp_path, *(f'hand{number}.png' for number in range(5)))
    assert not DemoConfig(stage='reconstruction', data=folder).shows_photos
    assert DemoConfig(stage='reconstruction', data=folder, independent=True).shows_photos
    photos = colour_images(tmp_path / 'photos', 'kitchen.png', 'garden.png')
    assert not DemoConfig(stage='reconstruction', data=photos, sequence=True).shows_photos
    with pytest.raises(DemoError, match='exclude each other'):
        DemoConfig(independent=True, sequence=True)


def test_a_recording_of_both_kinds_is_read_by_its_folders_or_refused(tmp_path):
    colour_images(tmp_path / 'one' / 'color', '1.png')
    depth_image(tmp_path / 'one' / 'depth')
    arguments = DemoConfig(stage='reconstruction', data=tmp_path / 'one').camera_arguments()
    assert after(arguments, '--rgb') == str(tmp_path / 'one' / 'color')
    assert after(arguments, '--depth') == str(tmp_path / 'one' / 'depth')
    colour_images(tmp_path / 'two' / 'left', '1.png')
    depth_image(tmp_path / 'two' / 'aligned')
    with pytest.raises(DemoError, match='two holds colour and depth images: put them into folders rgb and depth'):
        DemoConfig(stage='reconstruction', data=tmp_path / 'two').camera_arguments()


def test_a_scene_that_the_simulated_camera_cannot_show_is_refused():
    for scene in ({'object': 'can'}, {'side': 'right'}):
        with pytest.raises(DemoError, match='two_hand_prior shows both hands, empty: leave --side and --object out'):
            DemoConfig(stage='two_hand_prior', **scene)
    assert 'motion:=together' in DemoConfig(stage='two_hand_prior', side='both').camera_arguments()


def test_the_video_of_a_hand_is_known(tmp_path):
    folder = tmp_path / 'rgb_hand_video'
    folder.mkdir()
    writer = cv2.VideoWriter(str(folder / 'hand.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 30, (64, 36))
    writer.write(np.zeros((36, 64, 3), np.uint8))
    writer.release()
    arguments = DemoConfig(stage='reconstruction', data=folder, out=tmp_path / 'out').camera_arguments()
    assert (
        DemoConfig(stage='reconstruction', data=folder / 'hand.avi', out=tmp_path / 'out').camera_arguments()
        == arguments
    )
    assert Path(after(arguments, '--camera')).name == 'rgb_hand_video_camera.yaml'
    assert len(list(Path(after(arguments, '--rgb')).glob('*.jpg'))) == 1


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DemoError, match=r'camera\.yaml is missing.*make demo passes ARGS="--camera FILE"'):
        DemoConfig(data=depth_image(tmp_path / 'depth_alone')).camera_arguments()
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DemoError, match='empty holds no image'):
        DemoConfig(data=tmp_path / 'empty').camera_arguments()
    photos = colour_images(tmp_path / 'photos', 'kitchen.png')
    for given in (photos, photos / 'kitchen.png'):
        with pytest.raises(DemoError, match=r'these are photos or a video, and .*: add STAGE=reconstruction \(--stage'):
            DemoConfig(data=given).camera_arguments()
    with pytest.raises(
        DemoError, match='these are depth images, and reconstruction takes colour images: add STAGE=depth'
    ):
        DemoConfig(data=tmp_path / 'depth_alone', stage='reconstruction').camera_arguments()
    with pytest.raises(DemoError, match=r'other\.yaml is missing'):
        DemoConfig(data=tmp_path / 'depth_alone', camera=tmp_path / 'other.yaml').camera_arguments()
    with pytest.raises(DemoError, match='absent is no folder'):
        DemoConfig(data=tmp_path / 'absent').camera_arguments()


def test_a_wrong_unit_of_depth_is_named_with_the_option_that_mends_it():
    folder = ROOT / 'samples' / 'depth'
    assert DemoConfig(data=folder).depth_doubt() == DemoConfig().depth_doubt() == ''
    assert re.fullmatch(
        r'.*30\.png: nothing is nearer than .* the values are not in millimetres .*: correct --depth-scale, '
        r'.*ARGS="--depth-scale 0.000125"\)',
        DemoConfig(data=folder, depth_scale=0.001).depth_doubt(),
    )
    assert 'which no camera measures' in DemoConfig(data=folder, depth_scale=1.0).depth_doubt()
