# SPDX-License-Identifier: Apache-2.0
"""Grasps without labels for the semi-supervised stage of `contact`: noisy hands, their objects, and a picture of both.

Generated ones are of the split `held_out`: families, and with a folder of scans objects, that no labelled grasp shows.
Of the true hand only the picture is kept, as a camera would have it.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.sampling import even_places
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.real.scans import scanned_objects
from training.data.real.scans import ScannedObjects
from training.data.synthetic.contact import ContactGrasps
from training.data.synthetic.contact import perturb
from training.data.synthetic.contact.records import OBJECT_POINTS
from training.errors import TrainingError
from training.recipes.contact_filters import Mesh
from training.recipes.contact_filters import View

ESTIMATE_DTYPE = np.dtype(
    [
        ('pose', np.float32, (48,)),
        ('shape', np.float32, (10,)),
        ('translation', np.float32, (3,)),
        ('object_points', np.float32, (OBJECT_POINTS, 3)),
        ('object_normals', np.float32, (OBJECT_POINTS, 3)),
    ]
)
"""A noisy right hand and the points of its object in one frame, metres."""
_MIRROR = np.array([-1, 1, 1])


class GraspFileError(TrainingError):
    """A file of grasps is not readable."""


class Scene(NamedTuple):
    """What else is known of a hand and its object.

    Attributes:
        mesh: of the object, closed.
        view: of the camera.
        picture: (H, W) what it sees of hand and object, in [0, 1].
    """

    mesh: Mesh
    view: View
    picture: np.ndarray


class Unlabelled(NamedTuple):
    """Estimates (U,) of ESTIMATE_DTYPE, and their scenes."""

    estimates: np.ndarray
    scenes: list[Scene]

    def and_also(self, other: Unlabelled) -> Unlabelled:
        """Both."""
        return Unlabelled(np.concatenate([self.estimates, other.estimates]), self.scenes + other.scenes)


def generated(
    count: int, seed: int, scans: Path | None, pool: Path, workers: int = 1, level: str = 'mixed'
) -> Unlabelled:
    """Grasps of the split `held_out`, perturbed.

    Args:
        count: of the grasps.
        seed: of the grasps, their noise and the cameras' directions; evaluations have another seed.
        scans: folder of scanned objects, if any: half of the objects are held-out ones of it.
        pool: file for the grasps.
        workers: processes that make them.
        level: of the noise, in `LEVELS`.
    """
    make = functools.partial(ContactGrasps, seed, 'held_out', scanned_objects(scans, 'held_out'))
    stream = make()
    key = ScannedObjects.key(scans) + generator_key(seed, 'held_out', modules=[ContactGrasps.__module__])
    path = pool.with_stem(f'{pool.stem}_unlabelled_{seed}')
    records = filled(make, stream.dtype, path, key, count, workers)
    model, rng = HandModel.load(), np.random.default_rng([seed, 43])
    pose, translation = perturb(model, records['pose'], records['translation'], level, rng)
    faces = close_holes(model.faces)
    scenes = []
    for record in records:
        hand = Mesh(model.forward(record['pose'], record['shape'], record['translation']).vertices, faces)
        scenes.append(scene_of(hand, Mesh(*stream.mesh(int(record['index']))), Rotation.random(random_state=rng)))
    estimates = np.empty(count, ESTIMATE_DTYPE)
    for name in ESTIMATE_DTYPE.names:
        estimates[name] = records[name]
    estimates['pose'], estimates['translation'] = pose, translation
    return Unlabelled(estimates, scenes)


def of_file(path: Path) -> Unlabelled:
    """Estimates of a file, such as those of `reconstruction`, in the camera's optical frame.

    A line is a JSON object with `object`, a mesh file in metres, relative to the file; `object_pose` (4, 4), the
    identity by default; `joints` (21, 3) in metres and `side`. A left hand and its object are mirrored. The picture is
    that of the estimate, which fits the image that it comes from.

    Raises:
        GraspFileError: a line lacks something, or its mesh is not closed.
    """
    model = HandModel.load()
    fitter, faces = HandFitter(model), close_holes(model.faces)
    lines = [line for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    estimates, scenes = np.empty(len(lines), ESTIMATE_DTYPE), []
    for number, line in enumerate(lines):
        try:
            grasp = json.loads(line)
            flip = np.ones(3) if grasp['side'] == 'right' else _MIRROR
            mesh = trimesh.load(path.parent / grasp['object'], force='mesh')
            pose = np.array(grasp.get('object_pose', np.eye(4)), float)
            vertices = (np.asarray(mesh.vertices) @ pose[:3, :3].T + pose[:3, 3]) * flip
            thing = Mesh(vertices, np.asarray(mesh.faces) if flip[0] > 0 else np.asarray(mesh.faces)[:, ::-1])
            fit = fitter.fit(np.array(grasp['joints'], float) * flip)
            places = even_places(*thing, OBJECT_POINTS)
            if not is_closed(*thing):
                raise ValueError(f'{grasp["object"]} has holes: close its mesh')
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise GraspFileError(f'{path}, line {number + 1}: {type(error).__name__} {error}') from error
        # Points are stored about the object, where single precision is finest.
        origin = vertices.mean(0)
        points, normals = places.points(*thing) - origin, places.normals(*thing)
        translation = fit.translation - origin
        estimates[number] = fit.pose, fit.shape, translation, points, normals
        hand = Mesh(model.forward(fit.pose, fit.shape, translation.astype(np.float32)).vertices, faces)
        scenes.append(scene_of(hand, Mesh(vertices - origin, thing.faces), Rotation.identity()))
    return Unlabelled(estimates, scenes)


def scene_of(hand: Mesh, thing: Mesh, turn: Rotation) -> Scene:
    """The scene of a hand and an object that a camera sees from a direction."""
    view = View.of(hand, thing, turn)
    return Scene(thing, view, view.picture(hand, thing))
