# SPDX-License-Identifier: Apache-2.0
"""Draws docs/images/hand_frames.svg: the joints of both hands by their numbers, and the axes of the wrist frames.

python scripts/hand_frames.py docs/images/hand_frames.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hoi_ros.drawing.hands import FINGER_COLOURS
from hoi_ros.drawing.hands import SIDE_COLOURS
from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from hoi_ros.hand import KEYPOINT_PARENTS
from hoi_ros.hand.skeleton import FINGERS
from hoi_ros.mesh.normals import face_normals

WIDTH, HEIGHT = 1120, 800
SCALE = 2700.0
"""Pixels a metre."""
WRISTS = {'left': (300.0, 535.0), 'right': (820.0, 535.0)}
"""Where the wrists are drawn: both palms face the viewer, fingers up."""
AXIS = 0.05
AXES = (('x', (214, 39, 40)), ('y', (20, 140, 40)), ('z', (31, 80, 220)))
MEANINGS = {
    'right': 'x: towards the thumb, y: along the fingers, z: out of the palm',
    'left': 'x: away from the thumb, y: along the fingers, z: out of the palm',
}
SHADES = 12
"""Steps from dark to light: few, so that the file stays small."""
INK = '#202020'


def view(side: str) -> np.ndarray:
    """(3, 3) rotation into the picture: a little from above and from the thumb's side, so that z can be seen."""
    down, across = np.radians(26), np.radians(-24 if side == 'right' else 24)
    turn = np.array([[np.cos(across), 0, np.sin(across)], [0, 1, 0], [-np.sin(across), 0, np.cos(across)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(down), -np.sin(down)], [0, np.sin(down), np.cos(down)]])
    return tilt @ turn


def placed(points: np.ndarray, side: str) -> np.ndarray:
    """(N, 3) of the wrist frame, metres → pixels (N, 2)."""
    return (points @ view(side).T)[:, :2] * [SCALE, -SCALE] + WRISTS[side]


def colour(rgb: tuple[int, ...] | np.ndarray) -> str:
    """As SVG writes it."""
    return '#{:02x}{:02x}{:02x}'.format(*(int(value) for value in rgb))


def text(x: float, y: float, words: str, size: int, more: str = '') -> str:
    """A line of text, centred."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="middle" {more}>{words}</text>'


def line(start: np.ndarray, end: np.ndarray, stroke: str, width: float, more: str = '') -> str:
    """A straight line."""
    (a, b), (c, d) = start, end
    return (
        f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}" stroke="{stroke}" stroke-width="{width}" '
        f'stroke-linecap="round" {more}/>'
    )


def mesh(vertices: np.ndarray, faces: np.ndarray, side: str) -> list[str]:
    """The triangles that face the viewer, far ones first."""
    normals = face_normals(vertices, faces)
    facing = (normals / np.linalg.norm(normals, axis=-1, keepdims=True) @ view(side).T)[:, 2]
    order = np.argsort((vertices[faces].mean(1) @ view(side).T)[:, 2])
    tenths = np.round(placed(vertices, side) * 10).astype(int)
    drawn = ['<g transform="scale(0.1)" stroke-width="8">']
    for face in order[facing[order] > 0]:
        corner, *others = tenths[faces[face]]
        (x, y), steps = corner, ' '.join(f'{right} {down}' for right, down in np.diff([corner, *others], axis=0))
        drawn.append(f'<path class="{side[0]}{round(facing[face] * SHADES)}" d="M{x} {y}l{steps}z"/>')
    return [*drawn, '</g>']


def skeleton(joints: np.ndarray, side: str) -> list[str]:
    """Bones, the wrist frame, and the joints with their numbers."""
    pixels = placed(joints, side)
    colours = [INK, *(colour(FINGER_COLOURS[joint // 4]) for joint in range(20))]
    bones = [
        line(pixels[parent], pixels[joint], colours[joint], 4)
        for joint, parent in enumerate(KEYPOINT_PARENTS)
        if parent >= 0
    ]
    dots = []
    for joint, (x, y) in enumerate(pixels):
        dots.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="11" fill="white" stroke="{colours[joint]}" stroke-width="3"/>'
        )
        dots.append(text(x, y + 4.5, str(joint), 13, f'font-weight="bold" fill="{INK}"'))
    return bones + axes(side) + dots


def axes(side: str) -> list[str]:
    """The wrist frame, and what its axes mean."""
    origin = placed(np.zeros((1, 3)), side)[0]
    drawn = []
    for direction, (name, rgb) in zip(np.eye(3), AXES):
        tip, label = placed(np.array([direction * AXIS, direction * AXIS * 1.3]), side)
        stroke = colour(rgb)
        drawn.append(line(origin, tip, 'white', 10))
        drawn.append(line(origin, tip, stroke, 6, f'marker-end="url(#{name})"'))
        halo = 'stroke="white" stroke-width="5" paint-order="stroke"'
        drawn.append(text(*(label + [0, 8]), name, 26, f'font-weight="bold" fill="{stroke}" {halo}'))
    return drawn


def legend() -> list[str]:
    """The names of the joints, one finger a column."""
    drawn = [text(WIDTH / 2, 690, f'0 {KEYPOINT_NAMES[0].upper()}', 15, f'font-weight="bold" fill="{INK}"')]
    for finger in range(len(FINGERS)):
        x = 130 + finger * 215
        for row in range(4):
            joint = 1 + 4 * finger + row
            y = 714 + 19 * row
            drawn.append(f'<circle cx="{x - 70}" cy="{y - 5}" r="6" fill="{colour(FINGER_COLOURS[finger])}"/>')
            drawn.append(
                f'<text x="{x - 56}" y="{y}" font-size="15" fill="{INK}">{joint} {KEYPOINT_NAMES[joint].upper()}</text>'
            )
    return drawn


def picture() -> str:
    """The whole SVG."""
    right = HandModel.load()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        '<title>The 21 joints of a left and a right hand, and the axes of their wrist frames</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for side, rgb in SIDE_COLOURS.items():
        for step in range(SHADES + 1):
            shade = colour(np.array(rgb) * (0.6 + 0.4 * step / SHADES))
            parts.append(f'<style>.{side[0]}{step} {{fill: {shade}; stroke: {shade}}}</style>')
    for name, rgb in AXES:
        parts.append(
            f'<marker id="{name}" viewBox="0 0 10 10" refX="3" refY="5" markerWidth="3.2" markerHeight="3.2" '
            f'orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="{colour(rgb)}"/></marker>'
        )
    for model in (right.mirrored(), right):
        side = model.side
        hand = model.forward(np.zeros(48), np.zeros(10), np.zeros(3))
        wrist = hand.keypoints[0]
        parts += mesh(hand.vertices - wrist, model.faces, side)
        parts += skeleton(hand.keypoints - wrist, side)
        x = WRISTS[side][0]
        parts.append(text(x, 34, f'{side} hand, palm', 22, f'font-weight="bold" fill="{INK}"'))
        parts.append(text(x, 646, MEANINGS[side], 15, f'fill="{INK}"'))
    return '\n'.join([*parts, *legend(), '</svg>', ''])


if __name__ == '__main__':
    Path(sys.argv[1]).write_text(picture(), encoding='utf-8')
