# SPDX-License-Identifier: Apache-2.0
"""The demo: what it prints and draws, and the whole of it as processes over DDS."""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.playback.demo import DemoConfig
from hoi_ros.playback.demo import DemoError
from hoi_ros.playback.demo import draw
from hoi_ros.playback.demo import main
from hoi_ros.playback.recording import Answer
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.tables import seen_rows
from hoi_ros.playback.tables import surface_rows
from hoi_ros.playback.tables import traffic_rows
from hoi_ros.playback.tables import truth_rows
from hoi_ros.resources import models_dir

ROOT = Path(__file__).parents[2]
SR305 = ROOT / 'tests' / 'data' / 'sr305_camera.yaml'
DATA = Path(os.environ.get('HOI_DATA') or ROOT / '../shared/data') / 'depth_sr305'
PATIENCE = 280.0  # seconds: a busy machine may take long
CAMERA = Pinhole(160, 120, 150.0, 150.0, 79.5, 59.5)


@pytest.fixture
def recording():
    """Ten frames at 30 Hz of a resting hand before a wall, all answered; every third is kept as a picture."""
    model = HandModel.load()
    posed = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, 0.5], np.float32))
    hand = HandEstimate(
        side='right',
        track_id=1,
        score=0.9,
        joints=posed.keypoints,
        joint_scores=np.ones(21),
        pose=np.zeros(48),
        shape=np.zeros(10),
        translation=np.array([0, 0, 0.5]),
        vertices=posed.vertices,
    )
    stamps = [1_000_000_000 + 33_333_333 * number for number in range(10)]
    depth = np.full((120, 160), 1.5, np.float32)
    return Recording(
        sent=stamps,
        answers=[Answer(stamp, stamp + 8_000_000, (hand,)) for stamp in stamps],
        truth={stamp: (hand,) for stamp in stamps},
        pictures=[Picture(stamp, depth, CAMERA) for stamp in stamps[::3]],
        faces={'right': model.faces, 'left': model.mirrored().faces},
        diagnostics='running',
        memory_mb=300,
        cpu=0.4,
    )


def test_the_table_of_a_simulated_camera(recording):
    rows = dict(traffic_rows(recording) + truth_rows(recording))
    assert rows['frames in'] == '10 (30.0 a second)' and rows['frames out'] == '10 (30.0 a second), 10 with hands'
    assert rows['frames dropped'] == '0' and rows['camera to topic'] == 'p50 8.0 ms, p99 8.0 ms'
    assert rows['hands found'] == '100.0 %, 0 false' and rows['side right'] == '100.0 %'
    assert rows['mean joint error'] == '0.0 mm'


@pytest.fixture
def colours(recording):
    """The same hand, moved by 3 mm, holds something in every frame; located by depth in half of them."""
    held = ObjectEstimate(
        score=0.8,
        vertices=np.array([[0, 0, 0.5], [0.1, 0, 0.5], [0, 0.1, 0.5]]),
        position=np.array([0.0, 0.1, 0.5]),
        orientation=np.array([0, 0, 0, 1.0]),
        size=np.full(3, 0.1),
        gap=0.001,
        touching=True,
    )
    off = dataclasses.replace(held, position=held.position + [0, 0, 0.004])
    hand = recording.answers[0].hands[0]
    true = dataclasses.replace(hand, held=held)
    by_depth = dataclasses.replace(hand, joints=hand.joints + [0, 0, 0.003], held=off)
    by_size = dataclasses.replace(by_depth, located_by='hand_size')
    image = np.full((120, 160, 3), 90, np.uint8)
    return dataclasses.replace(
        recording,
        answers=[
            dataclasses.replace(answer, hands=((by_depth, by_size)[number % 2],))
            for number, answer in enumerate(recording.answers)
        ],
        truth={stamp: (true,) for stamp in recording.truth},
        faces=recording.faces | {'object': np.array([[0, 2, 1]])},
        pictures=[Picture(kept.stamp, image, CAMERA) for kept in recording.pictures],
    )


