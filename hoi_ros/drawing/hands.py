# SPDX-License-Identifier: Apache-2.0
"""Draws hands and the objects they hold over their image."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import cv2
import numpy as np

from hoi_ros.camera import Pinhole
from hoi_ros.camera.lens import Lens
from hoi_ros.drawing.contact_colours import contact_colours
from hoi_ros.drawing.depth import colour_depth
from hoi_ros.drawing.text import draw_text
from hoi_ros.drawing.text import text_size
from hoi_ros.hand import KEYPOINT_PARENTS
from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.mesh.normals import cross
from hoi_ros.mesh.splitting import split

Camera = Pinhole | Lens
"""What projects into the picture: of an undistorted image, or of one as the camera sent it."""
Colour = tuple[int, int, int]

# One hue a finger, thumb to little; the wrist is white.
FINGER_COLOURS: tuple[Colour, ...] = ((230, 75, 60), (240, 175, 50), (90, 200, 90), (70, 160, 235), (180, 110, 220))
# The 21 joints: darker at the knuckle, brighter at the tip.
JOINT_COLOURS: tuple[Colour, ...] = (
    (255, 255, 255),
    *(
        (min(round(red * light), 255), min(round(green * light), 255), min(round(blue * light), 255))
        for red, green, blue in FINGER_COLOURS
        for light in (0.8, 0.9, 1.0, 1.1)
    ),
)
SIDE_COLOURS: dict[str, Colour] = {'right': (235, 190, 160), 'left': (160, 205, 235)}
REGION_COLOUR: Colour = (255, 220, 0)
OBJECT_COLOUR: Colour = (120, 205, 110)
_MESH_OPACITY, _TOUCHING_OPACITY = 0.6, 0.8
_LONGEST_EDGE, _MOST_SPLITS = 0.015, 6
"""Of triangles that are sorted by their distance, metres; each split halves the longest edges."""
_NORMAL_LENGTH = 0.012
"""Of a contact's normal, metres."""
_NEAREST = 0.01  # metres: nothing nearer to the camera's centre is drawn


