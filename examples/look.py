#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints once a second the topics with their types and rates, the hands, and /diagnostics, without the ros2 command.

The rate is measured where another node subscribes, and of the topics named as arguments: a subscription of this program
alone would start work in some publishers, such as the compression or the drawing of images.
"""

import collections
import functools
import importlib
import sys
import textwrap
import time

import rclpy
from rclpy.qos import DurabilityPolicy
from rclpy.qos import qos_profile_sensor_data

WINDOW = 5.0  # seconds over which rates are measured
LEVELS = 'OK', 'WARN', 'ERROR', 'STALE'
arrivals = {}  # the times of the messages of each topic; None where its type is not installed
lines = {}  # what the newest message says, and when it arrived


def show_hands(name, message):
    hands = [
        f'{("left", "right")[hand.side]} hand {hand.id}, score {hand.score:.2f}, wrist at '
        f'{hand.wrist.position.x:.3f} {hand.wrist.position.y:.3f} {hand.wrist.position.z:.3f} m'
        for hand in message.hands
    ]
    lines[name] = f'{name}: {"; ".join(hands) or "no hands"}', time.monotonic()


def show_status(name, message):
    for status in message.status:
        values = ', '.join(f'{pair.key} {pair.value}' for pair in status.values if pair.value)
        text = textwrap.fill(values, 118, initial_indent='    ', subsequent_indent='    ')
        line = f'{name}: {status.name}: {LEVELS[status.level[0]]}: {status.message}\n{text}'
        lines[f'{name} {status.name}'] = line, time.monotonic()


SHOWN = {'hoi_ros/msg/HandArray': show_hands, 'diagnostic_msgs/msg/DiagnosticArray': show_status}


def receive(name, show, message):
    arrivals[name].append(time.monotonic())
    if show:
        show(name, message)


def follow(name, kind):
    package, _, message = kind.split('/')
    arrivals[name], show = collections.deque(maxlen=1000), SHOWN.get(kind)
    try:
        message_type = getattr(importlib.import_module(f'{package}.msg'), message)
    except (ImportError, AttributeError):
        arrivals[name] = None
        return
    callback = functools.partial(receive, name, show)
    node.create_subscription(message_type, name, callback, qos_profile_sensor_data, raw=show is None)


def rate_of(name):
    if arrivals.get(name, ()) is None:
        return 'its type is not installed here'
    publishers = node.get_publishers_info_by_topic(name)
    recent = [at for at in arrivals.get(name, ()) if time.monotonic() - at < WINDOW]
    if not publishers:
        return 'nobody publishes'
    if len(recent) > 1:
        return f'{(len(recent) - 1) / (recent[-1] - recent[0]):.1f} Hz'
    if any(info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in publishers):
        return 'latched'
    return 'nothing arrives' if name in arrivals else 'nobody subscribes'


def print_state():
    print(f'--- {time.strftime("%H:%M:%S")}')
    for name, (kind, *_) in sorted(node.get_topic_names_and_types()):
        if name in ('/rosout', '/parameter_events'):
            continue
        if name not in arrivals and (kind in SHOWN or name in sys.argv or node.count_subscribers(name)):
            follow(name, kind)
        print(f'{name:45} {kind:35} {rate_of(name)}')
    now = time.monotonic()
    print('\n'.join(line for line, at in lines.values() if now - at < WINDOW), flush=True)


rclpy.init()
node = rclpy.create_node('look')
node.create_timer(1.0, print_state)
try:
    rclpy.spin(node)
except KeyboardInterrupt:
    pass
except Exception:  # also: SIGTERM has shut ROS down
    if rclpy.ok():
        raise
