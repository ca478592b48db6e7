# SPDX-License-Identifier: Apache-2.0
"""The skin of hands and arms: tones, and the marks of a hand: palm, knuckles, creases, nails, tendons."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
from typing import ClassVar

import cv2
import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.mesh.normals import vertex_normals
from training.data.synthetic.colour import sample_colour
from training.data.synthetic.material import Look
from training.data.synthetic.material import SurfacePoints
from training.data.synthetic.texture import noise
from training.data.synthetic.texture import step
from training.data.synthetic.vectors import units


def skin_colour(typology: float, redness: float, yellowness: float) -> np.ndarray:
    """(3,) linear RGB of skin.

    Args:
        typology: individual typology angle arctan((L* − 50) / b*), degrees; people span about −50 (dark) to 60
            (very light) (Del Bino & Bernerd, British Journal of Dermatology 169, 2013).
        redness, yellowness: a* and b* of CIELAB.
    """
    lightness = 50 + yellowness * np.tan(np.radians(typology))
    lab = np.float32([[[lightness, redness, yellowness]]])
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2LRGB)[0, 0].astype(float), 0.01, 0.9)


class HandMarks:
    """Marks over the surface of a hand: palm, redness, creases, nails, and the relief of tendons and knuckles in mm.

    They are tabulated on a fine grid on each triangle.

    Args:
        model: the right hand.
    """

    names = ('palm', 'red', 'crease', 'nail', 'nail_edge', 'relief')
    _STEPS = 8

    def __init__(self, model: HandModel) -> None:
        steps = self._STEPS
        rows, columns = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1), indexing='ij')
        second, third = rows.ravel() / steps, columns.ravel() / steps
        weights = np.stack([1 - second - third, second, third], 1)
        corners = model.faces
        normals = vertex_normals(model.template, model.faces).astype(np.float32)

        def spread(values: np.ndarray) -> np.ndarray:
            return np.einsum('gk,fkc->fgc', weights, values[corners]).reshape(-1, values.shape[1])

        marks = _hand_marks(model, spread(model.template), units(spread(normals)), spread(model.weights))
        self._table = marks.astype(np.float32).reshape(-1, len(self.names))
        self._order = 1

    @classmethod
    def of(cls, model: HandModel) -> HandMarks:
        """The marks of a model, computed once per process: that takes a second."""
        key = hashlib.sha256(model.template.tobytes() + model.weights.tobytes() + model.faces.tobytes()).digest()
        if key not in _MARKS:
            _MARKS[key] = cls(model)
        return _MARKS[key]

    def mirrored(self) -> HandMarks:
        """The marks of `HandModel.mirrored`, whose triangles have their corners in reverse order."""
        other = copy.copy(self)
        other._order = -self._order
        return other

    def at(self, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N, 6) the marks, as in `names`, at points of triangles (N,) with barycentric weights (N, 3)."""
        steps = self._STEPS
        scaled = np.clip(weights[:, :: self._order][:, 1:], 0, 1) * (steps * 0.9999)
        low = np.floor(scaled).astype(np.int64)
        share = (scaled - low).astype(np.float32)
        base = (faces * (steps + 1) + low[:, 0]) * (steps + 1) + low[:, 1]
        lower = share.sum(1) < 1
        # Each cell of the grid is two triangles: around its first corner and around the opposite one.
        pivot = np.where(lower, base, base + steps + 2)
        one = np.where(lower, share[:, 0], 1 - share[:, 0])[:, None]
        other = np.where(lower, share[:, 1], 1 - share[:, 1])[:, None]
        down, right = np.where(lower, base + steps + 1, base + 1), np.where(lower, base + 1, base + steps + 1)
        table = self._table
        return table[pivot] * (1 - one - other) + table[down] * one + table[right] * other


_MARKS: dict[bytes, HandMarks] = {}
"""By the content of the hand model."""


