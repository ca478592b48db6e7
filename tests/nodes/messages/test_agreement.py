# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
from std_msgs.msg import Header

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.hand import HandModel
from hoi_ros.nodes.messages.agreement import faces_of_objects
from hoi_ros.nodes.messages.agreement import refuse_unfit
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.objects import held_objects

from .grasping import FACES
from .grasping import grasping_hand

RIGHT = HandModel.load()
MODELS = {'right': RIGHT, 'left': RIGHT.mirrored()}
OTHER = '/other'


class Messages:
    """Hands, objects and topology that fit together, of two hands and an empty one."""

    def __init__(self):
        generator = np.random.default_rng(0)
        vertices = np.asarray(RIGHT.template, np.float32)
        hands = [grasping_hand(generator, side, track, vertices) for side, track in (('left', 5), ('right', 6))]
        hands.append(dataclasses.replace(hands[1], track_id=7, held=None))
        self.hands = hand_array(Header(frame_id='camera'), hands, True)
        self.objects = held_objects(Header(frame_id='camera'), hands, True)
        self.topology = mesh_topology(Header(), MODELS['right'], MODELS['left'], FACES)

    def refuse(self):
        refuse_unfit(self.hands, self.objects, self.topology, OTHER)


def without_mesh(messages):
    messages.hands.hands[0].vertices = []


def without_object_mesh(messages):
    messages.objects.objects[1].vertices = []


def of_another_model(messages):
    messages.hands.hands[1].vertices = messages.hands.hands[1].vertices[:-3]


def of_another_object_model(messages):
    messages.objects.objects[0].vertices = messages.objects.objects[0].vertices[:-3]


def without_object_topology(messages):
    messages.topology.object_vertex_count, messages.topology.object_faces = 0, []


def of_another_frame(messages):
    messages.objects.header.frame_id = 'head'


def same_id(messages):
    messages.hands.hands[2].id = 5


def of_no_hand(messages):
    messages.objects.objects[0].hand_id = 9


def two_of_one_hand(messages):
    messages.objects.objects[0].hand_id = 6


def not_a_number(messages):
    messages.hands.hands[2].joints[3] = np.nan


def infinite_hand(messages):
    messages.hands.hands[0].vertices[7] = np.inf


def infinite_object(messages):
    messages.objects.objects[0].vertices[7] = np.inf


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (without_mesh, r'hand 5 comes without its mesh: .*ros2 param set /other publish_mesh true'),
        (without_object_mesh, 'the object of hand 6 comes without its mesh'),
        (of_another_model, r'hand 6 has \d+ vertices, and the topology of /other has \d+: one of them is old'),
        (of_another_object_model, 'the object of hand 5 has 3 vertices, and the topology of /other has 4'),
        (without_object_topology, 'the topology of /other says that there are no objects'),
        (of_another_frame, "the hands are in the frame 'camera', the objects in 'head'"),
        (same_id, r'share an id: \[5, 5, 6\]'),
        (of_no_hand, r'name the hands \[9\], and there are \[5, 6, 7\]'),
        (two_of_one_hand, r'the hands \[6\] hold more than one object'),
        (not_a_number, 'the joints of hand 7 are not all finite'),
        (infinite_hand, 'the vertices of hand 5 are not all finite'),
        (infinite_object, 'the vertices of the object of hand 5 are not all finite'),
    ],
)
def test_messages_that_do_not_fit_are_refused_with_the_reason(spoil, reason):
    messages = Messages()
    messages.refuse()
    spoil(messages)
    with pytest.raises(FrameRefused, match=reason):
        messages.refuse()


def test_a_hand_that_holds_nothing_needs_no_mesh():
    messages = Messages()
    messages.hands.hands[2].vertices = []
    messages.refuse()


def test_the_topology_gives_the_faces_of_the_objects():
    topology = Messages().topology
    np.testing.assert_array_equal(faces_of_objects(topology, MODELS, OTHER), FACES)
    assert faces_of_objects(mesh_topology(Header(), RIGHT, MODELS['left']), MODELS, OTHER).shape == (0, 3)
    none = mesh_topology(Header(), RIGHT, MODELS['left'], np.zeros((0, 3), np.uint32))
    assert none.object_vertex_count == 0 and faces_of_objects(none, MODELS, OTHER).shape == (0, 3)


def test_a_topology_of_another_hand_model_or_of_damaged_objects_is_refused():
    with pytest.raises(FrameRefused, match=r'the right hand of /other .* the same folder of `models`'):
        faces_of_objects(mesh_topology(Header(), MODELS['left'], RIGHT, FACES), MODELS, OTHER)
    damaged = Messages().topology
    damaged.object_faces[4] = 4
    with pytest.raises(FrameRefused, match='12 numbers of object triangles up to 4, expected .* below its 4 vertices'):
        faces_of_objects(damaged, MODELS, OTHER)
