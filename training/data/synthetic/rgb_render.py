# SPDX-License-Identifier: Apache-2.0
"""The light that a scene sends into a camera, by ray casting on the CPU: shadows, the room's light, skin."""

from __future__ import annotations

import functools
from typing import NamedTuple

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from training.data.synthetic.appearance import dot
from training.data.synthetic.appearance import light_up
from training.data.synthetic.appearance import Lighting
from training.data.synthetic.appearance import Look
from training.data.synthetic.appearance import Material
from training.data.synthetic.appearance import sample_paint
from training.data.synthetic.appearance import SurfacePoints
from training.data.synthetic.appearance import units
from training.data.synthetic.scenes import NOTHING
from training.data.synthetic.scenes import Parts
from training.data.synthetic.scenes import SceneHand
from training.data.synthetic.scenes import View


class Surfaces(Parts):
    """Meshes with their materials. Those that the scenes' builders add get one by their kind.

    Args:
        up: (3,) unit.
        rng: draws the materials.

    Attributes:
        skin, cloth: of the person whose parts are added.
        materials: one a mesh.
    """

    def __init__(self, up: np.ndarray, rng: np.random.Generator) -> None:
        super().__init__()
        self._up, self._rng = up, rng
        self.skin: Material | None = None
        self.cloth: Material | None = None
        self.materials: list[Material] = []
        self._counts: list[int] = []
        self._places: list[np.ndarray] = []

    def add(self, vertices: np.ndarray, faces: np.ndarray, owner: int, kind: str = 'thing') -> None:
        if kind == 'skin':
            material = self.skin
        elif kind == 'cloth':
            material = self.cloth
        elif kind == 'thing':
            self.put(
                vertices,
                faces,
                owner,
                sample_paint('thing', self._rng, height=float(np.ptp(vertices, 0).max())),
                vertices - vertices.mean(0),
            )
            return
        else:
            corners = vertices[faces[0]]
            out = units(np.cross(corners[1] - corners[0], corners[2] - corners[0]))
            # Walls have upright patterns, tables lie any way.
            along = self._up if kind == 'wall' else self._rng.standard_normal(3)
            first = units(np.cross(along, out))
            material = sample_paint(kind, self._rng, np.stack([first, np.cross(out, first), out]))
        self.put(vertices, faces, owner, material, vertices)

    def put(self, vertices: np.ndarray, faces: np.ndarray, owner: int, material: Material, places: np.ndarray) -> None:
        """Adds a mesh of a material; places (V, 3) are its vertices in the frame of its texture, metres."""
        super().add(vertices, faces, owner)
        self.materials.append(material)
        self._counts.append(len(faces))
        self._places.append(places)

    @property
    def places(self) -> np.ndarray:
        """(V, 3) all vertices in the frames of their textures."""
        return np.concatenate(self._places).astype(np.float32)

    @property
    def meshes(self) -> np.ndarray:
        """(F,) the number of the mesh that each triangle belongs to."""
        return np.repeat(np.arange(len(self._counts)), self._counts)


