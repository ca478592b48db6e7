# SPDX-License-Identifier: Apache-2.0
"""What surfaces look like, how lamps light them, and what an RGB camera makes of the light.

Colours are linear RGB with the primaries of sRGB (IEC 61966-2-1); reflectances lie in [0, 1]; lengths are metres.
Textures are solid: functions of a place in the surface's own frame, so that no mesh needs texture coordinates.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar
from typing import NamedTuple
from typing import Protocol

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.simulation.sensor import grain


class SurfacePoints(NamedTuple):
    """Points of one mesh: places (N, 3) in the frame of its texture, metres; the triangle (N,) of the mesh on which
    each lies, and its barycentric weights (N, 3) there."""

    places: np.ndarray
    faces: np.ndarray
    weights: np.ndarray


class Look(NamedTuple):
    """What points do with light: albedo (N, 3) diffuse; gloss (N, 3) specular reflectance at normal incidence;
    roughness (N,) 0 a mirror, 1 chalk; relief (N,) how far they stand out of the mesh, metres."""

    albedo: np.ndarray
    gloss: np.ndarray
    roughness: np.ndarray
    relief: np.ndarray


class Material(Protocol):
    """What a mesh is made of."""

    scatters: bool
    """Whether light travels in it, as in skin."""

    def look(self, points: SurfacePoints) -> Look: ...


_LATTICE = 64


@functools.cache
def _volume() -> np.ndarray:
    """A flat lattice of periodic noise whose octaves are about equally strong; mean 0, variance 1."""
    rng = np.random.default_rng(64)
    across = np.fft.fftfreq(_LATTICE) * _LATTICE
    frequency = np.sqrt(sum(axis**2 for axis in np.meshgrid(across, across, across, indexing='ij')))
    spectrum = np.fft.fftn(rng.standard_normal((_LATTICE,) * 3)) / np.maximum(frequency, 1) ** 1.7
    spectrum[0, 0, 0] = 0
    field = np.fft.ifftn(spectrum).real
    return (field / field.std()).astype(np.float32).ravel()


def noise(places: np.ndarray, size: float) -> np.ndarray:
    """Noise (N,) at places (N, 3), from features of about `size` metres down to a thirtieth; mean 0, variance 1."""
    scaled = places.T * np.float32(_LATTICE / (4 * size))
    low = np.floor(scaled)
    share = scaled - low
    first = low.astype(np.int32) & (_LATTICE - 1)
    second = (first + 1) & (_LATTICE - 1)
    plane, row = _LATTICE * _LATTICE, _LATTICE
    volume = _volume()

    def along_z(base: np.ndarray) -> np.ndarray:
        near = volume[base + first[2]]
        return near + (volume[base + second[2]] - near) * share[2]

    def along_y(base: np.ndarray) -> np.ndarray:
        near = along_z(base + first[1] * row)
        return near + (along_z(base + second[1] * row) - near) * share[1]

    near = along_y(first[0] * plane)
    return near + (along_y(second[0] * plane) - near) * share[0]


def step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth step from 0 at `low` to 1 at `high`."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def _cells(places: np.ndarray) -> np.ndarray:
    """A number of [0, 1] for each unit cube, unlike its neighbours'."""
    cell = (np.floor(places).astype(np.int64) @ np.array([73856093, 19349663, 83492791])).astype(np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):  # Wellons' mixer
        cell = (cell ^ (cell >> np.uint32(shift))) * np.uint32(factor)
    return (cell & np.uint32(1023)) / np.float32(1023)


def _stripes(p: np.ndarray) -> np.ndarray:
    return np.clip(4 * np.sin(2 * np.pi * p[:, 0]) + 0.5, 0, 1)


def _checks(p: np.ndarray) -> np.ndarray:
    return np.clip(8 * np.sin(np.pi * p[:, 0]) * np.sin(np.pi * p[:, 1]) + 0.5, 0, 1)


