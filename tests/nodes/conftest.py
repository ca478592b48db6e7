# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture(autouse=True)
def _ros(ros: None) -> None:
    """Every test here runs with rclpy."""
