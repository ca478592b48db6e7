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

import rclpy
from rclpy.context import Context
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.playback.demo import main
from hoi_ros.playback.photo_session import PhotoResults
from hoi_ros.playback.recorder import Recorder
from hoi_ros.playback.tables import seen_rows
from hoi_ros.playback.tables import surface_rows
from hoi_ros.playback.tables import traffic_rows
from hoi_ros.playback.tables import truth_rows
from hoi_ros.resources import models_dir
from hoi_ros.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
SR305 = ROOT / 'tests' / 'data' / 'sr305_camera.yaml'
PATIENCE = 280.0  # seconds: a busy machine may take long


def test_the_table_of_a_simulated_camera(recording):
    rows = dict(traffic_rows(recording) + truth_rows(recording))
    assert rows['frames in'] == '10 (30.0 a second)' and rows['frames out'] == '10 (30.0 a second), 10 with hands'
    assert rows['frames dropped'] == '0' and rows['camera to topic'] == 'p50 8.0 ms, p99 8.0 ms'
    assert rows['hands found'] == '100.0 %, 0 false' and rows['side right'] == '100.0 %'
    assert rows['mean joint error'] == '0.0 mm'


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
    assert rows['sides'] == 'right 100.0 %' and rows['may hold something'] == '100.0 %'
    assert rows['located by'] == 'depth 50.0 %, else the size of the hand'


def test_the_table_of_real_frames(recording):
    rows = dict(surface_rows(recording))
    assert rows['sides'] == 'right 100.0 %'
    # The wall alone is seen where the hand is said to be.
    assert rows['mesh to depth'] == 'nothing in common (4 hands)' and rows['silhouette IoU'] == '0.00, worst 0.00'


def test_answers_to_frames_before_the_recording_do_not_count():
    context = Context()
    rclpy.init(args=[], context=context, domain_id=os.getpid() % 50 + 1)
    try:
        recorder = Recorder(SYSTEMS['reconstruction'], context)
        before, during = (Header(stamp=Time(nanoseconds=stamp).to_msg()) for stamp in (1, 2))
        recorder._take_info(CameraInfo(header=during))
        for header in (before, during):
            recorder.log.take_hands(HandArray(header=header))
        assert (recorder.frames, recorder.answers) == (1, 1)
        # Hands without their objects are half an answer.
        assert recorder.answer_to(2) is None
        recorder.log.taker('objects')(HeldObjectArray(header=during))
        assert not recorder.answer_to(2).hands
        recorder.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def test_the_table_of_photos_counts_each_once(colours):
    empty, *answers = colours.answers[:4]
    recording = dataclasses.replace(colours, answers=[dataclasses.replace(empty, hands=()), *answers])
    results = PhotoResults(recording, [], ['cut.jpg'], [], ['wall.jpg'], [])
    rows = dict(results.rows(SYSTEMS['reconstruction']))
    assert rows['pictures'] == '5: 3 with hands, 1 without (wall.jpg), 1 unreadable (cut.jpg)'
    assert rows['hands'] == '3 right' and rows['may hold something'] == '3'
    assert rows['located by'] == 'depth 1, size of the hand 2'


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['--stage', 'foot_pose'], "the system is 'foot_pose'"),
        (['--seconds', '0'], '--seconds is 0'),
        (['--fov', '0'], '--fov is 0'),
        (['--depth-scale', '0'], '--depth-scale is 0'),
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
@pytest.mark.parametrize(
    ('stage', 'names', 'height', 'widths'),  # beside the image an open hand for each side that was seen, be it once
    [
        ('reconstruction', ('mean joint error', 'from the wrist', 'objects found'), 480, (640,)),
        ('contact', ('touched vertices', 'touching fingers', 'joint error', 'intersection'), 960, (1000, 1360)),
    ],
)
def test_the_whole_demo_of_held_objects(start, tmp_path, stage, names, height, widths):
    if not (models_dir() / stage / 'card.yaml').is_file():
        pytest.skip('there is no trained model')
    process = start('--stage', stage, '--seconds', '4')
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    for name in ('hands found', *names):
        assert re.search(r'\d', cell(output, name)), output
    assert re.fullmatch(r'[\d.]+ mm off|no box is certain enough', cell(output, 'object centre'))
    assert cv2.imread(str(tmp_path / 'out' / f'{stage}.png')).shape in [(height, width, 3) for width in widths]


@pytest.mark.slow
def test_the_demo_on_the_sample_depth_frames(start, tmp_path):
    models = tmp_path / 'models'
    shutil.copytree(models_dir() / 'hand_model', models / 'hand_model')
    process = start('--seconds', '2', '--data', str(ROOT / 'samples' / 'depth'), models=models)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert f'the node says: {models} holds no hand_finder: the model of hoi_ros is used' in output
    for name in ('sides', 'mesh to depth', 'silhouette IoU'):
        assert re.search(r'\d', cell(output, name)), output
    assert cv2.imread(str(tmp_path / 'out' / 'depth_pose.png')).shape == (480, 640, 3)


@pytest.mark.slow
def test_the_demo_on_photos_sends_each_once(start, tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    photos = ROOT / 'samples' / 'photos'
    for name in ('open_hand_office', 'palm_portrait'):
        shutil.copy(photos / f'{name}.jpg', folder)
    (folder / 'damaged.jpg').write_bytes((photos / 'milk_carton.jpg').read_bytes()[:20000])
    cv2.imwrite(str(folder / 'wall.jpg'), np.full((480, 640, 3), 140, np.uint8))
    process = start('--stage', 'reconstruction', '--seconds', '1', '--data', str(folder))
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert 'every picture on its own' in output and 'sending 4 pictures, each once' in output
    assert cell(output, 'pictures') == '4: 2 with hands, 1 without (wall.jpg), 1 unreadable (damaged.jpg)', output
    assert 'copy or save the file again (damaged.jpg)' in output
    assert cv2.imread(str(tmp_path / 'out' / 'reconstruction.png')).shape == (1020, 960, 3)


@pytest.mark.slow
def test_a_node_that_cannot_start_says_why(start, tmp_path):
    models = tmp_path / 'models'
    (models / 'depth_pose').mkdir(parents=True)
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
    assert cell(output, 'pictures') == '1: 0 with hands, 1 without an answer (1.png)'
    assert '1 x the node refuses the picture: ' in output


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
