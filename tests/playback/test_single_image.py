# SPDX-License-Identifier: Apache-2.0
"""One picture by the command line and in Python: estimates, overlay and JSON."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.image import ImageEstimator
from hoi_ros.image import main
from hoi_ros.playback.single_image import ImageError
from hoi_ros.systems import System
from hoi_ros.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / 'samples' / 'photos' / 'open_hand_office.jpg'
DEPTH = next(system.name for system in SYSTEMS.values() if system.images == ('depth',))


class TwoHands:
    """Stands in for a stage: a sure hand and a doubtful one, half a metre away or where depth says."""

    object_faces = np.array([[0, 1, 2]])

    def __init__(self, **arguments):
        self.arguments, self.resets = arguments, 0
        self.model = HandModel.load()

    def __call__(self, image, camera, stamp, depth=None):
        far = 0.5 if depth is None else float(np.nanmax(depth))
        pose, shape, place = np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, far], np.float32)
        posed = self.model.forward(pose, shape, place)
        located_by = 'hand_size' if depth is None else 'depth'
        cube = np.array([[x, y, far + z] for x in (-0.02, 0.02) for y in (-0.02, 0.02) for z in (-0.02, 0.02)])
        thing = ObjectEstimate(0.8, cube, cube.mean(0), np.array([0, 0, 0, 1.0]), np.array([0.02, 0.04, 0.1]), 0, True)
        held = thing if depth is None else thing.withheld_below(2.0)
        return [
            HandEstimate(
                'right', 1, score, posed.keypoints, np.ones(21), pose, shape, place, posed.vertices, located_by, held
            )
            for score in (0.9, 0.4)
        ]

    def reset(self):
        self.resets += 1

    def hand_model(self, side):
        return self.model if side == 'right' else self.model.mirrored()


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(System, 'load_stage', lambda system, **arguments: TwoHands(**arguments))


@pytest.fixture
def photo(tmp_path):
    cv2.imwrite(str(tmp_path / 'photo.jpg'), np.full((48, 64, 3), (0, 0, 200), np.uint8))
    return tmp_path / 'photo.jpg'


def test_one_photo_becomes_an_overlay_and_json(stand_in, photo, tmp_path, capsys):
    assert main([str(photo), '--out', str(tmp_path / 'out')]) == 0
    said = capsys.readouterr().out
    assert 'right hand, score 0.90 (that it is a hand), palm about 0.' in said and '0.40' not in said
    assert 'm away (from its size), holds something of 10 x 4 x 2 cm (0.80)' in said
    assert 'no calibration: 65 degrees across the longer side are assumed (--fov)' in said
    overlay = cv2.imread(str(tmp_path / 'out' / 'photo.png'))
    assert overlay.shape == (48, 64, 3) and (overlay != (0, 0, 200)).any()
    record = json.loads((tmp_path / 'out' / 'photo.json').read_text())
    assert record['image'] == str(photo) and record['camera']['width'] == 64
    (hand,) = record['hands']
    assert hand['side'] == 'right' and np.shape(hand['joints']) == (21, 3) and 'vertices' not in hand
    joints, focal = np.array(hand['joints']), record['camera']['fx']
    np.testing.assert_allclose(
        np.array(hand['keypoints']), joints[:, :2] / joints[:, 2:] * focal + [31.5, 23.5], atol=0.02
    )


def test_files_of_others_are_kept_and_those_of_an_earlier_run_replaced(stand_in, photo, tmp_path, capsys):
    for _ in range(2):
        assert main([str(photo), '--out', str(tmp_path / 'out')]) == 0
    for name, content in (('photo.json', '{"shapes": []}'), ('photo.png', 'a depth image')):
        (tmp_path / 'own').mkdir(exist_ok=True)
        (tmp_path / 'own' / name).write_text(content)
        assert main([str(photo), '--out', str(tmp_path / 'own')]) == 2
        assert 'is there and of something else: give another folder' in capsys.readouterr().err
        assert (tmp_path / 'own' / name).read_text() == content
        (tmp_path / 'own' / name).unlink()


def test_a_rectified_picture_takes_the_projection_matrix(stand_in, tmp_path, capsys):
    folder = tmp_path / 'image_rect'
    folder.mkdir()
    cv2.imwrite(str(folder / 'photo.png'), np.zeros((48, 64, 3), np.uint8))
    (folder / 'camera.yaml').write_text(
        'image_width: 64\nimage_height: 48\ndistortion_model: plumb_bob\n'
        'camera_matrix: {rows: 3, cols: 3, data: [60, 0, 32, 0, 60, 24, 0, 0, 1]}\n'
        'distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}\n'
        'rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}\n'
        'projection_matrix: {rows: 3, cols: 4, data: [50, 0, 32, 0, 0, 50, 24, 0, 0, 0, 1, 0]}\n'
    )
    assert main([str(folder / 'photo.png'), '--out', str(tmp_path / 'out')]) == 0
    assert json.loads((tmp_path / 'out' / 'photo.json').read_text())['camera']['fx'] == 50
    cameras = [ImageEstimator(camera=str(folder / 'camera.yaml'), rectified=each) for each in (True, False)]
    focal = [each(np.zeros((48, 64, 3), np.uint8)).camera.fx for each in cameras]
    assert focal[0] == 50 and focal[1] != 50
    assert main([str(folder / 'photo.png'), '--out', str(tmp_path / 'out'), '--fov', '80']) == 0
    assert 'camera.yaml says the field of view: --fov has no effect' in capsys.readouterr().out


def test_depth_places_the_hand_and_one_that_does_not_fit_is_named(stand_in, photo, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'depth.png'), np.full((48, 64), 8000, np.uint16))
    arguments = [str(photo), '--depth', str(tmp_path / 'depth.png'), '--out', str(tmp_path)]
    assert main([*arguments, '--depth-scale', '0.0001', '--vertices']) == 0
    # What the stage is not sure of is not said.
    assert '(measured by depth), may hold something (0.80)\n' in capsys.readouterr().out
    (hand,) = json.loads((tmp_path / 'photo.json').read_text())['hands']
    assert hand['located_by'] == 'depth' and 0.7 < hand['joints'][0][2] < 0.9 and len(hand['vertices']) > 100
    cv2.imwrite(str(tmp_path / 'depth.png'), np.full((24, 64), 8000, np.uint16))
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert 'the depth image is 64x24 pixels, the colour image 64x48: align them' in told.err
    assert 'from its size' in told.out and 'one unit of the depth is taken for 0.001 m (--depth-scale)' in told.out


def test_estimates_in_python_from_files_and_arrays(stand_in, photo):
    estimator = ImageEstimator(fov=90, min_score=0.3)
    hands = estimator(photo).hands
    assert [hand.score for hand in hands] == [0.9, 0.4]
    result = estimator(np.zeros((30, 40, 3), np.uint8), np.full((30, 40), 0.8, np.float32))
    assert result.camera.fx == pytest.approx(20) and result.hands[0].located_by == 'depth'
    assert result.overlay().shape == (30, 40, 3) and result.image.shape == (30, 40, 3)
    assert estimator.stage.resets == 2


def test_a_large_photo_has_an_overlay_that_can_be_looked_at(stand_in, tmp_path, capsys):
    result = ImageEstimator()(np.zeros((3000, 4000, 3), np.uint8))
    assert result.overlay().shape == (1440, 1920, 3) and result.camera.width == 4000
    cv2.imwrite(str(tmp_path / 'large.png'), np.zeros((1500, 2000, 3), np.uint8))
    assert main([str(tmp_path / 'large.png'), '--out', str(tmp_path / 'out')]) == 0
    said = capsys.readouterr().out
    assert 'shrunk to 1920x1440 pixels; the pixels in the JSON are those of the original, 2000x1500' in said


@pytest.mark.parametrize(
    ('name', 'content', 'told'),
    [
        ('phone.HEIC', b'heic', 'images of the format .heic are not read: convert it to JPEG or PNG'),
        ('clip.mp4', b'mp4', 'this is a video: give it to python -m hoi_ros.replay --rgb'),
        ('cut.jpg', b'\xff\xd8\xff', 'copy or save the file again'),
        ('empty.png', b'', 'copy or save the file again'),
    ],
)
def test_a_file_that_is_not_read_is_told_its_mend(stand_in, tmp_path, capsys, name, content, told):
    (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path / name), '--out', str(tmp_path / 'out')]) == 2
    said = capsys.readouterr().err
    assert told in said and 'network' not in said


def test_a_picture_without_a_hand_is_marked_and_its_depth_is_named(stand_in, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'far.png'), np.full((48, 64), 1900, np.uint16))
    arguments = [str(tmp_path / 'far.png'), '--stage', DEPTH, '--out', str(tmp_path / 'out'), '--min-score', '1']
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert 'the depth lies between 1.90 m and 1.90 m, and hands are detected between 0.25 m and 1.2 m' in said
    drawn = cv2.imread(str(tmp_path / 'out' / 'far.png'))
    assert len(np.unique(drawn[:20].reshape(-1, 3), axis=0)) == 1 and drawn[30:].max() > 200


def test_a_depth_image_alone(stand_in, tmp_path):
    depth = np.full((30, 40), 0.8, np.float32)
    result = ImageEstimator(DEPTH)(depth)
    assert result.image.shape == (30, 40) and result.overlay().shape == (30, 40, 3)
    with pytest.raises(ImageError, match='takes no depth image beside its depth image'):
        ImageEstimator(DEPTH)(depth, depth)


@pytest.mark.parametrize(
    ('picture', 'told'),
    [
        (np.zeros((4, 4), np.uint8), r'colour image is \(4, 4\) uint8, expected \(H, W, 3\) uint8 RGB'),
        ('/absent.jpg', 'absent.jpg: cannot be read'),
    ],
)
def test_what_cannot_be_used_is_named(stand_in, picture, told):
    with pytest.raises(FrameRefused, match=told):
        ImageEstimator()(picture)


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['/absent.jpg'], '/absent.jpg is no file: give a picture; a folder is for python -m hoi_ros.replay'),
        ([str(PHOTO), '--camera', '/absent.yaml'], '/absent.yaml: cannot be read'),
        ([str(PHOTO), '--models', '/absent'], '/absent is not a folder'),
        ([str(PHOTO), '--stage', 'feet'], "--stage is 'feet', expected depth_pose"),
        ([str(PHOTO), '--fov', '0'], '--fov is 0.0'),
    ],
)
def test_the_command_line_says_what_is_wrong(capsys, tmp_path, arguments, told):
    try:
        code = main([*arguments, '--out', str(tmp_path)])
    except SystemExit as end:
        code = end.code
    assert code == 2 and told in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_on_a_sample_loads_no_ros_and_no_ray_caster(tmp_path):
    program = (
        'import sys\n'
        'from hoi_ros.image import main\n'
        f'code = main([{str(PHOTO)!r}, "--out", {str(tmp_path)!r}])\n'
        'loaded = {name.split(".")[0] for name in sys.modules}\n'
        'sys.exit(code or ", ".join(loaded & {"rclpy", "open3d", "torch", "imageio"}) or 0)\n'
    )
    run = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert re.search(r'right hand, score (0\.[5-9]|1\.0)', run.stdout)
    assert cv2.imread(str(tmp_path / 'open_hand_office.png')).shape == (480, 480, 3)


def test_an_overlay_never_replaces_its_picture(tmp_path, capsys):
    picture = tmp_path / 'hand.png'
    cv2.imwrite(str(picture), np.zeros((40, 60, 3), np.uint8))
    before = picture.read_bytes()
    assert main([str(picture), '--out', str(tmp_path)]) == 2
    assert f'{picture} is an input' in capsys.readouterr().err
    assert picture.read_bytes() == before


def test_the_command_is_installed():
    executables = [
        path
        for prefix in os.environ['AMENT_PREFIX_PATH'].split(os.pathsep)
        if (path := Path(prefix, 'lib', 'hoi_ros', 'image')).exists()
    ]
    assert len(executables) == 1 and os.access(executables[0], os.X_OK)
    assert 'from hoi_ros.image import main' in executables[0].read_text()
