# SPDX-License-Identifier: Apache-2.0
"""Named regions of the hand's surface: vertices of fingertips, pads, sides of the fingers, palm, back and wrist."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.articulation import FINGERS as CHAINS
from hoi_ros.hand.articulation import JOINTS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGERS
from hoi_ros.hand.wrist_frame import wrist_frame
from hoi_ros.mesh.normals import vertex_normals

SIDES = ('palmar', 'dorsal', 'radial', 'ulnar')


def surface_regions(model: HandModel) -> dict[str, np.ndarray]:
    """Vertices of each region of a hand: the same of both sides.

    `{finger}_tip`, `{finger}_{side}_{1|2|3}` (phalanx, 1 next to the palm) and `{finger}_{side}` (all three) for the
    five fingers and SIDES, `palm`, `heel` (of the palm), `back`, `edge` (of the palm, on the little finger's side),
    `wrist`, `any`.

    Args:
        model: a right hand.
    """
    owner = model.weights.argmax(1)
    points, normals = model.template.astype(float), vertex_normals(model.template.astype(float), model.faces)
    rest = np.concatenate([model.joints, model.tips]).astype(float)
    regions: dict[str, np.ndarray] = {}
    for finger, name in enumerate(FINGERS):
        tip = np.zeros(len(points), bool)
        parts: dict[str, list[np.ndarray]] = {side: [] for side in SIDES}
        for phalanx, joint in enumerate(JOINTS[finger]):
            start, end = rest[CHAINS[finger, phalanx]], rest[CHAINS[finger, phalanx + 1]]
            bone = (end - start) / np.linalg.norm(end - start)
            along = (points - start) @ bone / np.linalg.norm(end - start)
            radial, dorsal = model.axes[joint][:, 0].astype(float), model.axes[joint][:, 1].astype(float)
            mine = owner == joint
            if phalanx == 2:
                tip = mine & (along > 0.75) & (normals @ dorsal < 0.6)
                mine = mine & (along < 1.0)
            faces = {
                'palmar': normals @ dorsal < -0.8,
                'dorsal': normals @ dorsal > 0.8,
                'radial': normals @ radial > 0.8,
                'ulnar': normals @ radial < -0.8,
            }
            middle = mine & (along > 0.2) & (along < 0.95)
            for side in SIDES:
                regions[f'{name}_{side}_{phalanx + 1}'] = _some(middle & faces[side], mine & faces[side])
                parts[side].append(regions[f'{name}_{side}_{phalanx + 1}'])
        regions[f'{name}_tip'] = np.flatnonzero(tip)
        for side in SIDES:
            regions[f'{name}_{side}'] = np.concatenate(parts[side])
    keypoints = np.concatenate([rest[:1], rest[CHAINS.ravel()]])
    frame = wrist_frame(keypoints, 'right')
    local, facing = (points - rest[0]) @ frame, normals @ frame
    length = np.linalg.norm(keypoints[9] - keypoints[0])
    palm, up = owner == 0, local[:, 1] / length
    regions['palm'] = np.flatnonzero(palm & (facing[:, 2] > 0.8) & (up > 0.3) & (up < 1.0))
    regions['heel'] = np.flatnonzero(palm & (facing[:, 2] > 0.6) & (up > 0.08) & (up < 0.4))
    regions['back'] = np.flatnonzero(palm & (facing[:, 2] < -0.7) & (up > 0.25) & (up < 0.95))
    regions['edge'] = np.flatnonzero(palm & (facing[:, 0] < -0.7) & (up > 0.15) & (up < 0.85))
    regions['wrist'] = np.flatnonzero(palm & (np.abs(up) < 0.14) & (np.abs(facing[:, 1]) < 0.5))
    regions['any'] = np.flatnonzero(up > 0.02)
    return regions


def _some(best: np.ndarray, else_: np.ndarray) -> np.ndarray:
    """The vertices of the first mask, or of the second where the first is empty."""
    return np.flatnonzero(best if best.any() else else_)
