# SPDX-License-Identifier: Apache-2.0
"""Stages run over folders of images, without ROS."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from hoi_ros.camera.calibration import load_camera_yaml
from hoi_ros.camera.undistortion import undistort_points
from hoi_ros.playback.replay import main
from hoi_ros.playback.replay import replay
from hoi_ros.playback.replay import ReplayConfig
from hoi_ros.playback.replay import ReplayError
from hoi_ros.systems import System

from .stand_in_stages import NearestPoint
from .stand_in_stages import RedThing

ROOT = Path(__file__).parents[2]
SR305 = ROOT / 'tests' / 'data' / 'sr305_camera.yaml'
DATA = Path(os.environ.get('HOI_DATA') or ROOT / '../shared/data') / 'depth_sr305'


@pytest.fixture
def recording(tmp_path):
    """Six frames: a hand, nothing, an unreadable file, another size, 8 bits, a hand; 48x36 pixels, unit 1/8 mm."""
    folder = tmp_path / 'depth'
    folder.mkdir()
    empty = np.full((36, 48), 8000, np.uint16)
    hand = empty.copy()
    hand[20, 30] = 3200
    for number, pixels in (
        (9, hand),
        (10, empty),
        (12, np.zeros((36, 40), np.uint16)),
        (13, np.zeros((36, 48), np.uint8)),
        (100, hand),
    ):
        cv2.imwrite(str(folder / f'{number}.png'), pixels)
    (folder / '11.png').write_bytes(b'damaged')
    camera = yaml.safe_load(SR305.read_text())
    camera |= {'image_width': 48, 'image_height': 36}
    camera['camera_matrix']['data'] = [40.0, 0, 24, 0, 40.0, 18, 0, 0, 1]
    (tmp_path / 'camera.yaml').write_text(yaml.safe_dump(camera))
    return tmp_path


def config_of(recording, **changes):
    return ReplayConfig(
        **{
            'camera': recording / 'camera.yaml',
            'depth': recording / 'depth',
            'depth_scale': 0.000125,
            'out': recording / 'out',
        }
        | changes
    )


def lines(folder):
    return [json.loads(line) for line in (folder / 'results.jsonl').read_text().splitlines()]


def test_every_image_becomes_one_line_in_numeric_order(recording):
    summary = replay(config_of(recording), NearestPoint())
    records = lines(recording / 'out')
    assert [record['image'] for record in records] == ['9.png', '10.png', '11.png', '12.png', '13.png', '100.png']
    assert [len(record['hands']) for record in records] == [1, 0, 0, 0, 0, 1]
    assert ['error' in record for record in records] == [False, False, True, True, True, False]
    assert 'no readable PNG' in records[2]['error'] and '40x36' in records[3]['error']
    assert 'uint8' in records[4]['error']
    assert (summary.frames, summary.unreadable, summary.with_hands, summary.hands) == (6, 3, 2, {'right': 2})
    assert summary.mean_score == pytest.approx(0.9) and summary.stage_p50_ms > 0
    assert '6 (3 unreadable)' in str(summary) and '2 right' in str(summary)


def test_a_hand_is_written_in_metres(recording):
    replay(config_of(recording), NearestPoint())
    hand = lines(recording / 'out')[0]['hands'][0]
    assert (hand['side'], hand['side_score'], hand['score'], hand['id']) == ('right', 0.75, 0.9, 3)
    joints = np.array(hand['joints'])
    assert joints.shape == (21, 3) and 'vertices' not in hand
    np.testing.assert_allclose(joints[0], [(30 - 24) / 40 * 0.4, (20 - 18) / 40 * 0.4, 0.4], atol=1e-5)


def test_vertices_on_request(recording):
    stage = NearestPoint()
    replay(config_of(recording, vertices=True), stage)
    vertices = np.array(lines(recording / 'out')[-1]['hands'][0]['vertices'])
    assert vertices.shape == stage.model.template.shape


def test_the_rate_makes_the_stamps(recording):
    stage = NearestPoint()
    replay(config_of(recording, rate=10), stage)
    np.testing.assert_allclose(stage.stamps, [0, 0.1, 0.5])
    np.testing.assert_allclose([record['stamp'] for record in lines(recording / 'out')], np.arange(6) / 10)


def test_overlays_of_all_that_could_be_read(recording):
    replay(config_of(recording), NearestPoint())
    overlays = recording / 'out' / 'overlays'
    assert {path.name for path in overlays.iterdir()} == {'9.png', '10.png', '100.png'}
    assert cv2.imread(str(overlays / '9.png')).shape == (36, 48, 3)


def test_colour_images_are_drawn_on(recording):
    rgb = recording / 'rgb'
    rgb.mkdir()
    cv2.imwrite(str(rgb / '10.png'), np.full((36, 48, 3), (0, 0, 200), np.uint8))
    (rgb / '9.png').write_bytes(b'damaged')
    cv2.imwrite(str(rgb / '50.png'), np.zeros((36, 48, 3), np.uint8))
    summary = replay(config_of(recording, rgb=rgb), NearestPoint())
    drawn = cv2.imread(str(recording / 'out' / 'overlays' / '10.png'))
    assert (drawn[:15] == (0, 0, 200)).all() and drawn[..., 0].max() > 100  # the caption of a picture without a hand
    records = {record['image']: record for record in lines(recording / 'out')}
    # A damaged colour image costs the depth stage nothing; a frame without depth is told of.
    assert len(records['9.png']['hands']) == 1 and '9.png' in records['9.png']['error']
    assert 'no depth image' in records['50.png']['error']
    assert (summary.frames, summary.unreadable) == (7, 4)


def test_a_distorted_camera_is_undistorted_first(recording):
    camera = yaml.safe_load((recording / 'camera.yaml').read_text())
    camera['distortion_coefficients']['data'] = [-0.3, 0.1, 0.0, 0.0, 0.0]
    (recording / 'camera.yaml').write_text(yaml.safe_dump(camera))
    replay(config_of(recording), NearestPoint())
    hand = lines(recording / 'out')[0]['hands'][0]
    wrist = np.array(hand['joints'][0])
    calibration = load_camera_yaml(recording / 'camera.yaml')
    expected = undistort_points(calibration, np.array([30.0, 20.0]))
    np.testing.assert_allclose(calibration.camera.project(wrist), expected, atol=0.75)
    # The pixels are those of the recorded image.
    np.testing.assert_allclose(hand['keypoints'][0], [30, 20], atol=0.75)


def test_rectified_images_take_the_projection_matrix_and_are_not_undistorted(recording):
    camera = yaml.safe_load((recording / 'camera.yaml').read_text())
    camera['distortion_coefficients']['data'] = [-0.3, 0.1, 0.0, 0.0, 0.0]
    camera['projection_matrix']['data'] = [30.0, 0, 22, 0, 0, 30.0, 19, 0, 0, 0, 1, 0]
    (recording / 'camera.yaml').write_text(yaml.safe_dump(camera))
    replay(config_of(recording, rectified='true'), NearestPoint())
    wrist = [(30 - 22) / 30 * 0.4, (20 - 19) / 30 * 0.4, 0.4]
    np.testing.assert_allclose(lines(recording / 'out')[0]['hands'][0]['joints'][0], wrist, atol=1e-6)


def test_nothing_readable_still_gives_every_line(recording):
    for path in (recording / 'depth').iterdir():
        path.write_bytes(b'')
    summary = replay(config_of(recording), NearestPoint())
    assert summary.unreadable == summary.frames == len(lines(recording / 'out')) == 6
    assert 'none' in str(summary)


@pytest.fixture
def colours(recording):
    """Colours for the recording's frames: 9 is red, 10 and 100 black."""
    rgb = recording / 'rgb'
    rgb.mkdir()
    for name, red in (('9', 200), ('10', 0), ('100', 0)):
        cv2.imwrite(str(rgb / f'{name}.png'), np.full((36, 48, 3), (0, 0, red), np.uint8))
    return rgb


