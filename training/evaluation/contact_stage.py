# SPDX-License-Identifier: Apache-2.0
"""`contact` behind `reconstruction` on held-out images with depth: what it makes of real estimates of hands."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.contact import surface_gap
from hoi_ros.mesh.contact import touched
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.stages.contact import ContactStage
from hoi_ros.stages.parts.contact_points import ContactMeasure
from hoi_ros.stages.parts.contact_points import PALM
from hoi_ros.stages.parts.contact_points import touching_fingers
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.hand_object import HandObjectSample
from training.data.synthetic.rgb_frame_views import COUNTED
from training.data.synthetic.rgb_scenes import RgbFrame
from training.evaluation.contact_maps import f1
from training.evaluation.contact_maps import TOUCHED
from training.evaluation.figures import print_figures
from training.evaluation.figures import require_count
from training.evaluation.figures import write_figures
from training.evaluation.reconstruction_stage import match
from training.evaluation.reconstruction_stage import rendered


@dataclasses.dataclass(frozen=True)
class ContactStageEvaluation:
    """Runs `reconstruction` and `contact` on images of 640×480 with depth, each as if it were the first of a stream,
    and compares the hands before and after."""

    frames: int = 300
    models: Path = Path('models')
    split: str = 'test'
    """'test' or 'held_out' for figures that are quoted, 'validation' for choices that depend on figures."""
    scans: Path | None = None
    """Folder of scanned objects, which all objects then are."""
    budget: float = 0.06
    """Longest time of the refinement of a frame, seconds."""
    restarts: int = 1
    workers: int = 2
    """Rendering processes."""
    out: Path | None = None
    """JSON file for the figures."""


@dataclasses.dataclass(frozen=True)
class HandBeforeAndAfter:
    """A hand that holds something: the truth, the estimate of `reconstruction`, and that of `contact`."""

    truth: HandObjectSample
    before: HandEstimate
    after: HandEstimate


def evaluate(config: ContactStageEvaluation) -> dict[str, dict[str, float]]:
    """Prints and returns the figures before and after `contact`."""
    require_count(config.frames, '--frames')
    frames = rendered(config.split, config.frames, config.workers, config.scans)
    stage = ContactStage(config.models, budget=config.budget, restarts=config.restarts)
    reconstruction = ReconstructionStage(config.models)
    hands = list(compared(frames, reconstruction, stage))
    if not hands:
        raise SystemExit(f'no hand of {config.frames} images was found to hold something: raise --frames')
    figures = figures_of(hands, reconstruction.object_faces)
    for name, row in figures.items():
        print(f'{name}, {len(hands)} hands')
        print_figures(row, indent='    ')
    write_figures(figures, config.out)
    return figures


def compared(
    frames: Iterator[RgbFrame], reconstruction: ReconstructionStage, contact: ContactStage
) -> Iterator[HandBeforeAndAfter]:
    """The hands of images that hold something, are at least 45 % visible, and are said to hold something."""
    for index, frame in enumerate(frames):
        reconstruction.reset()
        hands = reconstruction(frame.image, frame.view.camera, float(index), frame.depth)
        refined = contact(hands, reconstruction.object_faces, float(index))
        pairs = zip(frame.hands, frame.visible, match(hands, frame), match(refined, frame))
        for truth, visible, before, after in pairs:
            known = truth.held is not None and truth.hand_vertices is not None and visible >= COUNTED
            if known and before is not None and after is not None and after.contact is not None:
                yield HandBeforeAndAfter(truth, before, after)


def figures_of(hands: list[HandBeforeAndAfter], faces: np.ndarray) -> dict[str, dict[str, float]]:
    """Figures before and after.

    Returns:
        joints_mm and rooted_mm: the mean error of the joints in the camera's frame and from the wrist; object_mm: the
        mean distance between the object's surface and the true one, both ways; penetration_mm and intersection_cm3 of
        the estimated hand and object; gap_mm: the mean distance between the two, 0 where they meet; fingers_f1: of the
        fingers that touch; vertices_f1: of the hand's vertices that touch. In truth and before, a vertex touches
        within 4 mm of the object or inside it, and a finger with two such vertices; after, a vertex with a contact of
        0.4 or more, and a finger with a contact point.
    """
    models = {'right': HandModel.load()}
    models['left'] = models['right'].mirrored()
    measures = {side: ContactMeasure(model) for side, model in models.items()}
    return {name: _figures(hands, name, measures, faces) for name in ('before', 'after')}


def _figures(
    hands: list[HandBeforeAndAfter], name: str, measures: dict[str, ContactMeasure], faces: np.ndarray
) -> dict[str, float]:
    errors, rooted, depths, volumes, gaps, away = [], [], [], [], [], []
    true_fingers, fingers, true_vertices, vertices = [], [], [], []
    for pair in hands:
        hand: HandEstimate = getattr(pair, name)
        measure, truth = measures[hand.side], pair.truth
        assert truth.held is not None and hand.held is not None and truth.hand_vertices is not None
        off = hand.joints - truth.keypoints
        errors.append(np.linalg.norm(off, axis=1).mean())
        rooted.append(np.linalg.norm(off - off[0], axis=1).mean())
        measured = measure(hand.vertices, np.zeros(len(hand.vertices)), hand.held.vertices, faces, np.zeros(0))
        away.append(_apart(hand.held.vertices, faces, truth.held.placed, truth.held.faces))
        depths.append(measured.penetration)
        volumes.append(measured.intersection)
        known = touched(truth.hand_vertices, truth.held.placed, truth.held.faces)
        near = touched(hand.vertices, hand.held.vertices, faces)
        gaps.append(max(0.0, surface_gap(hand.vertices, hand.held.vertices, faces)))
        true_vertices.append(known)
        true_fingers.append(touching_fingers(known, measure.parts))
        if hand.contact is None:
            vertices.append(near)
            fingers.append(touching_fingers(near, measure.parts))
        else:
            vertices.append(hand.contact.hand >= TOUCHED)
            fingers.append(np.isin(np.arange(PALM), hand.contact.fingers))
    return {
        'joints_mm': 1e3 * float(np.mean(errors)),
        'rooted_mm': 1e3 * float(np.mean(rooted)),
        'object_mm': 1e3 * float(np.mean(away)),
        'penetration_mm': 1e3 * float(np.nanmean(depths)),
        'intersection_cm3': 1e6 * float(np.nanmean(volumes)),
        'gap_mm': 1e3 * float(np.mean(gaps)),
        'fingers_f1': f1(np.array(fingers), np.array(true_fingers)),
        'vertices_f1': f1(np.array(vertices), np.array(true_vertices)),
    }


def _apart(vertices: np.ndarray, faces: np.ndarray, others: np.ndarray, other_faces: np.ndarray) -> float:
    """Mean distance of the vertices of two meshes to the surface of the other, metres."""
    one, other = TriangleScene(vertices, faces), TriangleScene(others, other_faces)
    return float((other.distances(vertices).mean() + one.distances(others).mean()) / 2)
