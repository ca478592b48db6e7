# SPDX-License-Identifier: Apache-2.0
"""Bodies of the people whose hands are shown."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from training.data.synthetic.scene_parts import BODY
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.solids import capsule
from training.data.synthetic.solids import ellipsoid
from training.data.synthetic.vectors import unit


def arm_of(model: HandModel, hand: SceneHand, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Draws the direction (3,) from a wrist to its elbow; also the hand's size, a multiple of the mean hand's."""
    across, along, out = Rotation.from_rotvec(hand.pose[:3]).as_matrix().T
    wrist = hand.keypoints[0]
    rest = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.zeros(3, np.float32), vertices=False)
    scale = float(np.linalg.norm(hand.keypoints[9] - wrist) / np.linalg.norm(rest.keypoints[9]))
    # The wrist deviates further towards the little finger than towards the thumb.
    flexion = rng.uniform(-55, 60)
    deviation = rng.uniform(-28, 18) * (1 if hand.side == 'right' else -1)
    bend = Rotation.from_rotvec(np.radians(flexion) * across) * Rotation.from_rotvec(np.radians(deviation) * out)
    down = bend.apply(-along)
    if down @ (-wrist / np.linalg.norm(wrist)) > 0.8:
        down = -along
    return down, scale


def add_person(parts: Parts, hand: SceneHand, elbow: np.ndarray, up: np.ndarray, rng: np.random.Generator) -> None:
    """Adds upper arm, torso and head beyond the elbow, unless they would hide the hand."""
    away = elbow / np.linalg.norm(elbow)
    for _ in range(4):
        lift = unit(0.7 * up + rng.normal(0, 0.5, 3) + 0.4 * away)
        shoulder = elbow + rng.uniform(0.24, 0.32) * lift
        if shoulder[2] > hand.centre[2] - 0.05:
            break
    else:
        return
    parts.add(*capsule(elbow, shoulder, rng.uniform(0.04, 0.06)), BODY, 'cloth')
    # Most people face the camera: their right shoulder is left of their chest in the image.
    faces_camera = rng.random() < 0.85
    inwards = 1 if (hand.side == 'right') == faces_camera else -1
    right = unit(np.cross([0, 0, 1], up) + 1e-3) * inwards
    chest = shoulder + right * rng.uniform(0.14, 0.22) - up * rng.uniform(0.1, 0.25) + np.array([0, 0, 0.04])
    if chest[2] < hand.centre[2] - 0.02:
        return
    frame = np.stack([right, up, np.cross(right, up)], 1)
    radii = [rng.uniform(0.16, 0.23), rng.uniform(0.28, 0.4), rng.uniform(0.09, 0.14)]
    parts.add(*ellipsoid(chest, frame, radii), BODY, 'cloth')
    head = chest + up * (radii[1] + rng.uniform(0.08, 0.14)) + rng.normal(0, 0.03, 3)
    parts.add(*capsule(chest + up * radii[1] * 0.8, head, 0.055), BODY, 'skin')
    parts.add(*ellipsoid(head, frame, [0.075, 0.11, 0.09]), BODY, 'skin')
    ahead = unit(np.array([rng.normal(0, 0.5), rng.normal(0, 0.3), -1 if faces_camera else 1]))
    side = unit(np.cross(up, ahead))
    for start, end, radius in (
        (0.085 * ahead + 0.03 * up, 0.105 * ahead - 0.015 * up, 0.012),  # nose
        (0.075 * ahead + 0.035 * up - 0.035 * side, 0.075 * ahead + 0.035 * up + 0.035 * side, 0.016),  # brow
        (0.065 * ahead - 0.085 * up - 0.015 * side, 0.065 * ahead - 0.085 * up + 0.015 * side, 0.025),  # chin
        (-0.08 * side - 0.02 * up, -0.08 * side + 0.02 * up, 0.012),
        (0.08 * side - 0.02 * up, 0.08 * side + 0.02 * up, 0.012),
    ):  # ears
        parts.add(*capsule(head + start, head + end, radius * rng.uniform(0.8, 1.3)), BODY, 'skin')