def test_a_stage_of_colours_needs_no_depth(recording, colours):
    stage = RedThing()
    summary = replay(config_of(recording, stage='reconstruction', depth=None, depth_scale=None, rgb=colours), stage)
    assert (summary.frames, summary.unreadable) == (3, 0) and stage.depths == [None] * 3
    holding, empty, _ = (record['hands'][0] for record in lines(recording / 'out'))
    assert holding['located_by'] == 'hand_size' and 'held' not in empty
    held = holding['held']
    assert (held['score'], held['gap'], held['touching']) == (0.75, -0.001, True)
    assert [held[f'{claim}_confidence'] for claim in ('touching', 'gap', 'box')] == [0.9, 0.8, 0.7]
    np.testing.assert_allclose(held['position'], [0.0125, 0.0125, 0.5125])


def test_withheld_claims_are_null_in_the_results(recording, colours):
    stage = RedThing(least_confidence=0.95)
    replay(config_of(recording, stage='reconstruction', depth=None, depth_scale=None, rgb=colours), stage)
    held = lines(recording / 'out')[0]['hands'][0]['held']
    nothing = dict.fromkeys(('position', 'orientation', 'size', 'touching', 'gap'))
    confidence = dict.fromkeys(('box_confidence', 'touching_confidence', 'gap_confidence'), 0.0)
    assert held == {'score': 0.75, **nothing, **confidence}


