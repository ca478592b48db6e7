# SPDX-License-Identifier: Apache-2.0
"""From the network's prediction to a hand, and what it holds, before the camera: distance, surface, smoothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import LocatedBy
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.surface_fit import SurfaceFitConfig
from hoi_ros.hand.surface_fit import SurfaceFitter
from hoi_ros.mesh.boxes import oriented_box
from hoi_ros.mesh.contact import surface_gap
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.stages.parts.crop_prediction import CropPrediction
from hoi_ros.stages.parts.distance import shift_along_ray
from hoi_ros.stages.parts.object_claims import ClaimCalibration
from hoi_ros.stages.parts.object_claims import object_evidence
from hoi_ros.stages.parts.object_claims import ObjectEvidence
from hoi_ros.stages.parts.object_claims import share_behind
from hoi_ros.stages.parts.object_surface import bounded_by_opening
from hoi_ros.stages.parts.object_surface import fitted_mesh
from hoi_ros.stages.parts.object_surface import HandSurface
from hoi_ros.stages.parts.object_surface import object_points
from hoi_ros.stages.parts.rgb_track import MEMORY
from hoi_ros.stages.parts.rgb_track import RgbTrack
from hoi_ros.stages.parts.scores import probability

_MAY_HOLD = 0.2
"""Probability of holding something from which on what is held may hide the hand."""
_CUBE = 0.27
"""Side of the cube about a hand in which depth shows its surface, metres."""
_ON_DEPTH = SurfaceFitConfig(steps=3, reach=0.02, keypoint_noise=0.03)
"""A hand inferred from colours is further from its surface than one inferred from depth. Chosen on 150 validation
images; a fourth step gains a millimetre and is left out for its time."""


class _Placed(NamedTuple):
    """A hand before the camera, metres in its optical frame."""

    predicted: HandFit
    """By the network, at its distance."""
    fit: HandFit
    vertices: np.ndarray
    """(V, 3) of the fit."""
    depth: np.ndarray | None
    """(H, W) metres; None unless it locates the hand."""
    fits_surface: bool
    """Whether hand and object are fitted to the observed surface."""


class HandPlacement:
    """Places tracked hands in the camera's optical frame.

    Args:
        hands: hand models by side.
        fitters: their fitters to keypoints, by side.
        root: index of the keypoint that the network's points are relative to.
        object_faces: (F, 3) triangles of the object's mesh.
        object_mirror: (M,) vertex at the mirror image of each object vertex.
        object_directions: (M, 3) directions of the vertices of the sphere that the object's mesh is made of.
        parameters: of the network's card.
        min_confidence: initial value of the attribute.

    Attributes:
        claims: confidence in the claims about an object.
        min_confidence: confidence below which a claim is withheld.
    """

    def __init__(
        self,
        hands: Mapping[str, HandModel],
        fitters: Mapping[str, HandFitter],
        root: int,
        object_faces: np.ndarray,
        object_mirror: np.ndarray,
        object_directions: np.ndarray,
        parameters: Mapping[str, Any],
        min_confidence: float,
    ) -> None:
        self.min_confidence = min_confidence
        self._hands, self._fitters, self._root = hands, fitters, root
        self._object_faces, self._object_mirror = object_faces, object_mirror
        self._object_directions = object_directions
        self._surfaces = {side: SurfaceFitter(model, _ON_DEPTH) for side, model in hands.items()}
        self.claims: Callable[[ObjectEvidence], ClaimConfidence] = ClaimCalibration.of(parameters.get('claims', {}))
        self._near = float(parameters.get('joints_within_2_cm', 1.0))
        self._near_on_depth = float(parameters.get('joints_within_2_cm_on_depth', self._near))

    def __call__(
        self, tracks: Sequence[RgbTrack], depth: np.ndarray | None, camera: Pinhole, stamp: float, fit_surface: bool
    ) -> list[HandEstimate | None]:
        """The estimates of the last predictions of tracks; None where the prediction is no hand.

        Args:
            tracks: hands; take over their distance ratios and the pixels of what they hold.
            depth: (H, W) metres, 0 or NaN invalid; None where there is none.
            camera: of the image and of the depth.
            stamp: seconds.
            fit_surface: whether hands are fitted to the observed surface; else they are moved along their rays only.
        """
        placed = [self._placed(track, depth, camera, stamp, fit_surface) for track in tracks]
        return [
            hand and self._estimate(track, hand, [other for other in placed if other and other is not hand], camera)
            for track, hand in zip(tracks, placed)
        ]

    def _placed(
        self, track: RgbTrack, depth: np.ndarray | None, camera: Pinhole, stamp: float, fit_surface: bool
    ) -> _Placed | None:
        side = 'right' if track.inferred.right else 'left'
        model = self._hands[side]
        try:
            predicted, vertices, located_by = self._locate(track, depth, camera, side)
            fit = predicted
            if depth is not None and located_by == 'depth' and fit_surface:
                points = CubeCrop(camera, predicted.keypoints.mean(0), _CUBE).surface(depth)
                fit = self._surfaces[side].refine(predicted, np.ones(21), points)
            if track.smoothing:
                # Smoothed keypoints have no constant bone lengths: the model is fitted to them.
                fit = self._fitters[side].fit(track.smoothing(fit.keypoints, stamp), None, fit)
        except ValueError:
            return None
        if fit is not predicted:
            vertices = model.forward(fit.pose, fit.shape, fit.translation).vertices
        return _Placed(predicted, fit, vertices, depth if located_by == 'depth' else None, fit_surface)

    def _estimate(self, track: RgbTrack, hand: _Placed, others: Sequence[_Placed], camera: Pinhole) -> HandEstimate:
        right, fit = track.inferred.right, hand.fit
        near = self._near if hand.depth is None else self._near_on_depth
        return HandEstimate(
            side='right' if right else 'left',
            side_score=max(0.5, probability(track.side_evidence if right else -track.side_evidence)),
            track_id=track.identity,
            score=track.score,
            joints=fit.keypoints.astype(np.float32),
            joint_scores=np.full(21, near * track.score, np.float32),
            pose=fit.pose,
            shape=fit.shape,
            translation=fit.translation,
            vertices=hand.vertices.astype(np.float32),
            located_by='hand_size' if hand.depth is None else 'depth',
            held=self._held(track, hand, others, camera),
        )

    def is_there(self, track: RgbTrack, depth: np.ndarray | None, camera: Pinhole) -> bool:
        """Whether a new hand can be where depth shows it; True where depth does not show it."""
        try:
            self._locate(dataclasses.replace(track), depth, camera, 'right' if track.inferred.right else 'left')
        except ValueError:
            return False
        return True

    def _locate(
        self, track: RgbTrack, depth: np.ndarray | None, camera: Pinhole, side: str
    ) -> tuple[HandFit, np.ndarray, LocatedBy]:
        """The predicted hand and its vertices (V, 3) at the distance of the depth image, else at the one that its size
        implies.

        Raises:
            ValueError: the prediction is no hand.
        """
        prediction, model = track.inferred, self._hands[side]
        root = prediction.crop.to_camera(prediction.root)
        pose, shape = pose_of(prediction), prediction.outputs['shape'].astype(np.float32)
        at_origin = model.forward(pose, shape, np.zeros(3, np.float32))
        offset = at_origin.keypoints[self._root].astype(float)
        moved = None
        if depth is not None:
            held = self._object_of(track) + root if track.holds >= _MAY_HOLD else None
            moved = shift_along_ray(at_origin.vertices + (root - offset), model.faces, root, depth, camera, held)
        if moved is not None:
            ratio = float(np.linalg.norm(moved) / np.linalg.norm(root))
            track.reach = ratio if track.reach is None else MEMORY * track.reach + (1 - MEMORY) * ratio
            root = moved
        elif track.reach is not None:
            root = root * track.reach
        if not (np.isfinite(root).all() and np.isfinite(at_origin.vertices).all()):
            raise ValueError('the estimate is not finite')
        place = root - offset
        fit = HandFit(pose, shape, place.astype(np.float32), 0.0, (at_origin.keypoints + place).astype(np.float32))
        return fit, at_origin.vertices + place, 'hand_size' if moved is None else 'depth'

    def _held(
        self, track: RgbTrack, hand: _Placed, others: Sequence[_Placed], camera: Pinhole
    ) -> ObjectEstimate | None:
        """What a hand holds.

        The mesh is fitted to what depth shows of the object; where that is too little, the network's is no larger than
        the hand's opening.
        """
        track.held = None
        if not track.keeps_hold():
            track.box = None
            return None
        predicted, fit = hand.predicted, hand.fit
        points = self._object_of(track)
        root = predicted.keypoints[self._root]
        # The object moves as the palm does.
        turn = Rotation.from_rotvec(fit.pose[:3]) * Rotation.from_rotvec(predicted.pose[:3]).inv()
        expected = turn.apply(points + root - predicted.keypoints[0]) + fit.keypoints[0]
        observed = self._on_surface(expected, track.inferred.right, hand, others, camera)
        vertices = expected if observed is None else observed
        # A box keeps its axes while the hand holds it; those of a new one lie as the wrist's.
        wrist = Rotation.from_rotvec(fit.pose[:3])
        before = wrist if track.box is None else wrist * track.box
        position, orientation, size = oriented_box(vertices, before)
        if observed is None:
            vertices = bounded_by_opening(expected, float(size[0]), fit.keypoints.astype(float))
            if vertices is not expected:
                position, orientation, size = oriented_box(vertices, before)
        track.box = wrist.inv() * Rotation.from_quat(orientation)
        pixels = camera.project(np.maximum(vertices, [-np.inf, -np.inf, 0.05]))
        track.held = np.stack([pixels.min(0), pixels.max(0)])
        gap = surface_gap(hand.vertices, vertices, self._object_faces)
        behind = None if hand.depth is None else share_behind(vertices, self._object_faces, hand.depth, camera)
        evidence = object_evidence(track.holds, gap, behind, observed is not None)
        thing = ObjectEstimate(
            float(track.holds),
            vertices.astype(np.float32),
            position,
            orientation,
            size,
            gap,
            gap <= TOUCHING,
            self.claims(evidence),
        )
        return thing.withheld_below(self.min_confidence)

    def _object_of(self, track: RgbTrack) -> np.ndarray:
        """(M, 3) the network's object in the camera's axes, from the root."""
        prediction = track.inferred
        points = prediction.outputs['object']
        return prediction.crop.to_camera(points if prediction.right else points[self._object_mirror])

    def _on_surface(
        self, expected: np.ndarray, right: bool, hand: _Placed, others: Sequence[_Placed], camera: Pinhole
    ) -> np.ndarray | None:
        """The mesh (M, 3) of an object through its observed points; None where depth shows too little of it."""
        if hand.depth is None or not hand.fits_surface:
            return None
        model = self._hands['right' if right else 'left']
        vertices = hand.vertices.astype(float)
        surface = HandSurface(vertices, vertex_normals(vertices, model.faces), hand.fit.keypoints.astype(float))
        beside = [(other.vertices, other.fit.keypoints) for other in others]
        points = object_points(expected, surface, hand.depth, camera, beside)
        if points is None:
            return None
        return fitted_mesh(points, surface, hand.depth, camera, self._object_directions)


def pose_of(prediction: CropPrediction) -> np.ndarray:
    """(48,) axis-angle of the hand model of the prediction's side in the camera's optical frame, radians."""
    turn = prediction.crop.to_camera(prediction.outputs['rotation'].T).T
    fingers = np.concatenate([np.zeros(3), prediction.outputs['fingers']])
    if not prediction.right:
        turn = turn * [-1, 1, 1]
        fingers = mirror_pose(fingers)
    return np.concatenate([Rotation.from_matrix(turn).as_rotvec(), fingers[3:]]).astype(np.float32)
