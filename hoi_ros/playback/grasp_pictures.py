# SPDX-License-Identifier: Apache-2.0
"""The picture of a given grasp: hand and object coloured by contact, as given and as refined."""

from __future__ import annotations

from typing import Any

import numpy as np

from hoi_ros.drawing.grasps import draw_contact
from hoi_ros.drawing.grasps import Surface
from hoi_ros.drawing.grasps import View
from hoi_ros.drawing.text import draw_text
from hoi_ros.drawing.text import text_size
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.skeleton import FINGERS
from hoi_ros.hand.wrist_frame import wrist_frame
from hoi_ros.playback.grasp_estimates import POINTS
from hoi_ros.playback.grasp_estimates import PreparedGrasp

_TILE = 320
_LINE = 24
"""Height of a line of text, pixels."""
_SIZE = 0.5
"""Of the font."""


def grasp_picture(
    prepared: PreparedGrasp, refined: HandEstimate, faces: np.ndarray, record: dict[str, Any], moved: bool
) -> np.ndarray:
    """(H, W, 3) uint8 RGB: hand and object from the thumb's side and from the palm's, each alone, and the figures.

    Args:
        prepared: as given.
        refined: with its contact.
        faces: (F, 3) of the hand.
        record: of its result.
        moved: whether it was refined: then both are drawn before and after.
    """
    joints = refined.joints
    across, along, out = wrist_frame(joints, refined.side).T
    thumbwards = across if refined.side == 'right' else -across
    stages = [('given', prepared.hand), ('refined', refined)] if moved else [('given', refined)]
    drawn = [(name, *_surfaces(hand, refined, faces, prepared.mesh.faces)) for name, hand in stages]
    # The same view before and after shows the motion.
    everything = np.concatenate([surface.vertices for _, *pair in drawn for surface in pair])
    sides = {"thumb's side": _axes(-thumbwards, along), "palm's side": _axes(-out, along)}
    views = {side: View.around(everything, axes) for side, axes in sides.items()}
    rows = [
        [_titled(draw_contact(hand, thing, view, _TILE), f'{name}, {side}') for side, view in views.items()]
        for name, hand, thing in drawn
    ]
    _, hand, thing = drawn[-1]
    rows[0].append(_titled(draw_contact(hand, None, View.around(hand.vertices, _axes(-out, along)), _TILE), 'palm'))
    view = View.around(thing.vertices, _axes(out, along))
    rows[-1].append(_titled(draw_contact(None, thing, view, _TILE), 'object, from the hand'))
    picture = np.vstack([np.hstack(row) for row in rows])
    return np.vstack([picture, *(_text(line, picture.shape[1]) for line in _figures(record))])


def _surfaces(
    hand: HandEstimate, refined: HandEstimate, faces: np.ndarray, object_faces: np.ndarray
) -> tuple[Surface, Surface]:
    contact, held = refined.contact, hand.held
    assert contact is not None and held is not None
    return (
        Surface(hand.vertices, faces, hand.vertices, contact.hand),
        Surface(held.vertices, object_faces, held.vertices[-POINTS:], contact.object[-POINTS:]),
    )


def _axes(away: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(3, 3) rows right, down, away of a view with a direction up (3,), all unit and orthogonal."""
    return np.stack([np.cross(-up, away), -up, away])


def _figures(record: dict[str, Any]) -> list[str]:
    grasp = record['grasp']
    touching = [name for name, touches in zip((*FINGERS, 'palm'), (*record['fingers'], record['palm'])) if touches]
    lines = [
        f'line {record["line"]}: {record["side"]} hand, {record["object"]}',
        f'touching: {", ".join(touching) or "nothing"}'
        + (f'; {grasp["type"]} grasp, confidence {grasp["confidence"]:.2f}' if grasp else '; no grasp')
        + f'; fit error {1e3 * record["fit_error"]:.1f} mm',
    ]
    if record['penetration'] is None:
        lines.append('penetration and intersection unknown: the object is not closed')
    else:
        depth, volume = _change(record, 'penetration', 1e3), _change(record, 'intersection', 1)
        lines.append(f'penetration {depth} mm, intersection {volume} cm3')
    return lines


def _change(record: dict[str, Any], name: str, scale: float) -> str:
    """'before to after', or the figure alone where nothing was moved."""
    values = record.get(f'{name}_before'), record[name]
    return ' to '.join(f'{scale * value:.1f}' for value in values if value is not None)


def _titled(picture: np.ndarray, title: str) -> np.ndarray:
    draw_text(picture, title, (8, 20), _SIZE)
    return picture


def _text(line: str, width: int) -> np.ndarray:
    strip = np.zeros((_LINE, width, 3), np.uint8)
    size = min(_SIZE, _SIZE * 0.97 * width / max(text_size(line, _SIZE)[0], 1))
    draw_text(strip, line, (8, _LINE - 8), size)
    return strip