def _tartan(p: np.ndarray) -> np.ndarray:
    return 0.5 * (step(np.sin(2 * np.pi * p[:, 0]), 0.2, 0.4) + step(np.sin(2 * np.pi * p[:, 1]), 0.2, 0.4))


def _bricks(p: np.ndarray) -> np.ndarray:
    row = np.floor(p[:, 1])
    along = 0.5 * p[:, 0] + 0.5 * (row % 2)
    gap = np.minimum(np.abs(p[:, 1] - np.round(p[:, 1])), 2 * np.abs(along - np.round(along)))
    tone = 0.35 * _cells(np.stack([np.floor(along), row, 0 * row], 1))
    return np.where(gap < 0.04, 1.0, tone)


def _speckles(p: np.ndarray) -> np.ndarray:
    return step(noise(p, 1.0), 1.0, 1.3)


def _wood(p: np.ndarray) -> np.ndarray:
    rings = 3 * noise(p * np.array([0.12, 1, 1], np.float32), 2.0)
    fibre = noise(p * np.array([0.05, 4, 4], np.float32), 1.0)
    return np.clip(0.5 + 0.35 * np.sin(2 * np.pi * rings) + 0.15 * fibre, 0, 1)


def _clouds(p: np.ndarray) -> np.ndarray:
    # Two sizes that share no multiple, so that the noise's period does not show.
    return np.clip(0.5 + 0.25 * noise(p, 1.0) + 0.25 * noise(p[:, [1, 2, 0]], 1.618), 0, 1)


def _patches(p: np.ndarray) -> np.ndarray:
    return _cells(p * np.array([1, 0.6, 0.0]))


def _weave(p: np.ndarray) -> np.ndarray:
    threads = 0.5 + 0.25 * np.sin(2 * np.pi * p[:, 0]) + 0.25 * np.sin(2 * np.pi * p[:, 1])
    return np.clip(threads + 0.15 * noise(p, 20.0), 0, 1)


def _label(p: np.ndarray) -> np.ndarray:
    """A band about the middle of the z axis with words on it; the pattern's unit is the band's height."""
    around = np.arctan2(p[:, 1], p[:, 0]) * 2
    band = step(0.5 - np.abs(p[:, 2]), -0.01, 0.01)
    line, letter = np.floor(p[:, 2] * 9), np.floor(around * 14)
    word = _cells(np.stack([np.floor(letter / 5), line, 0 * line], 1)) > 0.45
    ink = (_cells(np.stack([letter, line, 0 * line], 1)) > 0.3) & word & (line % 2 == 0)
    return band * np.where(ink, 0.15, 1.0)


def _plain(p: np.ndarray) -> np.ndarray:
    return np.zeros(len(p), np.float32)


_PATTERNS = {
    'plain': _plain,
    'stripes': _stripes,
    'checks': _checks,
    'tartan': _tartan,
    'bricks': _bricks,
    'speckles': _speckles,
    'wood': _wood,
    'clouds': _clouds,
    'patches': _patches,
    'weave': _weave,
    'label': _label,
}


@dataclasses.dataclass(frozen=True)
class Paint:
    """Two colours mixed by a pattern."""

    scatters: ClassVar[bool] = False
    colours: np.ndarray
    """(2, 3)."""
    pattern: str = 'plain'
    size: float = 0.05
    """Of the pattern, metres."""
    frame: np.ndarray = dataclasses.field(default_factory=lambda: np.eye(3))
    """(3, 3) rows: the pattern's axes."""
    wear: float = 0.05
    """Strength of large stains."""
    reflectance: float = 0.04
    """Specular, at normal incidence."""
    roughness: float = 0.6
    metal: bool = False

    def look(self, points: SurfacePoints) -> Look:
        """The look of points of the mesh."""
        places = points.places @ self.frame.T.astype(np.float32)
        share = _PATTERNS[self.pattern](places / np.float32(self.size)).astype(np.float32)[:, None]
        colours = self.colours.astype(np.float32)
        colour = colours[0] + (colours[1] - colours[0]) * share
        if self.wear:
            colour = colour * np.exp(self.wear * noise(places, 0.15))[:, None]
        colour = np.clip(colour, 0, 0.95)
        roughness = np.full(len(places), self.roughness, np.float32)
        if self.metal:
            return Look(np.zeros_like(colour), colour, roughness, 0 * roughness)
        return Look(colour, np.full_like(colour, self.reflectance), roughness, 0 * roughness)


