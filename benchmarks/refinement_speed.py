# SPDX-License-Identifier: Apache-2.0
"""Speed of the contact refinement, with ContactOpt's iterations timed in turns beside it.

Both move disturbed hands of synthetic grasps of unseen objects to the true contact; the object is held.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable

import numpy as np
import torch
import trimesh

from benchmarks.peers.contactopt import ContactOpt
from benchmarks.peers.contactopt import ITERATIONS
from benchmarks.timing import Spread
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.surface import Surface
from hoi_ros.stages.parts.contact_energy import ObjectSurfacePoints
from hoi_ros.stages.parts.contact_refinement import ContactRefiner
from training.data.synthetic.grasps.generator import Grasp
from training.data.synthetic.grasps.generator import GraspGenerator

BUDGET = 0.06
"""Seconds of the refinement."""
_POINTS, _GRASPS = 2048, 6
_PLACE_NOISE, _TURN_NOISE, _ANGLE_NOISE = 0.003, 0.035, 0.085
"""Of the hands: 9 mm mean joint error."""


@dataclasses.dataclass(frozen=True)
class Refined:
    """Times of an optimisation, and mean joint errors of the hands before and after it, millimetres."""

    time: Spread
    error_before_mm: float
    error_after_mm: float


@dataclasses.dataclass(frozen=True)
class RefinementSpeed:
    """The refinement within its budget, and ContactOpt's iterations in the same run."""

    budget_ms: float
    refinement: Refined
    contactopt_iterations: int
    contactopt: Refined


@dataclasses.dataclass(frozen=True)
class _Problem:
    """A disturbed hand and the contact of the true one."""

    truth: np.ndarray
    start: np.ndarray
    hand: tuple[np.ndarray, np.ndarray, np.ndarray]
    points: np.ndarray
    normals: np.ndarray
    hand_contact: np.ndarray
    object_contact: np.ndarray


def measure(seconds: float, grasps: int = _GRASPS, iterations: int = ITERATIONS) -> RefinementSpeed:
    """Times both in turns for about `seconds`, every grasp at least once."""
    model = HandModel.load()
    generator = GraspGenerator(model, 0, 'held_out')
    problems = [_problem(model, generator, number) for number in range(grasps)]
    refiner, peer = ContactRefiner(model), ContactOpt(model)
    # As many threads as the robot's refinement has.
    threads = torch.get_num_threads()
    contestants: dict[str, Callable[[_Problem], np.ndarray]] = {
        'refinement': functools.partial(_refine, refiner),
        'contactopt': functools.partial(_optimise, peer, iterations),
    }
    contestants['refinement'](problems[0])
    times: dict[str, list[float]] = {name: [] for name in contestants}
    errors: dict[str, list[float]] = {name: [] for name in contestants}
    begun, turn = time.perf_counter(), 0
    try:
        torch.set_num_threads(1)
        while turn < grasps or time.perf_counter() - begun < seconds:
            problem = problems[turn % grasps]
            for name, contestant in contestants.items():
                before = time.perf_counter()
                keypoints = contestant(problem)
                times[name].append(time.perf_counter() - before)
                errors[name].append(_error(keypoints, problem))
            turn += 1
    finally:
        torch.set_num_threads(threads)
    before_mm = float(np.mean([_error(problem.start, problem) for problem in problems]))
    ours, theirs = (Refined(Spread.of(times[name]), before_mm, float(np.mean(errors[name]))) for name in contestants)
    return RefinementSpeed(1e3 * BUDGET, ours, iterations, theirs)


def _refine(refiner: ContactRefiner, problem: _Problem) -> np.ndarray:
    surface = ObjectSurfacePoints(problem.points, problem.normals)
    contact = problem.hand_contact, problem.object_contact
    return refiner(*problem.hand, surface, *contact, hold_object=True, budget=BUDGET).keypoints


def _optimise(peer: ContactOpt, iterations: int, problem: _Problem) -> np.ndarray:
    return peer(
        *problem.hand, problem.points, problem.normals, problem.hand_contact, problem.object_contact, iterations
    )


def _error(keypoints: np.ndarray, problem: _Problem) -> float:
    return 1e3 * float(np.linalg.norm(keypoints - problem.truth, axis=1).mean())


def _problem(model: HandModel, generator: GraspGenerator, number: int) -> _Problem:
    rng = generator.rng(number, 9)
    grasp: Grasp = generator[number]
    mesh = trimesh.Trimesh(grasp.object.vertices, grasp.object.faces, process=False)
    points, triangles = trimesh.sample.sample_surface(mesh, _POINTS, seed=number)
    angles = model.anatomical(grasp.pose)
    angles[1:] += rng.normal(0, _ANGLE_NOISE, (15, 3))
    angles[1:] = np.clip(angles[1:], model.limits[1:, :, 0], model.limits[1:, :, 1])
    angles[0] += rng.normal(0, _TURN_NOISE, 3)
    pose = model.pose_of(angles).astype(np.float32)
    translation = (grasp.translation + rng.normal(0, _PLACE_NOISE, 3)).astype(np.float32)
    closed = close_holes(model.faces)  # a converted MANO is open at its wrist
    solid, hand = Surface(grasp.object.vertices, grasp.object.faces), Surface(grasp.vertices, closed)
    return _Problem(
        grasp.keypoints,
        model.forward(pose, grasp.shape, translation, vertices=False).keypoints,
        (pose, grasp.shape, translation),
        np.asarray(points),
        mesh.face_normals[triangles],
        _contact(grasp.vertices, solid),
        _contact(np.asarray(points), hand),
    )


def _contact(points: np.ndarray, other: Surface) -> np.ndarray:
    """(N,) 1 within a millimetre of another solid or inside it, 1 mm / distance beyond."""
    return 0.001 / np.maximum(other.distances(points) * ~other.contains(points), 0.001)