def test_depth_goes_to_a_stage_of_colours_where_it_is_given_and_fits(recording, colours):
    stage = RedThing()
    cv2.imwrite(str(recording / 'depth' / '10.png'), np.full((72, 96), 8000, np.uint16))
    replay(config_of(recording, stage='reconstruction', rgb=colours, vertices=True), stage)
    records = {record['image']: record for record in lines(recording / 'out')}
    assert [records[name]['hands'][0]['located_by'] for name in ('9.png', '10.png', '100.png')] == [
        'depth',
        'hand_size',
        'depth',
    ]
    assert '96x72' in records['10.png']['error'] and 'align them' in records['10.png']['error']
    assert 'no colour image' in records['12.png']['error']
    assert stage.depths[0].shape == (36, 48) and stage.depths[0][20, 30] == pytest.approx(0.4)
    assert np.shape(records['9.png']['hands'][0]['held']['vertices']) == (4, 3)


def test_a_frame_without_the_depth_that_others_have_says_so(recording, colours):
    (recording / 'depth' / '9.png').unlink()
    summary = replay(config_of(recording, stage='reconstruction', rgb=colours), RedThing())
    records = {record['image']: record for record in lines(recording / 'out')}
    assert records['9.png']['error'] == '9.png: the frame has no depth image: its hands are estimated without'
    assert records['9.png']['hands'][0]['located_by'] == 'hand_size' and 'error' not in records['100.png']
    assert 'has no depth image' in str(summary)


@pytest.mark.parametrize('given', ['video/hand.avi', 'video'], ids=['file', 'folder'])
def test_a_video_is_replayed(recording, capsys, monkeypatch, given):
    monkeypatch.setattr(System, 'load_stage', lambda system, **_: RedThing())
    (recording / 'video').mkdir()
    writer = cv2.VideoWriter(str(recording / 'video' / 'hand.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 30, (48, 36))
    for _ in range(3):
        writer.write(np.full((36, 48, 3), (0, 0, 200), np.uint8))
    writer.release()
    assert (
        main(
            [
                '--stage',
                'reconstruction',
                '--rgb',
                str(recording / given),
                '--camera',
                str(recording / 'camera.yaml'),
                '--out',
                str(recording / 'out'),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert len(lines(recording / 'out')) == 3 and 'with hands  3' in said and 'may hold    3 of them' in said
    assert '3 frames, a video, hands are tracked from frame to frame\n' in said


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'stage': 'reconstruction'}, 'needs colour images'),
        ({'depth': None}, 'neither --depth nor --rgb'),
        ({'depth_scale': None}, 'without --depth-scale'),
        ({'depth_scale': 0.0}, '--depth-scale is 0.0'),
        ({'rate': -1.0}, '--rate is -1.0'),
        ({'rate': float('inf')}, '--rate is inf'),
        ({'fov': 80.0}, '--fov and --camera exclude each other'),
        ({'loop': True}, '--loop comes without --ros'),
        ({'stage': 'foot_pose'}, "'foot_pose', expected depth_pose"),
        ({'depth': None, 'rgb': Path('x')}, 'needs depth images: give their folder, or give --stage reconstruction'),
    ],
)
def test_bad_arguments_are_refused_by_name(tmp_path, changes, told):
    with pytest.raises(ReplayError, match=told):
        config_of(tmp_path, **changes)


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(System, 'load_stage', lambda system, backend, models: NearestPoint(backend))


def arguments(recording, *more):
    return [
        '--depth',
        str(recording / 'depth'),
        '--camera',
        str(recording / 'camera.yaml'),
        '--depth-scale',
        '0.000125',
        '--out',
        str(recording / 'out'),
        *more,
    ]


def test_the_command_line(recording, stand_in, capsys):
    assert main(arguments(recording, '--vertices', '--backend', 'openvino')) == 0
    assert 'with hands  2' in capsys.readouterr().out
    assert len(lines(recording / 'out')) == 6


@pytest.mark.parametrize(
    ('more', 'told'),
    [
        (['--depth', '/absent'], '/absent is no folder'),
        (['--camera', '/absent.yaml'], '/absent.yaml: cannot be read'),
    ],
)
def test_the_command_line_says_what_is_wrong(recording, stand_in, capsys, more, told):
    assert main(arguments(recording, *more)) == 2
    assert told in capsys.readouterr().err


def test_images_are_never_overwritten_by_overlays(recording, stand_in, capsys):
    """Neither those of the user, nor are overlays of an earlier run taken for images."""
    (recording / 'depth').rename(recording / 'overlays')
    before = {path.name: path.read_bytes() for path in (recording / 'overlays').iterdir()}
    for _ in range(2):
        assert main(arguments(recording, '--depth', str(recording / 'overlays'), '--out', str(recording))) == 2
        assert 'lies where this command writes its overlays: give another folder' in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (recording / 'overlays').iterdir()} == before