class _Kind(NamedTuple):
    """Of what a kind of things is made: the highest saturation; probability of each pattern, their size beside that
    of small things; probability that the two colours are alike; strength of stains; range of roughness."""

    vivid: float
    patterns: dict[str, float]
    scale: float
    alike: float
    wear: float
    roughness: tuple[float, float]


_KINDS = {
    'wall': _Kind(
        0.25,
        {'plain': 0.5, 'clouds': 0.1, 'stripes': 0.06, 'bricks': 0.08, 'patches': 0.08, 'checks': 0.03, 'wood': 0.15},
        5.0,
        0.85,
        0.06,
        (0.5, 1.0),
    ),
    'table': _Kind(
        0.35,
        {'wood': 0.4, 'plain': 0.2, 'clouds': 0.12, 'speckles': 0.13, 'checks': 0.08, 'tartan': 0.07},
        1.5,
        0.3,
        0.06,
        (0.2, 0.9),
    ),
    'cloth': _Kind(
        0.7,
        {'weave': 0.4, 'plain': 0.2, 'stripes': 0.12, 'checks': 0.08, 'tartan': 0.1, 'clouds': 0.1},
        1.0,
        0.6,
        0.2,
        (0.95, 1.0),
    ),
    'thing': _Kind(
        0.9,
        {
            'plain': 0.34,
            'label': 0.24,
            'stripes': 0.1,
            'speckles': 0.08,
            'checks': 0.06,
            'clouds': 0.07,
            'wood': 0.06,
            'patches': 0.05,
        },
        1.0,
        0.1,
        0.1,
        (0.15, 0.9),
    ),
}
_SIZES = {'weave': 0.003, 'speckles': 0.01, 'tartan': 0.05, 'wood': 0.03}


def sample_paint(kind: str, rng: np.random.Generator, frame: np.ndarray | None = None, height: float = 0.1) -> Paint:
    """The material of a thing.

    Args:
        kind: wall, table, cloth or thing.
        rng: the source of the draw.
        frame: (3, 3) rows: the axes of its pattern, the last one up or out of the surface; any where not given.
        height: along the last axis, metres.
    """
    made = _KINDS[kind]
    if frame is None:
        frame = Rotation.random(random_state=rng).as_matrix()
    pattern = str(rng.choice(list(made.patterns), p=list(made.patterns.values())))
    first, second = sample_colour(rng, made.vivid), sample_colour(rng, made.vivid)
    if kind == 'wall' and rng.random() < 0.7:
        first = np.clip(first * 1.6, 0, 0.85)
    if pattern == 'wood' and kind != 'wall':
        first = np.array([0.5, 0.3, 0.15]) * np.exp(rng.normal(0, 0.4) + rng.normal(0, 0.12, 3))
    if rng.random() < made.alike or pattern in ('wood', 'weave'):
        second = first * rng.uniform(0.5, 0.9) * np.exp(rng.normal(0, 0.1, 3))
    size = height * rng.uniform(0.3, 0.8) if pattern == 'label' else _SIZES.get(pattern, 0.03) * made.scale
    roughness, reflectance = rng.uniform(*made.roughness), 0.02 if kind == 'cloth' else 0.04
    metal = kind == 'thing' and pattern in ('plain', 'label') and rng.random() < 0.2
    if metal:
        first = np.clip(rng.uniform(0.45, 0.8) * np.exp(rng.normal(0, 0.06, 3)), 0, 0.9)
        roughness = rng.uniform(0.15, 0.5)
    return Paint(
        np.stack([first, second]),
        pattern,
        size * np.exp(rng.normal(0, 0.35)),
        frame,
        max(0.0, rng.uniform(-made.wear, made.wear)),
        reflectance,
        roughness,
        metal,
    )