def test_the_table_of_held_objects(colours):
    rows = dict(truth_rows(colours, objects=True))
    assert rows['mean joint error'] == '3.0 mm' and rows['from the wrist'] == '0.0 mm'
    assert rows['objects found'] == '100.0 %, 0 false' and rows['object centre'] == '4.0 mm off'
    silent = [
        dataclasses.replace(
            answer,
            hands=tuple(
                dataclasses.replace(
                    hand, held=dataclasses.replace(hand.held, confidence=ClaimConfidence(box=0)).withheld_below(0.5)
                )
                for hand in answer.hands
            ),
        )
        for answer in colours.answers
    ]
    rows = dict(truth_rows(dataclasses.replace(colours, answers=silent), objects=True))
    assert rows['objects found'] == '100.0 %, 0 false' and rows['object centre'] == 'no box is certain enough'
    rows = dict(seen_rows(colours))
    assert rows['sides'] == 'right 100.0 %' and rows['hold something'] == '100.0 %'
    assert rows['located by'] == 'depth 50.0 %, else the size of the hand'


def test_hands_are_drawn_over_colours(colours, tmp_path):
    draw(colours, tmp_path / 'stage.png', tmp_path / 'stage.mp4')
    drawn = cv2.imread(str(tmp_path / 'stage.png'))
    assert (drawn[0, 0] == 90).all() and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 50


def test_the_table_of_real_frames(recording):
    rows = dict(surface_rows(recording))
    assert rows['sides'] == 'right 100.0 %'
    # The wall alone is seen where the hand is said to be.
    assert rows['mesh to depth'] == 'nothing in common (4 hands)' and rows['silhouette IoU'] == '0.00, worst 0.00'


def test_picture_and_video_show_the_hands(recording, tmp_path):
    picture, video = tmp_path / 'stage.png', tmp_path / 'stage.mp4'
    draw(recording, picture, video)
    drawn = cv2.imread(str(picture))
    assert drawn.shape == (120, 160, 3) and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 50
    frames = cv2.VideoCapture(str(video))
    assert frames.get(cv2.CAP_PROP_FRAME_COUNT) == len(recording.pictures)
    assert frames.get(cv2.CAP_PROP_FPS) == pytest.approx(10)


def test_a_folder_brings_its_calibration(tmp_path):
    arguments = DemoConfig(data=tmp_path, camera=SR305, depth_scale=0.002).camera_arguments()
    assert arguments[arguments.index('--depth-scale') + 1] == '0.002'
    shutil.copy(SR305, tmp_path / 'camera.yaml')
    arguments = DemoConfig(data=tmp_path).camera_arguments()
    assert arguments[arguments.index('--camera') + 1] == str(tmp_path / 'camera.yaml')
    assert arguments[arguments.index('--depth-scale') + 1] == '0.001'


def test_the_sr305_frames_are_known(tmp_path):
    folder = tmp_path / 'depth_sr305'
    folder.mkdir()
    arguments = DemoConfig(data=folder).camera_arguments()
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
    config = DemoConfig(stage='reconstruction', data=tmp_path)
    arguments = config.camera_arguments()
    assert after(arguments, '--rgb') == str(tmp_path) and '--depth' not in arguments
    for name in ('rgb', 'depth'):
        (tmp_path / name).mkdir()
    arguments = config.camera_arguments()
    assert after(arguments, '--rgb') == str(tmp_path / 'rgb')
    assert after(arguments, '--depth') == str(tmp_path / 'depth') and after(arguments, '--depth-scale') == '0.001'


def test_the_video_of_a_hand_is_known(tmp_path):
    folder = tmp_path / 'rgb_hand_video'
    folder.mkdir()
    writer = cv2.VideoWriter(str(folder / 'hand.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 30, (64, 36))
    writer.write(np.zeros((36, 64, 3), np.uint8))
    writer.release()
    arguments = DemoConfig(stage='reconstruction', data=folder, out=tmp_path / 'out').camera_arguments()
    assert Path(after(arguments, '--camera')).name == 'rgb_hand_video_camera.yaml'
    assert len(list(Path(after(arguments, '--rgb')).iterdir())) == 1


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DemoError, match=r'camera\.yaml is missing'):
        DemoConfig(data=tmp_path).camera_arguments()
    with pytest.raises(DemoError, match=r'other\.yaml is missing'):
        DemoConfig(data=tmp_path, camera=tmp_path / 'other.yaml').camera_arguments()
    with pytest.raises(DemoError, match='absent is no folder'):
        DemoConfig(data=tmp_path / 'absent').camera_arguments()


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['--stage', 'foot_pose'], "the system is 'foot_pose'"),
        (['--seconds', '0'], '--seconds is 0'),
        (['--data', '/absent'], '/absent is no folder'),
    ],
)
def test_bad_arguments_are_refused(arguments, told, capfd, tmp_path):
    try:
        code = main([*arguments, '--out', str(tmp_path)])
    except SystemExit as end:
        code = end.code
    assert code and told in capfd.readouterr().err


