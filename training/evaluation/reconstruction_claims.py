# SPDX-License-Identifier: Apache-2.0
"""How often the claims of the `reconstruction` stage about held objects are right on held-out images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.mesh.boxes import oriented_box
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.stages.parts.object_claims import GAP_WITHIN
from hoi_ros.stages.parts.object_claims import MIN_CONFIDENCE
from hoi_ros.stages.parts.object_claims import ObjectEvidence
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.hand_object import HandObjectSample
from training.data.synthetic.grasps.held_object import signed_gap
from training.data.synthetic.rgb_scenes import RgbFrame
from training.data.synthetic.scene_parts import HELD
from training.evaluation.figures import print_figures
from training.evaluation.figures import write_figures
from training.evaluation.reconstruction_score import labelled
from training.evaluation.reconstruction_stage import match
from training.evaluation.reconstruction_stage import rendered

CLAIMS = 'touching', 'gap', 'box'
"""Names of the claims, as in `ClaimConfidence`."""
WAYS = {'colour': False, 'depth': True}
"""Whether the stage receives depth."""
CENTRE_WITHIN = 0.02
"""Largest distance of a right box's centre from the true one, metres."""
SIDE_WITHIN, SIDE_WITHIN_SHARE = 0.015, 0.25
"""Largest error of a right box's sides: in metres or as a share of the true side, whichever is larger."""


@dataclasses.dataclass(frozen=True)
class ReconstructionClaimEvaluation:
    """Prints how often the claims about held objects are right, all of them and those that are published, on images of
    640×480, each as if it were the first of a stream, without and with depth."""

    frames: int = 150
    """Images of each split."""
    models: Path = Path('models')
    splits: tuple[str, ...] = ('test', 'held_out')
    """Splits of the synthetic scenes. test: new shapes of the object families of the training; held_out: two other
    families. Use 'validation' for choices."""
    scans: Path | None = None
    """Folder of scanned objects: the hands hold those of the split, 'held_out' the twelve that no training shows."""
    min_confidence: float = MIN_CONFIDENCE
    """Confidence below which a claim is withheld."""
    workers: int = 2
    """Rendering processes."""
    out: Path | None = None
    """JSON file for the figures."""


@dataclasses.dataclass(frozen=True)
class ObjectClaim:
    """What the stage claims about one object, and what is true."""

    way: str
    """One of `WAYS`."""
    evidence: ObjectEvidence
    confidence: ClaimConfidence
    touching: bool
    """The claim."""
    contact: bool
    """The truth: there is an object, and the hand touches it."""
    gap_error: float
    """Metres; infinite where the hand holds nothing, or is none."""
    true_gap: float
    """Metres; infinite likewise."""
    centre_error: float
    """Metres; infinite likewise."""
    sides_right: bool
    """Whether each side of the box is right."""
    residual: float = float('inf')
    """Median distance of the object's visible surface to the mesh, metres; infinite without an object."""

    def right(self, claim: str) -> bool:
        """Whether one of `CLAIMS` is right."""
        return {
            'touching': self.touching == self.contact,
            'gap': self.gap_error <= GAP_WITHIN,
            'box': self.sides_right and self.centre_error <= CENTRE_WITHIN,
        }[claim]


def collect_claims(models: Path, frames: Iterable[RgbFrame]) -> list[ObjectClaim]:
    """Runs the stage on images in each of `WAYS` and compares what it claims with the truth.

    Hands that are visible by less than `COUNTED` are left out. Claims about non-hands count, too: only `touching` False
    is right there.
    """
    stage = ReconstructionStage(models, min_confidence=0.0)
    claims = []
    evidence: list[ObjectEvidence] = []
    confidence_of = stage.claims

    def noted(known: ObjectEvidence) -> ClaimConfidence:
        evidence.append(known)
        return confidence_of(known)

    stage.claims = noted
    for index, frame in enumerate(frames):
        for way, with_depth in WAYS.items():
            stage.reset()
            evidence.clear()
            hands = stage(frame.image, frame.view.camera, float(index), frame.depth if with_depth else None)
            known = dict(zip([id(hand) for hand in hands if hand.held], evidence, strict=True))
            truth = {id(hand): number for number, hand in enumerate(match(hands, frame)) if hand is not None}
            for hand, _ in labelled(hands, frame):
                if hand.held is None:
                    continue
                number = truth.get(id(hand))
                claim = judged(way, known[id(hand)], hand.held, None if number is None else frame.hands[number])
                if number is not None and np.isfinite(claim.true_gap):
                    residual = visible_residual(frame, number, hand.held.vertices, stage.object_faces)
                    claim = dataclasses.replace(claim, residual=residual)
                claims.append(claim)
    return claims