def sample_colour(rng: np.random.Generator, vivid: float) -> np.ndarray:
    """(3,) a colour of things, linear; `vivid` is the highest saturation, 0 to 1."""
    hue, saturation, value = rng.random(), vivid * rng.beta(1.2, 1.6), rng.beta(1.6, 1.3)
    colour = cv2.cvtColor(np.float32([[[360 * hue, saturation, 0.08 + 0.9 * value]]]), cv2.COLOR_HSV2RGB)[0, 0]
    return linear(colour) * 0.9


def linear(values: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] → linear."""
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0.04045) + 0.055) / 1.055) ** 2.4)


def encoded(values: np.ndarray) -> np.ndarray:
    """Linear in [0, 1] → sRGB."""
    bent = 1.055 * np.maximum(values, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(values <= 0.0031308, values * 12.92, bent)


def dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(...) products of vectors (..., C)."""
    return np.einsum('...c,...c->...', one, other)


def units(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., C) of length 1."""
    return vectors / np.sqrt(np.maximum(dot(vectors, vectors), 1e-20))[..., None]


@dataclasses.dataclass(frozen=True)
class Lamp:
    """A lamp far away."""

    direction: np.ndarray
    """(3,) unit, towards it."""
    colour: np.ndarray
    """(3,) what a white surface that faces it sends back."""
    size: float
    """Tangent of half the angle under which it is seen."""


@dataclasses.dataclass(frozen=True)
class Lighting:
    """Lamps, and the room around, which lights from everywhere and is mirrored by what is glossy."""

    lamps: tuple[Lamp, ...]
    room: np.ndarray
    """(H, 2H, 3) light from each direction, its columns around and its rows down from `up`."""
    up: np.ndarray
    """(3,) unit."""

    @classmethod
    def sample(cls, up: np.ndarray, rng: np.random.Generator) -> Lighting:
        """One to three lamps, mostly above, one of them the strongest, and a room of soft patches and windows."""
        warmth = rng.uniform(2700, 8000)
        lamps = []
        strength = 1.0
        for _ in range(int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))):
            while True:
                direction = rng.standard_normal(3) + 0.9 * up + np.array([0, 0, -0.5])
                direction /= np.linalg.norm(direction)
                if direction @ up > -0.2 and direction[2] < 0.75:
                    break
            colour = strength * lamp_colour(warmth * np.exp(rng.normal(0, 0.12)))
            lamps.append(Lamp(direction, colour, float(np.exp(rng.uniform(np.log(0.02), np.log(0.6))))))
            strength *= rng.uniform(0.2, 0.8)
        fill = np.exp(rng.uniform(np.log(0.25), np.log(1.2))) * lamp_colour(warmth * np.exp(rng.normal(0, 0.2)))
        height = 32
        rows = np.linspace(1, -1, height)[:, None, None]
        floor = np.array([1, 0.9, 0.8]) * rng.uniform(0.2, 0.7)
        room = fill * (floor + (1 - floor) * (0.5 + 0.5 * rows)) * np.ones((1, 2 * height, 1))
        patches = grain(rng, (height, 2 * height), rng.uniform(4, 12))[..., None]
        room = room * np.exp(0.5 * patches + 0.08 * rng.standard_normal((height, 2 * height, 3)))
        for _ in range(rng.poisson(2)):  # windows and screens
            row, column = rng.integers(2, height // 2 + 6), rng.integers(2 * height)
            room[row : row + rng.integers(1, 7), column : column + rng.integers(1, 9)] += fill * rng.uniform(1, 6)
        # At the poles all columns are one direction.
        near_pole = np.abs(rows) ** 6
        room = room * (1 - near_pole) + room.mean(1, keepdims=True) * near_pole
        return cls(tuple(lamps), room.astype(np.float32), up)

    @functools.cached_property
    def _frame(self) -> np.ndarray:
        first = np.cross(self.up, [0.31, 0.11, 0.94])
        first /= np.linalg.norm(first)
        return np.stack([first, np.cross(self.up, first), self.up]).astype(np.float32)

    @functools.cached_property
    def _blurred(self) -> np.ndarray:
        """(3, H, 2H, 3) the room as mirrors of three roughnesses show it."""
        height = len(self.room)
        around = np.concatenate([self.room] * 3, 1)
        return np.stack(
            [cv2.GaussianBlur(around, (0, 0), width)[:, 2 * height : 4 * height] for width in (0.7, 2.5, 7.0)]
        )

    def mirrored(self, directions: np.ndarray, roughness: np.ndarray) -> np.ndarray:
        """(N, 3) the light from directions (N, 3), unit, spread by roughness (N,)."""
        height = len(self.room)
        x, y, z = (directions @ self._frame.T).T
        level = np.clip(roughness * 3.4 - 0.2, 0, 2).astype(np.int64)
        row = np.clip((np.arccos(np.clip(z, -1, 1)) * (height / np.pi)), 0, height - 1).astype(np.int64)
        column = ((np.arctan2(y, x) + np.pi) * (height / np.pi)).astype(np.int64) % (2 * height)
        return self._blurred[level, row, column]

    def seen(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) the room behind everything, as a camera sees it in directions (N, 3), unit."""
        height = len(self.room)
        x, y, z = (directions @ self._frame.T).T
        rows = np.clip(np.arccos(np.clip(z, -1, 1)) * (height / np.pi) - 0.5, 0, height - 1.001)
        columns = (np.arctan2(y, x) + np.pi) * (height / np.pi) - 0.5
        row, column = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
        down, right = (rows - row)[:, None].astype(np.float32), (columns - column)[:, None].astype(np.float32)
        left, column = column % (2 * height), (column + 1) % (2 * height)
        room = self._blurred[0]
        upper = room[row, left] * (1 - right) + room[row, column] * right
        lower = room[row + 1, left] * (1 - right) + room[row + 1, column] * right
        return upper * (1 - down) + lower * down

    @functools.cached_property
    def _poles(self) -> tuple[np.ndarray, np.ndarray]:
        height = len(self.room)
        weights = np.sin((np.arange(height) + 0.5) * np.pi / height)[:, None, None]
        half = height // 2
        return tuple(
            (part * weight).sum((0, 1)) / (weight.sum() * 2 * height)
            for part, weight in ((self.room[:half], weights[:half]), (self.room[half:], weights[half:]))
        )

    def ambient(self, normals: np.ndarray) -> np.ndarray:
        """(N, 3) what a white surface with normals (N, 3) sends back of the room's light, nothing in the way."""
        above, below = (pole.astype(np.float32) for pole in self._poles)
        share = (0.5 + 0.5 * (normals @ self.up.astype(np.float32)))[:, None]
        return below + (above - below) * share

    def white(self) -> np.ndarray:
        """(3,) the colour of all light together, the strongest component 1."""
        total = sum((lamp.colour for lamp in self.lamps), self.room.mean((0, 1)))
        return total / total.max()


