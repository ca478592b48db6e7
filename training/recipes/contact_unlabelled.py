# SPDX-License-Identifier: Apache-2.0
"""Grasps without labels for the semi-supervised stage of `contact`: noisy hands, their objects, and a picture of both.

Generated ones are of the split `held_out`: families, and with a folder of scans objects, that no labelled grasp shows.
Of the true hand only the picture is kept, as a camera would have it.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.object_files import ObjectFileError
from hoi_ros.mesh.object_files import read_object
from hoi_ros.mesh.sampling import even_places
from hoi_ros.playback.grasp_lines import grasp_of_line
from hoi_ros.playback.grasp_lines import GraspLineError
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
        picture: (H, W) what it sees of hand and object, in [0, 1]; None where no picture of the true hand is known.
    """

    mesh: Mesh
    view: View
    picture: np.ndarray | None


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

    `hoi_ros.playback.grasp_lines` describes a line. A left hand and its object are mirrored. There is no picture:
    that of the estimate would say nothing of the true hand.

    Raises:
        GraspFileError: the file is missing or empty, a line is no grasp, or its mesh is unusable or not closed.
    """
    model = HandModel.load()
    fitter, faces = HandFitter(model), close_holes(model.faces)
    try:
        lines = [line for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise GraspFileError(f'{path}: not a readable text file ({error})') from error
    if not lines:
        raise GraspFileError(f'{path}: no line in it, expected a grasp a line')
    estimates, scenes = np.empty(len(lines), ESTIMATE_DTYPE), []
    for number, line in enumerate(lines):
        try:
            grasp = grasp_of_line(line, path.parent)
            mesh = read_object(grasp.object, mirrored=grasp.side == 'left')
        except (GraspLineError, ObjectFileError) as error:
            raise GraspFileError(f'{path}, line {number + 1}: {error}') from error
        if not is_closed(mesh.vertices, mesh.faces):
            raise GraspFileError(f'{path}, line {number + 1}: {grasp.object} has holes: close its mesh')
        flip = np.ones(3) if grasp.side == 'right' else _MIRROR
        turn, place = np.outer(flip, flip) * grasp.object_pose[:3, :3], flip * grasp.object_pose[:3, 3]
        thing = Mesh(mesh.vertices @ turn.T + place, mesh.faces)
        fit = fitter.fit(grasp.joints * flip)
        places = even_places(*thing, OBJECT_POINTS)
        # Points are stored about the object, where single precision is finest.
        origin = thing.vertices.mean(0)
        points, normals = places.points(*thing) - origin, places.normals(*thing)
        translation = fit.translation - origin
        estimates[number] = fit.pose, fit.shape, translation, points, normals
        hand = Mesh(model.forward(fit.pose, fit.shape, translation.astype(np.float32)).vertices, faces)
        scene = scene_of(hand, Mesh(thing.vertices - origin, thing.faces), Rotation.identity())
        scenes.append(scene._replace(picture=None))
    return Unlabelled(estimates, scenes)


def scene_of(hand: Mesh, thing: Mesh, turn: Rotation) -> Scene:
    """The scene of a hand and an object that a camera sees from a direction."""
    view = View.of(hand, thing, turn)
    return Scene(thing, view, view.picture(hand, thing))