def test_results_of_something_else_are_not_overwritten(recording, stand_in, tmp_path, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'results.jsonl').write_text('{"mine": 1}\n')
    assert main(arguments(recording, '--out', str(out))) == 2
    assert 'results.jsonl is there and of something else: give another folder with --out' in capsys.readouterr().err
    assert (out / 'results.jsonl').read_text() == '{"mine": 1}\n'
    # Its own of before, even where a run was interrupted in its first line, are.
    for before in ('{"image": "1.png"}\n{"im', '{"image": "1.p', '{"im', ''):
        (out / 'results.jsonl').write_text(before)
        assert main(arguments(recording, '--out', str(out))) == 0


def test_the_command_line_ends_with_a_line(recording, stand_in, capsys, monkeypatch):
    assert main(arguments(recording, '--out', '/dev/null')) == 2
    assert 'replay: --out /dev/null: nothing can be written there (it is no folder)' in capsys.readouterr().err
    monkeypatch.setattr('hoi_ros.playback.replay.estimated', interrupted)
    assert main(arguments(recording)) == 130
    assert capsys.readouterr().err == 'replay: interrupted\n'


def interrupted(*_):
    raise KeyboardInterrupt


def test_the_command_line_refuses_bad_arguments(recording, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments(recording, '--rate', '0'))
    assert end.value.code == 2 and '--rate is 0' in capsys.readouterr().err


def test_the_command_line_fails_where_nothing_can_be_read(recording, stand_in):
    for path in (recording / 'depth').iterdir():
        path.write_bytes(b'')
    assert main(arguments(recording)) == 1


def test_replay_needs_no_ros():
    program = (
        'import sys, hoi_ros.playback.replay, hoi_ros.drawing.hands, hoi_ros.camera.depth\n'
        'sys.exit(any(name.split(".")[0] == "rclpy" for name in sys.modules))'
    )
    assert subprocess.run([sys.executable, '-c', program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.slow
def test_real_frames_through_the_real_stage(tmp_path, capsys):
    if not DATA.is_dir():
        pytest.skip(f'{DATA} is absent: set HOI_DATA to the folder of test data')
    assert (
        main(
            [
                '--depth',
                str(DATA),
                '--camera',
                str(SR305),
                '--depth-scale',
                '0.000125',
                '--vertices',
                '--out',
                str(tmp_path),
            ]
        )
        == 0
    )
    records = lines(tmp_path)
    assert [Path(record['image']).name for record in records] == [
        f'{number}.png' for number in (30, 50, 70, 90, 110, 130, 150, 170)
    ]
    assert not any('error' in record for record in records)
    sides = []
    for record in records:
        # The open hand is the nearest; what else is reported (a face, the other hand) is named in the README's limits.
        nearest = min(record['hands'], key=lambda hand: np.mean(hand['joints'], axis=0)[2])
        sides.append(nearest['side'])
        joints = np.array(nearest['joints'])
        assert joints.shape == (21, 3) and (joints[:, 2] > 0.3).all() and (joints[:, 2] < 1.1).all()
        assert (tmp_path / 'overlays' / Path(record['image'])).is_file()
    assert sides == ['right'] * 8
    assert 'frames      8 (0 unreadable)' in capsys.readouterr().out