def lamp_colour(kelvin: float) -> np.ndarray:
    """(3,) linear colour of a black body, 2000 to 12000 K, of luminance 1."""
    colour = np.array([np.interp(1e6 / kelvin, _MIREDS, channel) for channel in _BLACK_BODY.T])
    return colour / (colour @ _LUMINANCE)


_MIREDS = 1e6 / np.array([12000, 9000, 7500, 6500, 5500, 4500, 3500, 2700, 2000])
_BLACK_BODY = linear(
    np.array(
        [
            [195, 209, 255],
            [214, 225, 255],
            [230, 235, 255],
            [255, 249, 253],
            [255, 236, 224],
            [255, 219, 186],
            [255, 193, 132],
            [255, 169, 87],
            [255, 137, 14],
        ]
    )
    / 255
)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


class Lit(NamedTuple):
    """Light that leaves points (N, 3): `irradiance`, which the albedo takes its part of, and `shine` off the top."""

    irradiance: np.ndarray
    shine: np.ndarray


def light_up(
    look: Look,
    normals: np.ndarray,
    views: np.ndarray,
    lighting: Lighting,
    open_sky: np.ndarray,
    unshadowed: np.ndarray,
    wrap: np.ndarray,
) -> Lit:
    """Lights points.

    Args:
        look: of the points.
        normals, views: (N, 3) unit; out of the surface, and towards the camera.
        lighting: the lamps and the room.
        open_sky: (N,) share of the room that is not hidden by what is near.
        unshadowed: (N, L) share of each lamp that is not hidden.
        wrap: (N, 3) how far light bleeds beyond the terminator, a colour each: the look of light that runs under
            the skin (Green, "Real-time approximations to subsurface scattering", GPU Gems, 2004).
    """
    irradiance = lighting.ambient(normals) * open_sky[:, None]
    facing = np.maximum(dot(normals, views), np.float32(1e-3))
    mirror = 2 * facing[:, None] * normals - views
    grazing = 1 - facing
    squared = grazing * grazing
    edge = squared * squared * grazing * np.square(1 - look.roughness)
    fresnel = look.gloss + (1 - look.gloss) * edge[:, None]
    shine = lighting.mirrored(mirror, look.roughness) * fresnel * open_sky[:, None]
    # A normalised Blinn-Phong lobe, its power from the roughness as Burley's (SIGGRAPH course, 2012) maps it.
    power = 2 / np.square(np.square(np.maximum(look.roughness, np.float32(0.08))))
    for number, lamp in enumerate(lighting.lamps):
        direction, colour = lamp.direction.astype(np.float32), lamp.colour.astype(np.float32)
        cosine = normals @ direction
        through = unshadowed[:, number]
        bled = np.maximum((cosine[:, None] + wrap) / (1 + wrap), 0) * (1 / (1 + wrap))
        irradiance += bled * (colour * through[:, None])
        half = units(views + direction)
        lobe = np.maximum(dot(normals, half), np.float32(1e-6))
        peak = np.minimum(power, 2 / (lamp.size**2 + 1e-4))  # a large lamp makes a large highlight
        strength = (peak + 2) / 8 * np.exp((lobe - 1) * peak) * np.maximum(cosine, 0) * through
        shine += look.gloss * (strength[:, None] * colour)
    return Lit(irradiance, shine)


