# SPDX-License-Identifier: Apache-2.0
"""Why nothing arrives on a topic: nobody publishes, another type, another QoS; with the remapping that would help."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_check_compatible
from rclpy.qos import QoSCompatibility
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy

_HINTS = {'depth': ('depth', 'aligned', 'registered'), 'image': ('color', 'colour', 'rgb', 'image_raw', 'image_rect')}
"""Words in the topics that are likely meant for an input of this name."""
_UNFIT = {'image': ('depth', 'infra', '/ir/', 'disparity', 'mask', 'overlay'), 'depth': ('disparity', 'infra', '/ir/')}
"""Words in the topics that are not meant for it."""
_LISTED = 4
"""Topics that a sentence lists."""
_TRANSPORTS = {'depth': 'compressedDepth'}
"""The transport of compressed images of an input other than `compressed`."""
_IMAGE, _COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


def type_name(message_type: Any) -> str:
    """The ROS name of a message type, such as sensor_msgs/msg/Image."""
    return f'{message_type.__module__.split(".")[0]}/msg/{message_type.__name__}'


def other_types(node: Node, topic: str, message_type: Any) -> str:
    """The types of a topic if none of its publishers has the expected one; else an empty text."""
    found = {each.topic_type for each in node.get_publishers_info_by_topic(topic)}
    return '' if type_name(message_type) in found else ' and '.join(sorted(found))


def reason_of_silence(
    node: Node,
    name: str,
    message_type: Any,
    topic: str,
    qos: QoSProfile,
    others: Sequence[str] = (),
    given: str = '',
) -> str:
    """Why nothing arrives, and the mend, as the end of a sentence.

    Args:
        node: the subscriber.
        name: of the input.
        message_type: expected type.
        topic: resolved topic.
        qos: of the subscription.
        others: topics of the node's other inputs.
        given: the topic's name before remapping; that of the input by default, and of images, which
            are resolved before.
    """
    expected = type_name(message_type)
    given = name if expected in (_IMAGE, _COMPRESSED) else given or name
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return f'nobody publishes there; {_mend(node, name, given, expected, topic, others)}'
    if found := other_types(node, topic, message_type):
        transport = _TRANSPORTS.get(name, 'compressed')
        readable = found == _COMPRESSED and node.has_parameter(f'{name}_transport')
        if readable and topic.endswith(f'/{transport}'):
            base = topic.removesuffix(f'/{transport}')
            mend = f'use --ros-args -r {name}:={base} -p {name}_transport:={transport}'
        elif readable and expected == _IMAGE:
            mend = f'publish it on {topic}/{transport} and use --ros-args -p {name}_transport:={transport}'
        else:
            mend = _mend(node, name, given, expected, topic, others)
        return f'its type is {found}, expected {expected}; {mend}'
    fitting = [each for each in publishers if each.topic_type == expected]
    for each in fitting:
        compatible, reason = qos_check_compatible(each.qos_profile, qos)
        if compatible == QoSCompatibility.ERROR:
            reason = reason.strip().removeprefix('ERROR: ').rstrip(';').lower()
            return f'the QoS of its publisher does not fit ({reason}): set input_qos.* to what it offers'
    silent = f'nothing arrives from {len(fitting)} publisher(s) there: check the publisher and its QoS'
    if expected != _IMAGE:
        return silent
    return f'{silent}; large images can get lost on their way: {mend_of_losses(node, topic, qos)}'


def mend_of_losses(node: Node, topic: str, qos: QoSProfile) -> str:
    """What helps where a subscription with this QoS loses large images of a topic."""
    offered = any(
        each.qos_profile.reliability == ReliabilityPolicy.RELIABLE for each in node.get_publishers_info_by_topic(topic)
    )
    asks = offered and qos.reliability == ReliabilityPolicy.BEST_EFFORT
    return ('set input_qos.reliability to reliable, or ' if asks else '') + 'give DDS room for them (docs/cameras.md)'


def _mend(node: Node, name: str, given: str, expected: str, topic: str, others: Sequence[str]) -> str:
    """The published topics that may be meant, and how to remap the input to the likeliest."""
    found = _published(node, name, expected, topic, others)
    if not found:
        return _transported(node, name, expected, topic, others) or (
            f'no other topic of type {expected} is published: start the publisher or remap the topic'
        )
    more = f' and {len(found) - _LISTED} more' if len(found) > _LISTED else ''
    listed = f'topics of type {expected} are {", ".join(found[:_LISTED])}{more}'
    if not _fits(name, found[0]):
        return f'{listed}, none of them named like {name}: start the publisher or remap the topic'
    return f'{listed}: start the publisher, or use --ros-args -r {_remapping(given, topic, found[0])}'


def _transported(node: Node, name: str, expected: str, topic: str, others: Sequence[str]) -> str:
    """The advice to read another transport, where only that is published."""
    if expected != _IMAGE or not node.has_parameter(f'{name}_transport'):
        return ''
    transport = _TRANSPORTS.get(name, 'compressed')
    found = [
        other
        for other in _published(node, name, _COMPRESSED, topic, others)
        if other.endswith(f'/{transport}') and _fits(name, other)
    ]
    if not found:
        return ''
    base = found[0].removesuffix(f'/{transport}')
    remapping = '' if base == topic else f' -r {name}:={base}'
    return f'{found[0]} is published: use --ros-args{remapping} -p {name}_transport:={transport}'


def _published(node: Node, name: str, expected: str, topic: str, others: Sequence[str]) -> list[str]:
    """Published topics of a type that the node neither reads nor publishes, the likeliest first."""
    own = node.get_fully_qualified_name() + '/'
    there = [
        other
        for other, types in node.get_topic_names_and_types()
        if expected in types and other not in (topic, *others) and not other.startswith(own)
    ]
    there = [other for other in there if node.count_publishers(other)]
    return sorted(there, key=lambda other: (not _fits(name, other), -_likeness(name, other, others), other))


def _fits(name: str, topic: str) -> bool:
    """Whether the words of a topic allow it to be meant for an image input; any topic fits other inputs."""
    words = topic.lower()
    if _count(words, _UNFIT.get(name, ())):
        return False
    return name != 'depth' or bool(_count(words, _HINTS[name]))


def _likeness(name: str, topic: str, others: Sequence[str]) -> int:
    """Fitting words, and leading parts shared with the topics of the same camera."""
    shared = [
        sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(topic.split('/'), other.split('/'))))
        for other in others
    ]
    return 2 * _count(topic.lower(), _HINTS.get(name, ())) + max(shared, default=0)


def _count(text: str, words: Sequence[str]) -> int:
    return sum(word in text for word in words)


def _remapping(given: str, topic: str, target: str) -> str:
    """The rule that maps an input to a topic. Image inputs add their transport to the name that is remapped."""
    for transport in ('/compressedDepth', '/compressed'):
        if topic.endswith(transport):
            return f'{given.removesuffix(transport)}:={target.removesuffix(transport)}'
    return f'{given}:={target}'