def draw_hands(
    image: np.ndarray,
    hands: Sequence[HandEstimate],
    camera: Camera,
    faces_by_side: Mapping[str, np.ndarray],
    object_faces: np.ndarray | None = None,
) -> np.ndarray:
    """Draws mesh, skeleton and label of each hand and the outline of its object, the farthest hand first. The outline
    is thin where the box of the object is withheld. A hand with contact and its object are coloured by it instead, with
    contact points and their normals.

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) float32 depth in metres (0 where unknown).
        hands: as a stage returns them.
        camera: of the image, a `Lens` where it is distorted; rescaled where the image has another size.
        faces_by_side: (F, 3) vertex indices of the 'right' and the 'left' mesh.
        object_faces: (F, 3) of the objects' mesh; None to draw no objects.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    picture = colour_depth(image) if image.ndim == 2 else image.copy()
    height, width = picture.shape[:2]
    if (width, height) != (camera.width, camera.height):
        camera = camera.scaled(width, height)
    for hand in sorted(hands, key=lambda hand: -float(hand.joints[:, 2].mean())):
        grasp = f' {hand.grasp.type}' if hand.grasp is not None else ''
        if hand.contact is not None and hand.held is not None and object_faces is not None and len(hand.vertices):
            _draw_touching(picture, hand, hand.held, hand.contact, faces_by_side[hand.side], object_faces, camera)
            _label(picture, f'{hand.side} {hand.score:.2f}{grasp}', hand.joints, camera)
            continue
        if len(hand.vertices):
            draw_mesh(picture, hand.vertices, faces_by_side[hand.side], camera, SIDE_COLOURS[hand.side])
        if object_faces is not None and hand.held is not None and len(hand.held.vertices):
            thin = not hand.held.has_box
            draw_outline(picture, hand.held.vertices, object_faces, camera, OBJECT_COLOUR, thin)
        draw_skeleton(picture, hand.joints, camera)
        _label(picture, f'{hand.side} {hand.score:.2f}', hand.joints, camera)
    return picture


def draw_regions(picture: np.ndarray, regions: Sequence[Region]) -> None:
    """Draws the rectangles in which hands are detected, into the picture.

    Args:
        picture: (H, W, 3) uint8 RGB.
        regions: in its pixels.
    """
    thickness = max(1, picture.shape[1] // 320)
    for region in regions:
        first = round(region.x), round(region.y)
        last = round(region.x + region.width) - 1, round(region.y + region.height) - 1
        cv2.rectangle(picture, first, last, REGION_COLOUR, thickness)


def draw_mesh(
    picture: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    camera: Camera,
    colour: Colour | np.ndarray,
    opacity: float = _MESH_OPACITY,
) -> None:
    """Draws a closed mesh into an RGB picture (H, W, 3): translucent, lit from the camera, far triangles first.

    Args:
        picture: changed in place.
        vertices: (V, 3) metres in the camera's optical frame.
        faces: (F, 3), counter-clockwise from outside.
        camera: of the picture.
        colour: RGB of a surface that faces the camera, or (F, 3) of each triangle.
        opacity: 0 to 1.
    """
    corners = vertices[faces]
    in_front = (corners[..., 2] > _NEAREST).all(-1)
    corners, colours = corners[in_front], np.broadcast_to(colour, faces.shape)[in_front]
    normals = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    centres = corners.mean(1)
    # Cosine between the normal and the ray to the camera; back faces are hidden by front faces.
    length = np.linalg.norm(normals, axis=-1) * np.linalg.norm(centres, axis=-1)
    cosine = -(normals * centres).sum(-1) / np.maximum(length, 1e-12)
    pixels = camera.project(corners)
    low, high = pixels.min(1), pixels.max(1)
    shown = (cosine > 0) & (high >= -0.5).all(-1) & (low < [camera.width, camera.height]).all(-1)
    shown &= (high - low < 4 * max(camera.width, camera.height)).all(-1)
    if not shown.any():
        return
    order = np.flatnonzero(shown)[np.argsort(-centres[shown, 2])]
    left, top = np.maximum(np.floor(low[order].min(0)), 0).astype(int)
    right, bottom = np.ceil(high[order].max(0)).astype(int) + 1
    window = picture[top:bottom, left:right]
    layer = window.copy()
    shift = 4
    polygons = np.round((pixels[order] - [left, top]) * 2**shift).astype(np.int32)
    shades = ((0.35 + 0.65 * cosine[order, None]) * colours[order]).tolist()
    for polygon, shade in zip(polygons, shades):
        cv2.fillConvexPoly(layer, polygon, shade, cv2.LINE_8, shift)
    # Outside the mesh, layer and window are equal: blending changes nothing there.
    cv2.addWeighted(layer, opacity, window, 1 - opacity, 0, dst=window)


def _draw_touching(
    picture: np.ndarray,
    hand: HandEstimate,
    held: ObjectEstimate,
    contact: ContactEstimate,
    faces: np.ndarray,
    object_faces: np.ndarray,
    camera: Camera,
) -> None:
    """Draws a hand and its object, coloured by contact, and the contact points of each finger with normals."""
    # As one mesh of small triangles: the far ones are drawn first.
    corners, parents = split(
        np.concatenate([hand.vertices[faces], held.vertices[object_faces]]), _LONGEST_EDGE, _MOST_SPLITS
    )
    colours = [
        contact_colours(values[indices].mean(1), own)
        for values, indices, own in (
            (contact.hand, faces, SIDE_COLOURS[hand.side]),
            (contact.object, object_faces, OBJECT_COLOUR),
        )
    ]
    triangles = np.arange(3 * len(corners)).reshape(-1, 3)
    draw_mesh(picture, corners.reshape(-1, 3), triangles, camera, np.concatenate(colours)[parents], _TOUCHING_OPACITY)
    if not len(contact.points) or min(contact.points[:, 2]) < _NEAREST:
        return
    thickness = max(1, round(camera.width / 640))
    outside = contact.points - _NORMAL_LENGTH * contact.normals
    ends = (_on_canvas(camera.project(points), camera) for points in (contact.points, outside))
    for point, end, finger in zip(*ends, contact.fingers.tolist()):
        colour = FINGER_COLOURS[finger] if finger < len(FINGER_COLOURS) else JOINT_COLOURS[0]
        cv2.line(picture, point, end, colour, thickness, cv2.LINE_AA)
        cv2.circle(picture, point, thickness + 1, (0, 0, 0), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(picture, point, thickness, colour, cv2.FILLED, cv2.LINE_AA)


def draw_outline(
    picture: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    camera: Camera,
    colour: Colour,
    thin: bool = False,
) -> None:
    """Draws the outline of a mesh into an RGB picture (H, W, 3), which stays visible inside it.

    Args:
        picture: changed in place.
        vertices: (V, 3) metres in the camera's optical frame.
        faces: (F, 3).
        camera: of the picture.
        colour: RGB of the line.
        thin: a hairline without a rim, for an object whose shape is uncertain.
    """
    corners = vertices[faces]
    pixels = camera.project(corners[(corners[..., 2] > _NEAREST).all(-1)])
    low, high = pixels.min(1), pixels.max(1)
    shown = (high >= 0).all(-1) & (low < [camera.width, camera.height]).all(-1)
    shown &= (high - low < 4 * max(camera.width, camera.height)).all(-1)
    covered = np.zeros(picture.shape[:2], np.uint8)
    for polygon in np.round(pixels[shown]).astype(np.int32):
        cv2.fillConvexPoly(covered, polygon, 1)
    contours, _ = cv2.findContours(covered, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thickness = max(2, round(camera.width / 320))
    if thin:
        cv2.drawContours(picture, contours, -1, colour, max(1, thickness // 3), cv2.LINE_AA)
        return
    # A dark rim keeps the line visible on a bright picture.
    for shade, width in (((0, 0, 0), thickness + 2), (colour, thickness)):
        cv2.drawContours(picture, contours, -1, shade, width, cv2.LINE_AA)


def draw_skeleton(picture: np.ndarray, joints: np.ndarray, camera: Camera) -> None:
    """Draws 21 joints (metres) and their bones into an RGB picture (H, W, 3), one colour a finger, brighter tips."""
    visible = joints[:, 2] > _NEAREST
    pixels = _on_canvas(camera.project(np.where(visible[:, None], joints, [0, 0, 1])), camera)
    thickness = max(1, round(camera.width / 400))
    for joint, parent in enumerate(KEYPOINT_PARENTS):
        if parent >= 0 and visible[joint] and visible[parent]:
            cv2.line(picture, pixels[parent], pixels[joint], JOINT_COLOURS[joint], thickness, cv2.LINE_AA)
    for joint in np.flatnonzero(visible).tolist():
        cv2.circle(picture, pixels[joint], thickness + 1, JOINT_COLOURS[joint], cv2.FILLED, cv2.LINE_AA)


def _label(picture: np.ndarray, text: str, joints: np.ndarray, camera: Camera) -> None:
    """Draws the text above the joints, inside the picture."""
    front = joints[joints[:, 2] > _NEAREST]
    if not len(front):
        return
    pixels = np.array(_on_canvas(camera.project(front), camera))
    size = max(0.4, camera.width / 1100)
    width, height, base = text_size(text, size)
    x = int(np.clip(pixels[:, 0].min(), 0, max(camera.width - width, 0)))
    y = int(np.clip(pixels[:, 1].min() - base - 4, height, max(camera.height - base, height)))
    draw_text(picture, text, (x, y), size)


def _on_canvas(pixels: np.ndarray, camera: Camera) -> list[tuple[int, int]]:
    """Integer pixels, clipped to what OpenCV's integers hold."""
    reach = 8 * max(camera.width, camera.height)
    return [tuple(pixel) for pixel in np.clip(np.round(pixels), -reach, reach).astype(int).tolist()]