class Rays:
    """Triangles, and rays that meet them."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        import open3d  # loaded here: it takes a second, and whoever only reads a data set does without

        self._tensor = open3d.core.Tensor
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(
            self._tensor(np.ascontiguousarray(vertices, np.float32)),
            self._tensor(np.ascontiguousarray(faces, np.uint32)),
        )

    def first(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From the origin along directions (N, 3).

        Returns:
            How many directions away the first hit is (N,), infinite where there is none; its triangle (N,), 0 where
            there is none; its barycentric weights (N, 3).
        """
        rays = np.zeros((len(directions), 6), np.float32)
        rays[:, 3:] = directions
        hits = self._scene.cast_rays(self._tensor(rays), nthreads=1)
        reach, others = hits['t_hit'].numpy(), hits['primitive_uvs'].numpy()
        triangles = np.where(np.isfinite(reach), hits['primitive_ids'].numpy(), 0).astype(np.int64)
        return reach, triangles, np.concatenate([1 - others.sum(1, keepdims=True), others], 1)

    def blocked(self, origins: np.ndarray, directions: np.ndarray, near: float, far: float) -> np.ndarray:
        """(N,) whether something lies between `near` and `far` times directions (N, 3) from origins (N, 3)."""
        rays = np.empty((len(origins), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origins, directions
        return self._scene.test_occlusions(self._tensor(rays), tnear=near, tfar=far, nthreads=1).numpy()


class _Hits(NamedTuple):
    """Where rays end: pixels (N,), numbers of those that see something; depth (N,); triangles (N,); barycentric
    weights (N, 3); points (N, 3); smooth normals (N, 3) towards the camera."""

    pixels: np.ndarray
    depth: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    normals: np.ndarray


class RgbScene:
    """Surfaces under lamps.

    Args:
        camera: of the whole image.
        hands: the owners 0, 1 and so on.
        surfaces: all meshes.
        lighting: the lamps and the room around.
    """

    def __init__(self, camera: Pinhole, hands: tuple[SceneHand, ...], surfaces: Surfaces, lighting: Lighting) -> None:
        self.camera, self.hands, self.lighting = camera, hands, lighting
        self._vertices, self._faces, self._owners = surfaces.joined()
        self._materials = surfaces.materials
        self._places, self._meshes = surfaces.places, surfaces.meshes
        self._starts = np.searchsorted(self._meshes, np.arange(len(self._materials)))
        self._scatters = np.array([material.scatters for material in self._materials])
        # Skin goes on from the hand to the arm. The last group is that of the pixels that see nothing.
        self._groups = np.append(np.where(self._scatters, _SKIN, np.arange(len(self._scatters))), -2)
        self._rays = Rays(self._vertices, self._faces)

    @functools.cached_property
    def _normals(self) -> tuple[np.ndarray, np.ndarray]:
        return corner_normals(self._vertices, self._faces)

    @functools.cached_property
    def visible(self) -> tuple[float, ...]:
        """Share of each hand's outline that lies inside the whole image with nothing before it; 0 to 1."""
        size = np.array([self.camera.width, self.camera.height])
        shares = []
        for number, hand in enumerate(self.hands):
            around = self.camera.project(hand.vertices)
            pixels = np.stack(np.meshgrid(*np.linspace(around.min(0), around.max(0), 48).T), -1).reshape(-1, 2)
            rays = _directions(self.camera, *pixels.T)
            alone = np.isfinite(Rays(self._vertices, self._faces[self._owners == number]).first(rays)[0])
            reach, triangles, _ = self._rays.first(rays)
            seen = np.isfinite(reach) & (self._owners[triangles] == number)
            inside = ((pixels > -0.5) & (pixels < size - 0.5)).all(1)
            shares.append(float((seen & inside).sum() / max(alone.sum(), 1)))
        return tuple(shares)

    def look(self, camera: Pinhole, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, View]:
        """What a camera sees.

        Args:
            camera: in the place of the scene's own one.
            samples: rays through each pixel at an edge.
            rng: the source of the directions in which light is looked for.

        Returns:
            The light (H, W, 3) that falls in, linear, and what stands at each pixel's centre.
        """
        shape = camera.height, camera.width
        rows, columns = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
        directions = _directions(camera, columns, rows)
        hits = self._meet(directions)
        depth, meshes = np.zeros(len(directions), np.float32), np.full(len(directions), -1)
        owners, normals = np.full(len(directions), NOTHING), np.zeros((len(directions), 3), np.float32)
        depth[hits.pixels], meshes[hits.pixels] = hits.depth, self._meshes[hits.triangles]
        owners[hits.pixels], normals[hits.pixels] = self._owners[hits.triangles], hits.normals
        view = View(camera, depth.reshape(shape), owners.reshape(shape), normals.reshape(*shape, 3))
        light = np.zeros((len(directions), 3), np.float32)
        nothing = meshes < 0
        light[nothing] = self.lighting.seen(units(directions[nothing]))
        light[hits.pixels] = self._light(hits, camera, view.depth, rng)
        edge = np.flatnonzero(_edges(view.depth, self._groups[meshes].reshape(shape), view.normals))
        light[edge] = self._at_edges(edge, light, depth, meshes, camera, samples)
        return light.reshape(*shape, 3), view

    def _meet(self, directions: np.ndarray) -> _Hits:
        reach, triangles, weights = self._rays.first(directions)
        pixels = np.flatnonzero(np.isfinite(reach))
        depth, triangles, weights, directions = reach[pixels], triangles[pixels], weights[pixels], directions[pixels]
        smooth, flat = self._normals
        normals = units(np.einsum('nk,nkc->nc', weights, smooth[triangles]))
        normals[dot(flat[triangles], directions) > 0] *= -1
        # A smooth normal may look away from the camera where the triangle does not: bent back to grazing.
        views = -units(directions)
        behind = np.minimum(dot(normals, views) - np.float32(0.02), 0)
        normals = units(normals - behind[:, None] * views)
        return _Hits(pixels, depth, triangles, weights, directions * depth[:, None], normals)

    def _light(self, hits: _Hits, camera: Pinhole, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(N, 3) the light from the points.

        Each pixel casts one ray to the room and one to each lamp, 4×4 neighbours in 16 directions, and shares what
        it found with those of them that lie at its own depth.
        """
        shape = depth.shape
        inverse = 1 / np.where(depth > 0, depth, np.inf)
        rows, columns = np.divmod(hits.pixels, camera.width)
        field = np.zeros((1 + len(self.lighting.lamps), depth.size), np.float32)
        field[:, hits.pixels] = self._visibility(hits, rows % 4 * 4 + columns % 4, rng)
        field = _shared(field.reshape(-1, *shape), inverse).reshape(len(field), -1)[:, hits.pixels]
        look = self._look(hits)
        skin = np.flatnonzero(self._scatters[self._meshes[hits.triangles]])
        hits = self._without_seams(hits, skin, camera)
        normals = self._embossed(hits, look.relief, camera)
        wrap = np.zeros((len(normals), 3), np.float32)
        wrap[skin] = _WRAP
        lit = light_up(look, normals, -units(hits.points), self.lighting, field[0], field[1:].T, wrap)
        lit.irradiance[skin] = _scattered(lit.irradiance[skin], hits.pixels[skin], inverse, camera)
        return look.albedo * lit.irradiance + lit.shine

    def _visibility(self, hits: _Hits, pattern: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(1 + L, N) whether the room and each lamp is seen in one direction each; pattern (N,) of 0 to 15 tells
        which."""
        room, disc = _samples(rng)
        origins = hits.points + hits.normals * np.float32(0.001)
        first, second = _across(hits.normals)
        x, y, z = room[pattern].T[..., None]
        directions = x * first + y * second + z * hits.normals
        # What hides the room sends some light itself.
        result = [1 - np.float32(0.85) * self._rays.blocked(origins, directions, _SEAM, _NEAR)]
        for lamp in self.lighting.lamps:
            directions = lamp.direction + lamp.size * disc @ np.concatenate(_across(lamp.direction[None]))
            result.append(~self._rays.blocked(origins, directions.astype(np.float32)[pattern], _SEAM, np.inf))
        return np.stack(result).astype(np.float32)

    def _look(self, hits: _Hits) -> Look:
        """The look of all points, mesh by mesh."""
        count = len(hits.depth)
        result = Look(
            np.empty((count, 3), np.float32),
            np.empty((count, 3), np.float32),
            np.empty(count, np.float32),
            np.empty(count, np.float32),
        )
        meshes = self._meshes[hits.triangles]
        places = np.einsum('nk,nkc->nc', hits.weights, self._places[self._faces[hits.triangles]])
        order = np.argsort(meshes, kind='stable')
        bounds = np.searchsorted(meshes[order], np.arange(len(self._materials) + 1))
        for mesh, material in enumerate(self._materials):
            own = order[bounds[mesh] : bounds[mesh + 1]]
            if len(own):
                look = material.look(
                    SurfacePoints(places[own], hits.triangles[own] - self._starts[mesh], hits.weights[own])
                )
                for whole, part in zip(result, look, strict=True):
                    whole[own] = part
        return result

    def _without_seams(self, hits: _Hits, skin: np.ndarray, camera: Pinhole) -> _Hits:
        """The hits with normals that turn gently where a hand's mesh goes into its arm's; skin (S,) numbers of hits."""
        normals = hits.normals.copy()
        for hand in self.hands:
            away = hits.points[skin] - hand.keypoints[0]
            near = dot(away, away) < _WRIST**2
            chosen, away = skin[near], np.sqrt(dot(away, away)[near])
            width = min(0.006 * camera.fx / hand.keypoints[0, 2], 20.0)
            if not len(chosen) or width < 0.3:
                continue
            image = np.zeros((camera.height * camera.width, 3), np.float32)
            image[hits.pixels[chosen]] = hits.normals[chosen]
            blurred = cv2.GaussianBlur(image.reshape(camera.height, camera.width, 3), (0, 0), width)
            share = np.clip((_WRIST - away) / 0.015, 0, 1)[:, None]
            normals[chosen] = units(
                hits.normals[chosen] * (1 - share) + units(blurred.reshape(-1, 3)[hits.pixels[chosen]]) * share
            )
        return hits._replace(normals=normals)

    def _embossed(self, hits: _Hits, relief: np.ndarray, camera: Pinhole) -> np.ndarray:
        """Normals (N, 3) of the surface that stands out by `relief` (N,), metres, its slopes taken between neighbouring
        pixels (Mikkelsen, "Bump mapping unparametrized surfaces on the GPU", JGT 15, 2010)."""
        heights = np.zeros((camera.height, camera.width), np.float32)
        meshes = np.full(heights.shape, -1)
        heights.ravel()[hits.pixels], meshes.ravel()[hits.pixels] = relief, self._meshes[hits.triangles]
        across, down = (_slope(heights, meshes, axis).ravel()[hits.pixels] for axis in (1, 0))
        chosen = np.flatnonzero((across != 0) | (down != 0))
        normals, points, depth = hits.normals[chosen], hits.points[chosen], hits.depth[chosen]
        facing = np.minimum(dot(normals, points), -0.05 * depth)
        # How the point moves on its tangent plane from one pixel to the next.
        ways = []
        for axis, focal in ((0, camera.fx), (1, camera.fy)):
            way = -points * (normals[:, axis] * depth / (focal * facing))[:, None]
            way[:, axis] += depth / focal
            ways.append(way)
        first, second = np.cross(ways[1], normals), np.cross(normals, ways[0])
        area = dot(ways[0], first)[:, None]
        slope = first * across[chosen, None] + second * down[chosen, None]
        result = hits.normals.copy()
        result[chosen] = units(np.abs(area) * normals - np.sign(area) * slope)
        return result

    def _at_edges(
        self, edge: np.ndarray, light: np.ndarray, depth: np.ndarray, meshes: np.ndarray, camera: Pinhole, count: int
    ) -> np.ndarray:
        """(E, 3) the mean light of `count` rays through pixels (E,), whose own light (H·W, 3) is of their centres.

        Each ray takes the light of that neighbour which shows the same surface (Chajdas, McGuire, Luebke,
        "Subpixel reconstruction antialiasing", I3D 2011).
        """
        row, column = (np.repeat(values, count) for values in np.divmod(edge, camera.width))
        # Spread over the pixel by Roberts' R2 sequence.
        spread = (np.arange(count)[:, None] * [0.7548776662, 0.5698402910] + 0.5 / count) % 1 - 0.5
        spread = np.tile(spread, (len(edge), 1))
        reach, triangles, _ = self._rays.first(_directions(camera, column + spread[:, 0], row + spread[:, 1]))
        inverse, mesh = 1 / reach, np.where(np.isfinite(reach), self._meshes[triangles], -1)
        pixel_inverse = 1 / np.where(depth > 0, depth, np.inf)

        def unlike(pixels: np.ndarray, rays: np.ndarray | slice) -> np.ndarray:
            apart = np.abs(pixel_inverse[pixels] - inverse[rays]) / np.maximum(inverse[rays], 1e-3)
            return apart + 1.0 * (meshes[pixels] != mesh[rays])

        chosen = np.repeat(edge, count)
        best = unlike(chosen, slice(None))
        strange = np.flatnonzero(best > 0.01)
        best, row, column = best[strange], row[strange], column[strange]
        for down, across in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            other = np.clip(row + down, 0, camera.height - 1) * camera.width + np.clip(
                column + across, 0, camera.width - 1
            )
            cost = unlike(other, strange)
            better = cost < best - 0.002
            best[better], chosen[strange[better]] = cost[better], other[better]
        return light[chosen].reshape(-1, count, 3).mean(1)


_SKIN = -1  # the group of all skin
_WRAP = np.float32([0.3, 0.16, 0.1])  # of light around skin, red, green, blue
_SCATTER = (0.0022, 0.0010, 0.0006)  # metres that light travels in skin, red, green, blue
_WRIST = 0.04  # metres around the wrist within which hand and arm are made one
_SEAM = 0.003  # metres within which nothing casts a shadow: where hand and arm meet
_NEAR = 0.25  # metres within which things hide the room


def _directions(camera: Pinhole, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N, 3) with z = 1, so that a hit's distance in directions is its depth."""
    return np.stack(
        [(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(len(columns))], 1
    ).astype(np.float32)


def _across(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (N, 3) each at right angles to unit normals (N, 3) (Duff et al., JCGT 6, 2017)."""
    x, y, z = normals.T
    sign = np.where(z >= 0, 1, -1).astype(normals.dtype)
    a = -1 / (sign + z)
    b = x * y * a
    return np.stack([1 + sign * x * x * a, sign * b, -sign * x], 1), np.stack([b, sign + y * y * a, -y], 1)


def _samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """16 directions (16, 3) about z, dense as their cosine, and 16 points (16, 2) of the unit disc, stratified."""
    points = []
    for _ in range(2):
        cells = rng.permutation(16)
        points.append((np.stack([cells % 4, cells // 4]) + rng.random((2, 16))) / 4)
    (turn, out), (around, radius) = points
    turn, around = 2 * np.pi * turn, 2 * np.pi * around
    room = np.stack([np.sqrt(out) * np.cos(turn), np.sqrt(out) * np.sin(turn), np.sqrt(1 - out)], 1)
    return room.astype(np.float32), np.sqrt(radius)[:, None] * np.stack([np.cos(around), np.sin(around)], 1)


def _shared(field: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Mean of a field (C, H, W) over 4×4 pixels at about the same depth, rows first; `inverse` depth (H, W)."""
    for axis in (1, 0):
        total, weight = field.copy(), np.ones(inverse.shape, np.float32)
        for step in (-2, -1, 1):
            whole = slice(None), slice(None)
            here, there = (
                (*whole[:axis], slice(max(0, sign * step) or None, min(0, sign * step) or None), *whole[axis + 1 :])
                for sign in (-1, 1)
            )
            near = (np.abs(inverse[there] - inverse[here]) < 0.02 * inverse[here]).astype(np.float32)
            total[(slice(None), *here)] += field[(slice(None), *there)] * near
            weight[here] += near
        field = total / weight
    return field


def _slope(heights: np.ndarray, meshes: np.ndarray, axis: int) -> np.ndarray:
    """(H, W) rise of heights (H, W) from pixel to pixel, 0 from one mesh to another."""
    rise = np.diff(heights, axis=axis) * (np.diff(meshes, axis=axis) == 0)
    before, after = (np.insert(rise, place, 0, axis) for place in (0, rise.shape[axis]))
    return (before + after) / 2


def _scattered(irradiance: np.ndarray, pixels: np.ndarray, inverse: np.ndarray, camera: Pinhole) -> np.ndarray:
    """Light (S, 3) that entered skin at pixels (S,) leaves it millimetres away, red farthest, blue nearest."""
    if not len(pixels):
        return irradiance
    mask = np.zeros(inverse.shape, np.float32)
    mask.ravel()[pixels] = 1
    millimetres = float(np.median(inverse.ravel()[pixels])) * camera.fx
    result = irradiance.copy()
    for channel, reach in enumerate(_SCATTER):
        width = min(reach * millimetres, 12.0)
        if width > 0.3:
            image = np.zeros(inverse.shape, np.float32)
            image.ravel()[pixels] = irradiance[:, channel]
            spread, share = cv2.GaussianBlur(image, (0, 0), width), cv2.GaussianBlur(mask, (0, 0), width)
            result[:, channel] = spread.ravel()[pixels] / share.ravel()[pixels]
    return result


def _edges(depth: np.ndarray, groups: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(H, W) where one ray a pixel is too few: between groups of meshes, at depth steps, at sharp folds but skin's."""
    # A plane's inverse depth is linear in the image, however steep the plane is.
    inverse = 1 / np.where(depth > 0, depth, np.inf).astype(np.float32)
    edge = np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) > 0.03 * inverse
    for axis in (0, 1):
        one, other = ((slice(None),) * axis + (part,) for part in (slice(1, None), slice(None, -1)))
        fold = (dot(normals[one], normals[other]) < 0.8) & (groups[one] != _SKIN)
        differs = (groups[one] != groups[other]) | fold
        edge[one] |= differs
        edge[other] |= differs
    return edge


def corner_normals(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normals of triangle corners (F, 3, 3), each the mean over the triangles at its vertex that are turned by less
    than 45° from its own, weighted by their areas, and normals of the triangles (F, 3); unit length, float32."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float32)
    flat = units(area)
    at = faces.ravel()
    order = np.argsort(at, kind='stable')
    valence = np.bincount(at, minlength=len(vertices))
    start = np.cumsum(valence) - valence
    # All pairs of a corner and a triangle at its vertex.
    count = valence[at]
    corner = np.repeat(np.arange(len(at)), count)
    step = np.arange(len(corner)) - np.repeat(np.cumsum(count) - count, count)
    triangle = order[start[at[corner]] + step] // 3
    near = dot(flat[corner // 3], flat[triangle]) > np.cos(np.radians(45))
    corner, triangle = corner[near], triangle[near]
    total = np.stack([np.bincount(corner, area[triangle, axis], len(at)) for axis in range(3)], 1)
    return units(total).astype(np.float32).reshape(-1, 3, 3), flat