def judged(way: str, evidence: ObjectEvidence, thing: ObjectEstimate, sample: HandObjectSample | None) -> ObjectClaim:
    """Compares an object with the true one of its hand; `sample` is None for a report that is no hand."""
    if sample is None or sample.held is None or sample.hand_vertices is None:
        infinite = float('inf')
        return ObjectClaim(way, evidence, thing.confidence, thing.touching, False, infinite, infinite, infinite, False)
    placed = sample.held.placed
    scene = TriangleScene(placed.astype(np.float32), sample.held.faces)
    gap = float(signed_gap(scene, sample.hand_vertices.astype(np.float32)).distance.min())
    centre, _, size = oriented_box(placed.astype(float))
    return ObjectClaim(
        way,
        evidence,
        thing.confidence,
        thing.touching,
        gap <= TOUCHING,
        abs(thing.gap - gap),
        gap,
        float(np.linalg.norm(thing.position - centre)),
        bool((np.abs(thing.size - size) <= np.maximum(SIDE_WITHIN, SIDE_WITHIN_SHARE * size)).all()),
    )


def visible_residual(frame: RgbFrame, number: int, vertices: np.ndarray, faces: np.ndarray) -> float:
    """Median distance of the visible surface of a hand's object to a mesh, metres; infinite where none is visible.

    Args:
        frame: the image.
        number: of the hand.
        vertices, faces: the mesh, optical frame.
    """
    rows, columns = np.nonzero(frame.view.owners == HELD - number)
    if not len(rows):
        return float('inf')
    points = frame.view.camera.unproject(np.stack([columns, rows], 1), frame.view.depth[rows, columns])
    scene = TriangleScene(vertices.astype(np.float32), faces)
    return float(np.median(scene.distances(points.astype(np.float32))))


def evaluate(config: ReconstructionClaimEvaluation) -> dict[str, dict]:
    """Prints and returns the figures of each split and way."""
    figures = {}
    for split in config.splits:
        claims = collect_claims(config.models, rendered(split, config.frames, config.workers, config.scans))
        figures[split] = figures_of(claims, config.min_confidence)
        print_claims(split, figures[split])
    write_figures(figures, config.out)
    return figures


def print_claims(split: str, figures: dict[str, dict]) -> None:
    """Prints the figures of a split, one column of figures a way."""
    for way, columns in figures.items():
        print(f'{split}, {way}')
        print_figures(columns, indent='  ')


def figures_of(claims: Sequence[ObjectClaim], min_confidence: float) -> dict[str, dict[str, float]]:
    """The figures of each way.

    Returns:
        The number of objects; for each claim the share that is right, the mean confidence, the share that is published,
        and the share of those that is right; the shares of gaps within 10 mm, and in which a gap of 0 would be right;
        the shares of right sides and of right centres of the box; and medians (mm) of the errors of the gap and of the
        centre, and of the distances of the visible surface, where there is an object.
    """
    figures = {}
    for way in WAYS:
        chosen = [claim for claim in claims if claim.way == way]
        if not chosen:
            continue
        columns: dict[str, float] = {'objects': len(chosen)}
        for name in CLAIMS:
            right = np.array([claim.right(name) for claim in chosen])
            confidence = np.array([getattr(claim.confidence, name) for claim in chosen])
            published = confidence >= min_confidence
            columns[f'{name}_right'] = float(right.mean())
            columns[f'{name}_confidence'] = float(confidence.mean())
            columns[f'{name}_published'] = float(published.mean())
            if published.any():
                columns[f'{name}_right_of_published'] = float(right[published].mean())
        held = [claim for claim in chosen if np.isfinite(claim.true_gap)]
        columns['gap_within_10_mm'] = float(np.mean([claim.gap_error <= 0.01 for claim in chosen]))
        columns['gap_of_0_right'] = float(np.mean([abs(claim.true_gap) <= GAP_WITHIN for claim in chosen]))
        columns['box_sides_right'] = float(np.mean([claim.sides_right for claim in chosen]))
        columns['box_centre_right'] = float(np.mean([claim.centre_error <= CENTRE_WITHIN for claim in chosen]))
        if held:
            columns['gap_error_median_mm'] = 1e3 * float(np.median([claim.gap_error for claim in held]))
            columns['centre_error_median_mm'] = 1e3 * float(np.median([claim.centre_error for claim in held]))
            seen = [claim.residual for claim in held if np.isfinite(claim.residual)]
            if seen:
                columns['visible_residual_median_mm'] = 1e3 * float(np.median(seen))
        figures[way] = columns
    return figures
