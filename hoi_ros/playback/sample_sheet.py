# SPDX-License-Identifier: Apache-2.0
"""Sampled pairs of hands side by side, each from two directions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from hoi_ros.camera import Pinhole
from hoi_ros.drawing.hands import draw_mesh
from hoi_ros.drawing.hands import SIDE_COLOURS
from hoi_ros.drawing.text import draw_text
from hoi_ros.hand.estimates import HandEstimate

MOST = 16
"""Samples on a sheet."""
_VIEW = 300
"""Pixels of the sides of a view."""
_DISTANCE = 1.0
"""From the camera to the middle of the hands, metres."""
_FILLED = 0.9
"""Share of a view that the hands fill."""
_LEAST = 0.2
"""Metres that a view shows at least."""
_BACKGROUND, _RIM = 40, 90


def sample_sheet(
    pairs: Sequence[Sequence[HandEstimate]], faces: Mapping[str, np.ndarray], volumes: np.ndarray
) -> np.ndarray:
    """(H, W, 3) uint8 RGB of the first sixteen pairs, each seen from where it is widest and from its side.

    Args:
        pairs: of hands with vertices, left and right.
        faces: (F, 3) by side.
        volumes: (N,) volume that the hands of each share, mm³.
    """
    tiles = [
        _tile(pair, faces, f'{number}: {volume:.0f} mm3')
        for number, (pair, volume) in enumerate(zip(pairs[:MOST], volumes))
    ]
    columns = math.ceil(math.sqrt(len(tiles)))
    tiles += [np.full_like(tiles[0], _BACKGROUND)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])


def _tile(pair: Sequence[HandEstimate], faces: Mapping[str, np.ndarray], text: str) -> np.ndarray:
    vertices = np.concatenate([hand.vertices for hand in pair]).astype(float)
    starts = np.cumsum([0, *(len(hand.vertices) for hand in pair)])
    triangles = np.concatenate([faces[hand.side] + start for hand, start in zip(pair, starts)])
    colours = np.concatenate([np.tile(SIDE_COLOURS[hand.side], (len(faces[hand.side]), 1)) for hand in pair])
    vertices -= (vertices.min(0) + vertices.max(0)) / 2
    axes = _view_of(pair)
    views = []
    for rows in (axes, np.stack([axes[2], axes[1], -axes[0]])):
        seen = vertices @ rows.T
        seen -= (seen.min(0) + seen.max(0)) / 2
        shown = max(float(np.abs(seen[:, :2]).max()) * 2 / _FILLED, _LEAST)
        focal = _VIEW * _DISTANCE / shown
        camera = Pinhole(_VIEW, _VIEW, focal, focal, (_VIEW - 1) / 2, (_VIEW - 1) / 2)
        view = np.full((_VIEW, _VIEW, 3), _BACKGROUND, np.uint8)
        draw_mesh(view, seen + [0, 0, _DISTANCE], triangles, camera, colours, opacity=1.0)
        views.append(view)
    tile = np.hstack(views)
    tile[[0, -1]] = tile[:, [0, -1]] = _RIM
    draw_text(tile, text, (8, _VIEW - 10), 0.45)
    return tile


def _view_of(pair: Sequence[HandEstimate]) -> np.ndarray:
    """(3, 3) rows right, down and forward of a camera that sees the hands where they are widest, fingers up."""
    joints = np.concatenate([hand.joints for hand in pair]).astype(float)
    forward = np.linalg.eigh(np.cov(joints.T))[1][:, 0]
    up = np.sum([hand.joints[9] - hand.joints[0] for hand in pair], 0)
    if np.linalg.norm(up) < 0.05:
        up = pair[0].joints[9] - pair[0].joints[0]
    up = up - (up @ forward) * forward
    if np.linalg.norm(up) < 1e-3:
        up = np.linalg.eigh(np.cov(joints.T))[1][:, 2]
    down = -up / np.linalg.norm(up)
    return np.stack([np.cross(down, forward), down, forward])