@dataclasses.dataclass(frozen=True)
class RgbSensor:
    """An RGB camera. Lengths in pixels of its full-size image."""

    exposure: float = 0.0
    """Stops beside what its meter says."""
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """The white balance."""
    contrast: float = 1.0
    saturation: float = 1.0
    vignetting: float = 0.0
    """0 none, 1 the natural fall of light, cos⁴."""
    motion: tuple[float, float] = (0.0, 0.0)
    """The way that the image travels while the shutter is open."""
    defocus: float = 0.4
    """Standard deviation of the blur."""
    shot_noise: float = 0.0
    """Variance to one unit of light, white being 1."""
    read_noise: float = 0.0
    """Standard deviation."""
    quality: int | None = None
    """Of JPEG, None without it."""

    @classmethod
    def sample(cls, white: np.ndarray, rng: np.random.Generator) -> RgbSensor:
        """A camera whose white balance, exposure and focus are about right.

        Args:
            white: (3,) the light's colour.
            rng: the source of the draw.
        """
        gains = white ** -rng.uniform(0.8, 1.02) * np.exp(rng.normal(0, 0.025, 3))
        speed = 0.0 if rng.random() < 0.75 else rng.gamma(1.5, 2.5)
        angle = rng.uniform(0, np.pi)
        noisy = rng.random() < 0.5
        return cls(
            rng.normal(0, 0.3),
            tuple(gains / (gains @ _LUMINANCE)),
            rng.uniform(1.0, 1.3),
            rng.uniform(0.8, 1.2),
            rng.uniform(0, 1),
            (speed * np.cos(angle), speed * np.sin(angle)),
            rng.uniform(0.3, 0.8) if rng.random() < 0.85 else rng.uniform(0.8, 1.6),
            np.exp(rng.uniform(np.log(1e-5), np.log(6e-4))) if noisy else 0.0,
            np.exp(rng.uniform(np.log(1e-3), np.log(5e-3))) if noisy else 0.0,
            int(rng.integers(55, 97)) if rng.random() < 0.7 else None,
        )

    def develop(self, light: np.ndarray, camera: Pinhole, rng: np.random.Generator, pitch: float = 1.0) -> np.ndarray:
        """Makes the image of the light that falls in.

        Args:
            light: (H, W, 3) linear, of any scale.
            camera: of this image.
            rng: source of the noise.
            pitch: pixels of the full-size image to one pixel of this one.

        Returns:
            (H, W, 3) uint8, sRGB.
        """
        light = light.astype(np.float32)
        across = ((np.arange(camera.width) - camera.cx) / camera.fx)[None, :]
        down = ((np.arange(camera.height) - camera.cy) / camera.fy)[:, None]
        fall = (1 + across**2 + down**2) ** (-2 * self.vignetting)
        metered = np.sqrt(np.maximum(light @ _LUMINANCE.astype(np.float32), 0)).mean() ** 2 + 1e-6
        light = light * (fall * (0.3 * 2**self.exposure / metered)).astype(np.float32)[..., None]
        if self.defocus / pitch > 0.25:
            light = cv2.GaussianBlur(light, (0, 0), self.defocus / pitch)
        if np.hypot(*self.motion) / pitch > 1:
            light = cv2.filter2D(light, -1, _streak(np.array(self.motion) / pitch))
        light = light * np.float32(self.gains)
        if self.shot_noise or self.read_noise:
            variance = (self.shot_noise * light + self.read_noise**2) / max(pitch, 1) ** 2
            light = light + np.sqrt(variance) * _colour_grain(rng, light.shape, 1 / pitch)
        grey = (light @ _LUMINANCE.astype(np.float32))[..., None]
        light = grey + (light - grey) * np.float32(self.saturation)
        # Film and cameras bend highlights instead of cutting them off.
        values = encoded(1 - np.exp(-1.2 * np.maximum(light, 0)))
        values = np.clip(0.45 + (values - 0.45) * self.contrast, 0, 1)
        image = (values * 255 + 0.5).astype(np.uint8)
        if self.quality is None:
            return image
        _, packed = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1])


def _streak(way: np.ndarray) -> np.ndarray:
    """A kernel that smears along a way of pixels (2,)."""
    size = 2 * int(np.ceil(np.abs(way).max() / 2)) + 3
    kernel = np.zeros((size, size), np.float32)
    middle = np.array([size // 2, size // 2])
    scale = 16
    start, end = (np.round((middle + share * way) * scale).astype(int) for share in (-0.5, 0.5))
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0, 1, cv2.LINE_AA, shift=4)
    return kernel / kernel.sum()


def _colour_grain(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> np.ndarray:
    """Unit noise (H, W, 3), a little alike between neighbours and colours, as demosaicking makes it."""
    kernel = cv2.getGaussianKernel(5, max(0.5 * width, 0.3), cv2.CV_32F)
    return cv2.sepFilter2D(rng.standard_normal(shape, np.float32), -1, kernel, kernel) / (kernel**2).sum()
