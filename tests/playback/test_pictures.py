# SPDX-License-Identifier: Apache-2.0
"""Recordings as a picture, as a video and as a sheet of photos."""

import dataclasses

import cv2
import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.drawing.text import caption
from hoi_ros.playback.pictures import draw_picture
from hoi_ros.playback.pictures import draw_sheet
from hoi_ros.playback.pictures import draw_video
from hoi_ros.playback.recording import Picture


def frames_of(path):
    video = cv2.VideoCapture(str(path))
    frames = []
    while True:
        more, frame = video.read()
        if not more:
            return frames
        frames.append(frame)


def test_picture_and_video_show_the_hands(recording, tmp_path):
    draw_picture(recording, tmp_path / 'stage.png')
    drawn = cv2.imread(str(tmp_path / 'stage.png'))
    assert drawn.shape == (120, 160, 3) and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 50
    draw_video(recording, tmp_path / 'stage.mp4', 10)
    assert len(frames_of(tmp_path / 'stage.mp4')) == len(recording.pictures)
    assert cv2.VideoCapture(str(tmp_path / 'stage.mp4')).get(cv2.CAP_PROP_FPS) == pytest.approx(10)


def test_hands_are_drawn_over_colours(colours, tmp_path):
    draw_picture(colours, tmp_path / 'stage.png')
    drawn = cv2.imread(str(tmp_path / 'stage.png'))
    assert (drawn[0, 0] == 90).all() and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 50


def test_frames_without_an_answer_and_answers_without_a_hand_are_marked(colours, tmp_path):
    empty, dropped = (kept.stamp for kept in colours.pictures[1:3])
    answers = [
        dataclasses.replace(answer, hands=()) if answer.stamp == empty else answer
        for answer in colours.answers
        if answer.stamp != dropped
    ]
    draw_video(dataclasses.replace(colours, answers=answers), tmp_path / 'stage.mp4', 10)
    shown, without_hand, without_answer, _ = (frame.astype(int) for frame in frames_of(tmp_path / 'stage.mp4'))
    assert np.abs(shown[:2, :2] - 90).max() < 5 and np.abs(without_hand[:2, :2] - 90).max() < 5
    # Red in OpenCV's order.
    assert without_answer[:2, :2, 2].min() > without_answer[:2, :2, 1].max() + 60
    for frame in (without_hand, without_answer):
        assert np.abs(frame[100:118, 4:80] - 90).max() > 100 and np.abs(frame[20:90, 20:140] - 90).max() < 8


def test_photos_of_several_sizes_share_a_video_and_a_sheet(colours, tmp_path):
    wide, tall = np.full((100, 400, 3), 90, np.uint8), np.full((300, 100, 3), 90, np.uint8)
    cameras = [Pinhole(image.shape[1], image.shape[0], 200.0, 200.0, 50.0, 50.0) for image in (wide, tall)]
    pictures = [
        Picture(kept.stamp, image, camera)
        for kept, image, camera in zip(colours.pictures, (wide, tall, wide), (*cameras, cameras[0]))
    ]
    recording = dataclasses.replace(colours, pictures=pictures)
    draw_video(recording, tmp_path / 'stage.mp4', 1)
    assert [frame.shape for frame in frames_of(tmp_path / 'stage.mp4')] == [(300, 400, 3)] * 3
    draw_sheet(recording, tmp_path / 'stage.png', ['a.jpg', 'b.jpg', 'c.jpg'])
    sheet = cv2.imread(str(tmp_path / 'stage.png'))
    assert sheet.shape == (1020, 960, 3) and sheet[480:510, :100].max() > 200  # the name below the picture
    many = dataclasses.replace(colours, pictures=pictures[:1] * 25)
    draw_sheet(many, tmp_path / 'stage.png', ['a.jpg'] * 25)
    assert cv2.imread(str(tmp_path / 'stage.png')).shape == (2550, 2400, 3)


def test_a_name_that_is_no_text_can_be_drawn():
    picture = np.zeros((40, 200, 3), np.uint8)
    assert caption(picture, 'photo_\udce4\u00fc.png').any()
