# SPDX-License-Identifier: Apache-2.0
"""The trigger of nodes that work at a rate of their own, with a worker that is through with a turn at once."""

import types

import pytest
import rclpy

from hoi_ros.nodes.runtime.timer import TimerTrigger

pytestmark = pytest.mark.ros


@pytest.fixture
def trigger(ros):
    """A trigger of a node that answers requests before they return, and its turns."""
    node, turns = rclpy.create_node('sampler'), []
    part = TimerTrigger('rate', turns.append)
    settings = {'rate': 100.0}
    answering = types.SimpleNamespace(
        settings=settings,
        state='active',
        request=lambda run: run('stage') or True,
        create_timer=node.create_timer,
        destroy_timer=node.destroy_timer,
    )
    part.attach(answering)
    yield part, turns, settings
    part.stop()
    node.destroy_node()


def test_a_turn_that_ends_at_once_is_not_waited_for(trigger):
    part, turns, _ = trigger
    for _ in range(5):
        part._tick()
    assert turns == ['stage'] * 5


def test_a_turn_that_is_not_taken_is_not_waited_for(trigger):
    part, turns, _ = trigger
    answering = part.node.request
    part.node.request = lambda run: False
    part._tick()
    part.node.request = answering
    part._tick()
    assert turns == ['stage']


def test_the_smallest_rate_is_hardly_ever(trigger):
    part, turns, settings = trigger
    settings['rate'] = 5e-324
    part.start()
    assert not turns
