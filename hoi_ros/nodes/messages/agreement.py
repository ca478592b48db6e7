# SPDX-License-Identifier: Apache-2.0
"""Whether hands, objects and topology of another node fit together, before anything is computed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.hand import HandModel
from hoi_ros.hand.model import MOST_TURNED
from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObject
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology


def faces_of_objects(topology: MeshTopology, models: Mapping[str, HandModel], node: str) -> np.ndarray:
    """(F, 3) of the objects' mesh; (0, 3) where the other node publishes no objects.

    Args:
        topology: of the other node.
        models: the hand models of this node by side.
        node: name of the other node.

    Raises:
        FrameRefused: the hands have another mesh than the models, or faces name vertices that do not exist.
    """
    for side, faces in (('right', topology.right_faces), ('left', topology.left_faces)):
        expected = np.asarray(models[side].faces, np.uint32).reshape(-1)
        if not np.array_equal(np.frombuffer(faces, np.uint32), expected):
            raise FrameRefused(
                f'the {side} hand of {node} has {topology.vertex_count} vertices and {len(faces) // 3} triangles, that '
                f'of this node {len(models[side].template)} and {len(expected) // 3}, in its own order: give both '
                'nodes the same folder of `models`'
            )
    faces, count = np.frombuffer(topology.object_faces, np.uint32), topology.object_vertex_count
    if len(faces) % 3 or (len(faces) and faces.max() >= count):
        raise FrameRefused(
            f'the topology of {node} has {len(faces)} numbers of object triangles up to {faces.max()}, expected three '
            f'a triangle below its {count} vertices: restart that node'
        )
    return faces.reshape(-1, 3).copy()


def refuse_unfit(hands: HandArray, objects: HeldObjectArray, topology: MeshTopology, node: str) -> None:
    """Raises a FrameRefused unless hands, objects and topology of one image fit together.

    Args:
        hands: of the image.
        objects: of the image.
        topology: the newest one.
        node: name of the node that publishes them.
    """
    if hands.header.frame_id != objects.header.frame_id:
        raise FrameRefused(
            f'the hands are in the frame {hands.header.frame_id!r}, the objects in {objects.header.frame_id!r}: both '
            'must come from one node'
        )
    refuse_unfit_hands(hands, topology, node)
    by_id = {hand.id: hand for hand in hands.hands}
    owners = Counter(held.hand_id for held in objects.objects)
    if strangers := sorted(owners.keys() - by_id.keys()):
        raise FrameRefused(f'objects of {node} name the hands {strangers}, and there are {sorted(by_id)}')
    if several := [owner for owner, count in owners.items() if count > 1]:
        raise FrameRefused(f'{node} says that the hands {several} hold more than one object each, expected at most one')
    for held in objects.objects:
        _refuse_meshes(by_id[held.hand_id], held, topology, node)


def refuse_unfit_hands(hands: HandArray, topology: MeshTopology, node: str) -> None:
    """Raises a FrameRefused unless the hands of one image have ids of their own, finite numbers, and the mesh of the
    topology or none.

    Args:
        hands: of the image.
        topology: the newest one.
        node: name of the node that publishes them.
    """
    if len({hand.id for hand in hands.hands}) < len(hands.hands):
        raise FrameRefused(f'hands of {node} share an id: {sorted(hand.id for hand in hands.hands)}')
    for hand in hands.hands:
        for name in ('joints', 'pose', 'shape', 'translation', 'vertices'):
            if not np.isfinite(np.asarray(getattr(hand, name), np.float32)).all():
                raise FrameRefused(f'the {name} of hand {hand.id} are not all finite')
        if (turned := float(np.abs(np.asarray(hand.pose, np.float32)).max(initial=0))) > MOST_TURNED:
            raise FrameRefused(
                f'the pose of hand {hand.id} has a rotation of {turned:.3g} rad, expected at most {MOST_TURNED:g}'
            )
        if hand.vertices:
            _refuse_mesh(f'hand {hand.id}', hand.vertices, topology.vertex_count, node)


def _refuse_meshes(hand: Hand, held: HeldObject, topology: MeshTopology, node: str) -> None:
    for what, given, count in (
        (f'hand {hand.id}', hand.vertices, topology.vertex_count),
        (f'the object of hand {hand.id}', held.vertices, topology.object_vertex_count),
    ):
        if not given:
            raise FrameRefused(
                f'{what} comes without its mesh: let {node} publish it (`ros2 param set {node} publish_mesh true`)'
            )
        _refuse_mesh(what, given, count, node)
    if not np.isfinite(np.frombuffer(held.vertices, np.float32)).all():
        raise FrameRefused(f'the vertices of the object of hand {hand.id} are not all finite')


def _refuse_mesh(what: str, given: Sequence[float], count: int, node: str) -> None:
    if len(given) != 3 * count:
        reason = f'has {count}' if count else 'says that there are no objects'
        raise FrameRefused(
            f'{what} has {len(given) / 3:g} vertices, and the topology of {node} {reason}: one of them is old; '
            'restart that node if this lasts'
        )
