# SPDX-License-Identifier: Apache-2.0
"""Closing of fingers around bodies whose distance is known."""

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.simulation.finger_closing import close_fingers
from hoi_ros.simulation.finger_closing import ClosedFingers
from hoi_ros.simulation.finger_closing import Fingers
from hoi_ros.simulation.finger_closing import fingers_of

INDEX = FINGER_JOINTS[1]


@pytest.fixture(scope='module')
def model() -> HandModel:
    return HandModel.load()


class Fist:
    """A hand that closes from an open hand to a fist around a ball."""

    def __init__(self, model: HandModel, centre: np.ndarray, radius: float) -> None:
        self._opened, self._closed = (gesture_angles(model, name) for name in ('open', 'fist'))
        self._centre, self._radius = centre, radius

    def close(self, fingers: Fingers, progress: np.ndarray) -> ClosedFingers:
        return close_fingers(
            fingers,
            lambda ways: self.vertices(fingers.model, ways),
            lambda points: self.distance(points) < 0,
            progress,
        )

    def vertices(self, model: HandModel, progress: np.ndarray) -> np.ndarray:
        pose = model.pose_of(self._opened + progress[..., None] * (self._closed - self._opened)).astype(np.float32)
        still = np.zeros((*progress.shape[:-1], 10), np.float32), np.zeros((*progress.shape[:-1], 3), np.float32)
        return model.forward(pose, *still).vertices

    def distance(self, points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - self._centre, axis=-1) - self._radius


@pytest.fixture(scope='module')
def around_a_ball(model: HandModel) -> Fist:
    """A ball of 3 cm radius in front of the index finger's middle phalanx."""
    return Fist(model, model.joints[INDEX[1]] + np.array([0, 0.01, 0.045], np.float32), 0.03)


def test_fingers_that_touch_nothing_close_completely(model: HandModel) -> None:
    nowhere = Fist(model, np.array([0, 0, 9.0]), 0.01)
    closed = nowhere.close(fingers_of(model), np.zeros(16))
    np.testing.assert_array_equal(closed.progress[FINGER_JOINTS.ravel()], 1)
    assert not closed.touching.any() and closed.progress[0] == 0


def test_links_stop_where_they_touch(model: HandModel, around_a_ball: Fist) -> None:
    fingers = fingers_of(model, [1])
    closed = around_a_ball.close(fingers, np.zeros(16))
    distance = around_a_ball.distance(around_a_ball.vertices(model, closed.progress))
    owners = model.weights.argmax(1)
    assert closed.touching[INDEX].any() and (closed.progress[INDEX] < 1).any()
    for link in INDEX[closed.touching[INDEX]]:
        assert 0 <= distance[owners == link].min() < 0.002
    assert distance[np.isin(owners, INDEX)].min() >= 0


def test_joints_beyond_a_link_that_touches_go_on(model: HandModel, around_a_ball: Fist) -> None:
    closed = around_a_ball.close(fingers_of(model, [1]), np.zeros(16))
    first, _, last = closed.progress[INDEX]
    assert closed.touching[INDEX[0]] or closed.touching[INDEX[1]]
    assert last > first


def test_other_fingers_stay_where_they_are(model: HandModel, around_a_ball: Fist) -> None:
    begin = np.linspace(0.1, 0.4, 16)
    closed = around_a_ball.close(fingers_of(model, [1]), begin)
    others = ~np.isin(np.arange(16), INDEX)
    np.testing.assert_array_equal(closed.progress[others], begin[others])
    assert (closed.progress[INDEX] >= begin[INDEX]).all()


def test_the_fingers_of_a_hand_are_its_vertices_without_the_palm(model: HandModel) -> None:
    fingers, owners = fingers_of(model), model.weights.argmax(1)
    assert len(fingers.model.template) == (owners > 0).sum() == len(fingers.links)
    np.testing.assert_array_equal(fingers.links.argmax(1), owners[owners > 0])
    thumb = fingers_of(model, [0])
    np.testing.assert_array_equal(np.flatnonzero(thumb.joints), FINGER_JOINTS[0])
