# SPDX-License-Identifier: Apache-2.0
"""Recordings made by hand, without ROS."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.playback.recording import Answer
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording

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