def _hand_marks(model: HandModel, places: np.ndarray, normals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, 6) marks at places (N, 3) of the hand at rest with normals (N, 3) and skinning weights (N, 16)."""
    joints, tips = model.joints, model.tips
    across, along = model.axes[..., 0], model.axes[..., 2]
    index, middle, ring, little = (
        joints[JOINT_NAMES.index(f'{name}_mcp')] for name in ('index', 'middle', 'ring', 'little')
    )
    wrist = joints[0]
    palmwards = np.cross(across, along)  # direction in which flexion moves the bone
    palmwards[0] = units(np.cross(index - wrist, little - wrist))
    out = palmwards[0]
    facing = (normals * units(weights @ palmwards)).sum(1)
    palm = step(facing, -0.25, 0.35)
    beyond_wrist = (places - wrist) @ units(middle - wrist)
    palm *= step(beyond_wrist, -0.03, 0.01)
    back = step(-facing, -0.1, 0.5)

    red, crease = np.zeros(len(places)), np.zeros(len(places))
    nail, nail_edge, relief = np.zeros(len(places)), np.zeros(len(places)), np.zeros(len(places))

    def bump(distance: np.ndarray, width: float) -> np.ndarray:
        return np.exp(-0.5 * (distance / width) ** 2)

    def line(along_bone: np.ndarray, offset: float, width: float = 0.0006) -> np.ndarray:
        return bump(along_bone - offset, width)

    for joint in range(1, 16):
        finger = weights[:, _finger_joints(joint)].sum(1)
        away = places - joints[joint]
        on_bone = away @ along[joint]
        near = step(-np.linalg.norm(away, axis=1), -0.024, -0.016) * step(finger, 0.3, 0.6)
        first = JOINT_NAMES[joint].endswith(('mcp', 'cmc')) and not JOINT_NAMES[joint].startswith('thumb')
        if first:
            red = np.maximum(red, 0.8 * back * bump(np.linalg.norm(away, axis=1), 0.011))
            flat = away - (away @ out)[:, None] * out
            tendon = units(joints[joint] - wrist)
            on_tendon = (flat @ tendon) / np.linalg.norm(joints[joint] - wrist)
            aside = np.linalg.norm(flat - (flat @ tendon)[:, None] * tendon, axis=1)
            relief += 1.5 * back * bump(np.linalg.norm(flat, axis=1), 0.0055)
            relief += 0.7 * back * bump(aside, 0.002) * step(-on_tendon, 0.05, 0.2) * step(on_tendon, -0.95, -0.6)
            length = np.linalg.norm(joints[joint + 1] - joints[joint])
            crease = np.maximum(crease, palm * finger * line(on_bone, 0.5 * length, 0.0008))
        elif JOINT_NAMES[joint] != 'thumb_cmc':
            red = np.maximum(red, 0.8 * back * near * bump(on_bone, 0.008))
            relief += 0.5 * back * near * bump(on_bone, 0.005)
            for offset in (-0.0012, 0.0014):
                crease = np.maximum(crease, palm * near * line(on_bone, offset))
            for offset in (-0.004, -0.0018, 0.0004, 0.0026):
                crease = np.maximum(crease, 0.6 * back * near * line(on_bone, offset, 0.0004))
    for one, other in itertools.pairwise((index, middle, ring, little)):
        valley = places - (one + other) / 2 - 0.006 * units(middle - wrist)
        valley -= (valley @ out)[:, None] * out
        relief -= 0.8 * back * bump(np.linalg.norm(valley, axis=1), 0.004)
    for tip, joint in zip(tips, TIP_JOINTS, strict=True):
        bone = tip - joints[joint]
        length = np.linalg.norm(bone)
        share = (places - joints[joint]) @ bone / length**2
        own = weights[:, joint] > 0.5
        width = 2 * np.abs((places - joints[joint]) @ across[joint])[own].max()
        aside = np.abs((places - joints[joint]) @ across[joint]) / width
        dorsal = step(-(normals @ palmwards[joint]), 0.35, 0.55) * own
        round_end = 0.3 * (aside / 0.24) ** 2 * (share < 0.75)
        plate = dorsal * step(share - round_end, 0.52, 0.57) * step(-aside, -0.25, -0.21)
        nail = np.maximum(nail, plate)
        nail_edge = np.maximum(nail_edge, plate * step(share, 0.94, 0.99))
        rim = dorsal * bump(share - 0.54, 0.03) * step(-aside, -0.27, -0.2)
        crease = np.maximum(crease, 0.5 * rim)
        red = np.maximum(red, own * bump(np.linalg.norm(places - tip, axis=1), 0.011))

    side = units(index - little)
    for path in (  # the lines of the palm: heart, head and life
        (
            little + 0.25 * (wrist - little) - 0.012 * side,
            ring + 0.24 * (wrist - ring),
            middle + 0.16 * (wrist - middle),
            0.5 * (index + middle),
        ),
        (
            index + 0.2 * (wrist - index) + 0.01 * side,
            middle + 0.34 * (wrist - middle),
            ring + 0.45 * (wrist - ring),
            little + 0.5 * (wrist - little),
        ),
        (
            index + 0.2 * (wrist - index) + 0.01 * side,
            middle + 0.42 * (wrist - middle) + 0.004 * side,
            middle + 0.66 * (wrist - middle) + 0.004 * side,
            wrist + 0.1 * (middle - wrist) + 0.012 * side,
        ),
    ):
        on_palm = palm * (weights[:, 0] > 0.3)
        crease = np.maximum(crease, on_palm * bump(_distance_to_path(places, path, out), 0.0007))
    for offset in (-0.002, -0.01):
        crease = np.maximum(crease, 0.7 * step(facing, 0, 0.4) * line(beyond_wrist, offset))
    red = np.maximum(red, 0.35 * palm)
    relief += 0.15 * nail - 0.5 * crease
    return np.stack([palm, red, crease, nail, nail_edge, relief], 1)


def _finger_joints(joint: int) -> list[int]:
    first = JOINT_NAMES[joint].split('_')[0]
    return [number for number, name in enumerate(JOINT_NAMES) if name.startswith(first)]


def _distance_to_path(places: np.ndarray, path: tuple[np.ndarray, ...], out: np.ndarray) -> np.ndarray:
    """(N,) distance to a smooth curve through points, projected along `out`."""
    knots = np.linspace(0, 1, len(path))
    curve = np.stack(
        [
            np.polyval(np.polyfit(knots, np.array(path)[:, axis], len(path) - 1), np.linspace(0, 1, 60))
            for axis in range(3)
        ],
        1,
    )
    plane = np.linalg.svd(out[None])[2][1:].T
    return cKDTree(curve @ plane).query(places @ plane)[0]


@dataclasses.dataclass(frozen=True)
class Skin:
    """The skin of a person; hands have marks, arms and heads have none."""

    scatters: ClassVar[bool] = True

    back: np.ndarray
    """(3,) colour of the back of the hand and of the arm."""
    palm: np.ndarray
    """(3,)."""
    blood: float
    """Strength of the redness."""
    mottling: float
    creases: float
    veins: float
    """Height of the veins, millimetres."""
    oil: float
    """0 dry to 1 oily."""
    nails: np.ndarray | None
    """(3,) colour of nail varnish; None for none."""
    offset: np.ndarray
    """(3,) offset into the noise, metres."""
    marks: HandMarks | None = None

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Skin:
        """Draws a skin, uniform over the typology angles of people."""
        typology = rng.uniform(-45, 58)
        # Measured redness and yellowness of the hand's back (Xiao et al., Skin Research and Technology 23, 2017);
        # from light to dark skin chroma first rises, then falls.
        yellow = 12 + 6 * np.exp(-0.5 * ((typology - 25) / 25) ** 2) + rng.normal(0, 1.2)
        red = np.interp(typology, [-50, 10, 60], [8, 11, 9]) + rng.normal(0, 1.5)
        pale = typology + max(0.0, 0.65 * (42 - typology))
        return cls(
            back=skin_colour(typology, red, yellow),
            palm=skin_colour(pale, red + rng.uniform(1, 4), yellow - 1),
            blood=rng.uniform(0.05, 0.45),
            mottling=rng.uniform(0.02, 0.08),
            creases=rng.uniform(0.2, 0.8),
            veins=rng.uniform(0, 0.5),
            oil=rng.beta(1.2, 3.5),
            nails=sample_colour(rng, 0.95) if rng.random() < 0.06 else None,
            offset=rng.uniform(0, 9, 3),
        )

    def of_hand(self, marks: HandMarks) -> Skin:
        """The same skin on a hand."""
        return dataclasses.replace(self, marks=marks)

    def look(self, points: SurfacePoints) -> Look:
        """The optical properties of points of a hand or an arm."""
        places = points.places + self.offset.astype(np.float32)
        large, small = noise(places, 0.03), noise(places, 0.004)
        back, both = self.back.astype(np.float32), (self.palm - self.back).astype(np.float32)
        gloss = np.full(len(places), 0.02 + 0.03 * self.oil, np.float32)
        roughness = 0.62 - 0.25 * self.oil + 0.06 * small
        veins = self.veins * np.maximum(1 - 4 * np.abs(noise(places, 0.045)), 0)
        dark = self.mottling * (0.5 * large + 0.7 * small)
        blood, relief = self.mottling * large, veins + 0.04 * small
        if self.marks is None:
            colour = back * _absorbed(blood, dark)
        else:
            palm, red, crease, nail, edge, raised = self.marks.at(points.faces, points.weights).T
            blood = blood + self.blood * red * (1 + 0.3 * large)
            colour = (back + both * palm[:, None]) * _absorbed(blood, dark + self.creases * 0.55 * crease)
            if self.nails is None:
                colour = colour * np.exp(nail[:, None] * np.float32([0.18, 0.1, 0.12]))
                colour = colour + (np.float32([0.7, 0.64, 0.56]) - colour) * (0.3 * edge)[:, None]
            else:
                colour = colour + (self.nails.astype(np.float32) - colour) * (0.9 * nail)[:, None]
            gloss, roughness = gloss + (0.045 - gloss) * nail, roughness + (0.3 - roughness) * nail
            relief = raised + veins * (1 - palm) + 0.04 * small
        return Look(np.clip(colour, 0.005, 0.9), np.repeat(gloss[:, None], 3, 1), roughness, 0.001 * relief)


def _absorbed(blood: np.ndarray, melanin: np.ndarray) -> np.ndarray:
    """(N, 3) share of red, green and blue that additional blood (N,) and melanin (N,) leave: least red is absorbed
    (Jacques, Physics in Medicine and Biology 58, 2013)."""
    return np.exp(-blood[:, None] * np.float32([0.08, 1.0, 0.75]) - melanin[:, None] * np.float32([0.7, 1.0, 1.3]))
