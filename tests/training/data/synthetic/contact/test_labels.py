# SPDX-License-Identifier: Apache-2.0
"""Contact grows as surfaces near, counts as touching within 4 mm, and is distributed like thermal maps of grasps."""

import functools

import numpy as np
import pytest
import trimesh

from hoi_ros.mesh.contact import TOUCHING
from training.data.synthetic.contact import ContactGrasps
from training.data.synthetic.contact import soft_contact
from training.data.synthetic.contact.labels import touch
from training.data.synthetic.contact.labels import TOUCHED
from training.data.synthetic.contact.labels import warmed
from training.data.synthetic.grasps.held_object import Gap

THERMAL = [0.43, 0.30, 0.07, 0.035, 0.026, 0.023, 0.023, 0.027, 0.04, 0.024]
"""Mean share of the object points of ContactPose in each tenth of contact."""
UP = np.array([[0.0, 0.0, 1.0]])


def opposed(distance: np.ndarray, opposition: float = 1.0) -> np.ndarray:
    """Touch at gaps (N,) of surfaces whose normals have a given opposition."""
    facing = np.array([[np.sqrt(1 - opposition**2), 0, -opposition]])
    return touch(Gap(distance, np.repeat(facing, len(distance), 0)), UP)


def test_opposed_surfaces_touch_exactly_within_the_limit_of_the_package() -> None:
    gaps = np.linspace(-0.01, 0.05, 6001)
    values = opposed(gaps)
    np.testing.assert_array_equal(values >= TOUCHED - 1e-12, gaps <= TOUCHING + 1e-12)
    assert values[0] == 1
    assert 0 <= values[-1] < 1e-3


def test_touch_is_monotone_and_continuous() -> None:
    gaps = np.linspace(-0.003, 0.02, 2301)
    values = opposed(gaps)
    assert (np.diff(values) <= 0).all()
    assert np.abs(np.diff(values)).max() < 0.02
    turned = np.array([opposed(np.array([0.003]), each)[0] for each in np.linspace(-1, 1, 201)])
    assert (np.diff(turned) >= 0).all()
    assert np.diff(turned).max() < 0.03
    assert turned[0] < TOUCHED < turned[-1]


def test_heat_widens_a_footprint_by_millimetres_and_stays_on_its_side_of_a_wall() -> None:
    across = np.linspace(0, 0.1, 1001)
    outside = np.stack([across, 0 * across, 0 * across], 1)
    points, normals = np.concatenate([outside, outside - [0, 0, 0.003]]), np.repeat([UP[0], -UP[0]], len(across), 0)
    contact = warmed(points, normals, np.where(np.arange(len(points)) < 50, 1.0, 0.0))
    front, back = contact[:1001], contact[1001:]
    assert 0.004 < across[front >= TOUCHED].max() - across[49] < 0.009
    assert back.max() < TOUCHED
    assert (np.diff(front) <= 1e-6).all()


def test_nothing_is_warm_without_a_touch() -> None:
    sphere = trimesh.creation.icosphere(3, 0.03)
    mesh = np.asarray(sphere.vertices), np.asarray(sphere.faces)
    apart = mesh[0] + [0, 0, 0.2], mesh[1]
    contact = soft_contact(apart, mesh, sphere.triangles_center, sphere.face_normals)
    assert contact.hand.max() < 1e-6
    assert contact.object.max() < 1e-6


def test_two_balls_touch_where_they_meet() -> None:
    sphere = trimesh.creation.icosphere(4, 0.03)
    mesh = np.asarray(sphere.vertices), np.asarray(sphere.faces)
    beside = mesh[0] + [0, 0, 0.061], mesh[1]
    hand, thing = soft_contact(beside, mesh, sphere.triangles_center, sphere.face_normals)
    assert hand.max() == pytest.approx(thing.max(), abs=0.05)
    assert sphere.triangles_center[thing >= TOUCHED][:, 2].min() > 0.02
    assert thing[sphere.triangles_center[:, 2].argmax()] == pytest.approx(thing.max(), abs=0.02)
    assert thing.max() > 0.6


@functools.cache
def _shares() -> tuple[np.ndarray, np.ndarray]:
    """Of 60 grasps: mean share of points in each tenth of contact, and share of touching points (60,)."""
    stream = ContactGrasps(seed=0, split='train')
    contact = np.array([stream[index]['object_contact'] for index in range(60)], float)
    counts = np.histogram(contact, 10, (0, 1.0001))[0]
    return counts / counts.sum(), (contact >= TOUCHED).mean(1)


@pytest.mark.slow
def test_contact_is_distributed_like_thermal_maps() -> None:
    tenths, touching = _shares()
    assert np.abs(tenths - THERMAL).sum() < 0.3
    np.testing.assert_allclose(tenths[:2], THERMAL[:2], atol=0.1)
    np.testing.assert_allclose(tenths[2:], THERMAL[2:], atol=0.025)
    low, middle, high = np.percentile(touching, [10, 50, 90])
    assert 0.02 < low < 0.08
    assert 0.08 < middle < 0.18
    assert 0.22 < high < 0.45
