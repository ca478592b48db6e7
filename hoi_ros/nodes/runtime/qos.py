# SPDX-License-Identifier: Apache-2.0
"""Quality of service as parameters."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy
from rclpy.qos import HistoryPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy

from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.settings import Settings

_RELIABILITY = {'best_effort': ReliabilityPolicy.BEST_EFFORT, 'reliable': ReliabilityPolicy.RELIABLE}
_DURABILITY = {'volatile': DurabilityPolicy.VOLATILE, 'transient_local': DurabilityPolicy.TRANSIENT_LOCAL}


def qos_settings(prefix: str, topics: str, reliability: str, depth: int = 1) -> tuple[Setting, ...]:
    """The parameters `<prefix>.reliability`, `.depth` and `.durability` of some topics."""
    return (
        Setting(f'{prefix}.reliability', reliability, f'Reliability of {topics}.', choices=tuple(_RELIABILITY)),
        Setting(f'{prefix}.depth', depth, f'Messages kept in the queues of {topics}.', 1, 100),
        Setting(f'{prefix}.durability', 'volatile', f'Durability of {topics}.', choices=tuple(_DURABILITY)),
    )


def qos_profile(settings: Settings, prefix: str) -> QoSProfile:
    """The profile that those parameters say."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=settings[f'{prefix}.depth'],
        reliability=_RELIABILITY[settings[f'{prefix}.reliability']],
        durability=_DURABILITY[settings[f'{prefix}.durability']],
    )


LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Latched: reliable, transient local, depth 1."""


def is_latched(profile: QoSProfile) -> bool:
    """Whether a publisher sends its last messages to those who subscribe later."""
    return (profile.reliability, profile.durability) == (LATCHED.reliability, LATCHED.durability)
