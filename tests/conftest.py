# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the whole tree."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope='module')
def ros() -> Iterator[None]:
    """rclpy in a ROS domain of this run's own, unseen by other machines and other runs."""
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 50)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    import rclpy

    rclpy.init()
    yield
    rclpy.try_shutdown()