@pytest.fixture
def start(tmp_path):
    """Starts the demo as a process; its own processes are gone afterwards."""
    processes = []

    def run(*arguments, models=None):
        environment = os.environ | ({'HOI_ROS_MODELS': str(models)} if models else {})
        processes.append(
            subprocess.Popen(
                [sys.executable, '-m', 'hoi_ros.demo', '--out', str(tmp_path / 'out'), *arguments],
                cwd=ROOT,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )
        return processes[-1]

    yield run
    for process in processes:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()


def table_of(output):
    return dict(re.findall(r'^  (\S.{17}) (.+)$', output, re.MULTILINE))


def cell(output, name):
    return table_of(output)[f'{name:18}']


@pytest.mark.slow
def test_the_whole_demo(start, tmp_path):
    process = start('--seconds', '2')
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert int(cell(output, 'frames in').split()[0]) > 0 and int(cell(output, 'frames out').split()[0]) > 0
    for name in ('camera to topic', 'hands found', 'side right', 'mean joint error', 'node memory', 'node start'):
        assert re.search(r'\d', cell(output, name)), output
    for suffix in ('png', 'mp4'):
        path = tmp_path / 'out' / f'depth_pose.{suffix}'
        assert path.stat().st_size > 0 and str(path) in output


@pytest.mark.slow
@pytest.mark.skipif(not (models_dir() / 'reconstruction' / 'card.yaml').is_file(), reason='there is no trained model')
def test_the_whole_demo_of_reconstruction(start, tmp_path):
    process = start('--stage', 'reconstruction', '--seconds', '2')
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    for name in ('hands found', 'mean joint error', 'from the wrist', 'objects found', 'object centre'):
        assert re.search(r'\d', cell(output, name)), output
    assert cv2.imread(str(tmp_path / 'out' / 'reconstruction.png')).shape == (480, 640, 3)


@pytest.mark.slow
def test_the_demo_on_real_frames(start, tmp_path):
    if not DATA.is_dir():
        pytest.skip(f'{DATA} is absent: set HOI_DATA to the folder of test data')
    process = start('--seconds', '2', '--data', str(DATA))
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    for name in ('sides', 'mesh to depth', 'silhouette IoU'):
        assert re.search(r'\d', cell(output, name)), output
    assert cv2.imread(str(tmp_path / 'out' / 'depth_pose.png')).shape == (480, 640, 3)


@pytest.mark.slow
def test_a_node_that_cannot_start_says_why(start, tmp_path):
    models = tmp_path / 'models'
    shutil.copytree(models_dir() / 'hand_model', models / 'hand_model')
    process = start('--seconds', '2', models=models)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, output
    assert 'demo: the depth_pose node cannot be configured' in output and 'card.yaml' in output
    assert 'Traceback' not in output


@pytest.mark.slow
def test_frames_without_a_hand_end_with_the_reason(start, tmp_path):
    folder = tmp_path / 'frames'
    folder.mkdir()
    cv2.imwrite(str(folder / '1.png'), np.zeros((480, 640), np.uint16))
    process = start('--seconds', '2', '--data', str(folder), '--camera', str(SR305))
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, output
    assert 'demo: no hand came out' in output and 'the depth is unknown everywhere' in output


def started_children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The camera and the node of a demo, once both run."""
    said = ''
    while 'starting the camera' not in said:
        said += process.stdout.readline()
        assert process.poll() is None, said
    end = time.monotonic() + PATIENCE
    while len(children := psutil.Process(process.pid).children(recursive=True)) < 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    return children


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(start, number):
    process = start('--seconds', '600')
    children = started_children(process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and 'Traceback' not in output
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which('setpriv'), reason='setpriv (util-linux) is not here')
def test_nothing_outlives_a_demo_that_is_killed(start):
    process = start('--seconds', '600')
    children = started_children(process)
    process.kill()
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]
