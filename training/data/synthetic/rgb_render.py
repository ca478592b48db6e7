# SPDX-License-Identifier: Apache-2.0
"""Renders the light of a scene by ray casting on the CPU: shadows, environment light, skin."""

from __future__ import annotations

import functools
from typing import NamedTuple

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.mesh.raycast import TriangleScene
from training.data.real.scenery import Backdrop
from training.data.synthetic.lighting import light_up
from training.data.synthetic.lighting import Lighting
from training.data.synthetic.material import Look
from training.data.synthetic.material import SurfacePoints
from training.data.synthetic.scene_parts import NOTHING
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.scenes import View
from training.data.synthetic.screen_space import edge_mask
from training.data.synthetic.screen_space import scatter_light
from training.data.synthetic.screen_space import share_neighbours
from training.data.synthetic.screen_space import SKIN
from training.data.synthetic.screen_space import slope_along
from training.data.synthetic.screen_space import stratified_samples
from training.data.synthetic.screen_space import tangents
from training.data.synthetic.surfaces import corner_normals
from training.data.synthetic.surfaces import Surfaces
from training.data.synthetic.vectors import dot
from training.data.synthetic.vectors import units


class _Hits(NamedTuple):
    """Surface points of rays: pixels (N,), the indices of those with a hit; depth (N,); triangles (N,); barycentric
    weights (N, 3); points (N, 3); smooth normals (N, 3) towards the camera."""

    pixels: np.ndarray
    depth: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    normals: np.ndarray


class RgbScene:
    """Surfaces, lamps and the camera.

    Args:
        camera: of the whole image.
        hands: owners 0, 1, ….
        surfaces: all meshes.
        lighting: lamps and environment.
        backdrop: a photo behind all meshes; without it the environment shows.
    """

    def __init__(
        self,
        camera: Pinhole,
        hands: tuple[SceneHand, ...],
        surfaces: Surfaces,
        lighting: Lighting,
        backdrop: Backdrop | None = None,
    ) -> None:
        self.camera, self.hands, self.lighting, self.backdrop = camera, hands, lighting, backdrop
        self._vertices, self._faces, self._owners = surfaces.joined()
        self._materials = surfaces.materials
        self._places, self._meshes = surfaces.places, surfaces.meshes
        self._starts = np.searchsorted(self._meshes, np.arange(len(self._materials)))
        self._scatters = np.array([material.scatters for material in self._materials])
        # Hand and arm are one group. The last entry is the group of pixels without a hit.
        self._groups = np.append(np.where(self._scatters, SKIN, np.arange(len(self._scatters))), -2)
        self._scene = TriangleScene(self._vertices, self._faces)

    @functools.cached_property
    def _normals(self) -> tuple[np.ndarray, np.ndarray]:
        return corner_normals(self._vertices, self._faces)

    @functools.cached_property
    def visible(self) -> tuple[float, ...]:
        """Visible share of each hand's silhouette: inside the whole image and not hidden; 0 to 1."""
        size = np.array([self.camera.width, self.camera.height])
        shares = []
        for number, hand in enumerate(self.hands):
            around = self.camera.project(hand.vertices)
            pixels = np.stack(np.meshgrid(*np.linspace(around.min(0), around.max(0), 48).T), -1).reshape(-1, 2)
            rays = _directions(self.camera, *pixels.T)
            alone = (
                TriangleScene(self._vertices, self._faces[self._owners == number]).cast(np.zeros(3), rays).triangles
                >= 0
            )
            triangles = self._scene.cast(np.zeros(3), rays).triangles
            seen = (triangles >= 0) & (self._owners[triangles] == number)
            inside = ((pixels > -0.5) & (pixels < size - 0.5)).all(1)
            shares.append(float((seen & inside).sum() / max(alone.sum(), 1)))
        return tuple(shares)

    def look(self, camera: Pinhole, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, View]:
        """Renders an image.

        Args:
            camera: at the position of the scene's camera.
            samples: rays through each pixel at an edge.
            rng: draws the directions of the light samples.

        Returns:
            The incident light (H, W, 3), linear, and the surfaces at the pixels' centres.
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
        if self.backdrop is None:
            light[nothing] = self.lighting.seen(units(directions[nothing]))
        else:
            light[nothing] = self.backdrop.look(camera).reshape(-1, 3)[nothing]
        light[hits.pixels] = self._light(hits, camera, view.depth, rng)
        edge = np.flatnonzero(edge_mask(view.depth, self._groups[meshes].reshape(shape), view.normals))
        light[edge] = self._at_edges(edge, light, depth, meshes, camera, samples)
        return light.reshape(*shape, 3), view

    def _meet(self, directions: np.ndarray) -> _Hits:
        hits = self._scene.cast(np.zeros(3), directions)
        pixels = np.flatnonzero(hits.triangles >= 0)
        depth, triangles, weights = hits.reach[pixels], hits.triangles[pixels], hits.weights[pixels]
        directions = directions[pixels]
        smooth, flat = self._normals
        normals = units(np.einsum('nk,nkc->nc', weights, smooth[triangles]))
        normals[dot(flat[triangles], directions) > 0] *= -1
        # A smooth normal may face away from the camera although its triangle does not: bend it back to grazing.
        views = -units(directions)
        behind = np.minimum(dot(normals, views) - np.float32(0.02), 0)
        normals = units(normals - behind[:, None] * views)
        return _Hits(pixels, depth, triangles, weights, directions * depth[:, None], normals)

    def _light(self, hits: _Hits, camera: Pinhole, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(N, 3) the light from the points.

        Each pixel casts one ray to the room and one to each lamp. 4×4 neighbours cast in 16 directions and share
        the results among pixels of the same depth.
        """
        shape = depth.shape
        inverse = 1 / np.where(depth > 0, depth, np.inf)
        rows, columns = np.divmod(hits.pixels, camera.width)
        field = np.zeros((1 + len(self.lighting.lamps), depth.size), np.float32)
        field[:, hits.pixels] = self._visibility(hits, rows % 4 * 4 + columns % 4, rng)
        field = share_neighbours(field.reshape(-1, *shape), inverse).reshape(len(field), -1)[:, hits.pixels]
        look = self._look(hits, camera)
        skin = np.flatnonzero(self._scatters[self._meshes[hits.triangles]])
        hits = self._without_seams(hits, skin, camera)
        normals = self._embossed(hits, look.relief, camera)
        wrap = np.zeros((len(normals), 3), np.float32)
        wrap[skin] = _WRAP
        lit = light_up(look, normals, -units(hits.points), self.lighting, field[0], field[1:].T, wrap)
        lit.irradiance[skin] = scatter_light(lit.irradiance[skin], hits.pixels[skin], inverse, camera)
        return look.albedo * lit.irradiance + lit.shine

    def _visibility(self, hits: _Hits, pattern: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(1 + L, N) visibility of the room and of each lamp, one ray each; pattern (N,), 0 to 15, selects the ray."""
        room, disc = stratified_samples(rng)
        origins = hits.points + hits.normals * np.float32(0.001)
        first, second = tangents(hits.normals)
        x, y, z = room[pattern].T[..., None]
        directions = x * first + y * second + z * hits.normals
        # Surfaces that hide the room reflect some light.
        result = [1 - np.float32(0.85) * self._scene.occluded(origins, directions, _SEAM, _NEAR)]
        for lamp in self.lighting.lamps:
            directions = lamp.direction + lamp.size * disc @ np.concatenate(tangents(lamp.direction[None]))
            result.append(~self._scene.occluded(origins, directions.astype(np.float32)[pattern], _SEAM, np.inf))
        return np.stack(result).astype(np.float32)

    def _look(self, hits: _Hits, camera: Pinhole) -> Look:
        """The optical properties of all points, mesh by mesh."""
        count = len(hits.depth)
        result = Look(
            np.empty((count, 3), np.float32),
            np.empty((count, 3), np.float32),
            np.empty(count, np.float32),
            np.empty(count, np.float32),
        )
        meshes = self._meshes[hits.triangles]
        places = np.einsum('nk,nkc->nc', hits.weights, self._places[self._faces[hits.triangles]])
        # The square root: a compromise between both directions on surfaces seen at a grazing angle.
        slant = np.sqrt(np.maximum(-dot(hits.normals, units(hits.points)), np.float32(0.01)))
        spacing = hits.depth / (np.float32(camera.fx) * slant)
        order = np.argsort(meshes, kind='stable')
        bounds = np.searchsorted(meshes[order], np.arange(len(self._materials) + 1))
        for mesh, material in enumerate(self._materials):
            own = order[bounds[mesh] : bounds[mesh + 1]]
            if len(own):
                look = material.look(
                    SurfacePoints(
                        places[own],
                        hits.triangles[own] - self._starts[mesh],
                        hits.weights[own],
                        hits.normals[own],
                        spacing[own],
                    )
                )
                for whole, part in zip(result, look, strict=True):
                    whole[own] = part
        return result

    def _without_seams(self, hits: _Hits, skin: np.ndarray, camera: Pinhole) -> _Hits:
        """The hits with normals smoothed across the seam of hand and arm; skin (S,) indexes the hits."""
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
        """Normals (N, 3) of the surface raised by `relief` (N,), metres, with slopes between neighbouring pixels
        (Mikkelsen, "Bump mapping unparametrized surfaces on the GPU", JGT 15, 2010)."""
        heights = np.zeros((camera.height, camera.width), np.float32)
        meshes = np.full(heights.shape, -1)
        heights.ravel()[hits.pixels], meshes.ravel()[hits.pixels] = relief, self._meshes[hits.triangles]
        across, down = (slope_along(heights, meshes, axis).ravel()[hits.pixels] for axis in (1, 0))
        chosen = np.flatnonzero((across != 0) | (down != 0))
        normals, points, depth = hits.normals[chosen], hits.points[chosen], hits.depth[chosen]
        facing = np.minimum(dot(normals, points), -0.05 * depth)
        # Displacement of the point on its tangent plane from one pixel to the next.
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
        """(E, 3) the mean light of `count` rays through pixels (E,), from the light (H·W, 3) at the pixels' centres.

        Each ray takes the light of the neighbour with the same surface (Chajdas, McGuire, Luebke,
        "Subpixel reconstruction antialiasing", I3D 2011).
        """
        row, column = (np.repeat(values, count) for values in np.divmod(edge, camera.width))
        # Spread over the pixel by Roberts' R2 sequence.
        spread = (np.arange(count)[:, None] * [0.7548776662, 0.5698402910] + 0.5 / count) % 1 - 0.5
        spread = np.tile(spread, (len(edge), 1))
        hits = self._scene.cast(np.zeros(3), _directions(camera, column + spread[:, 0], row + spread[:, 1]))
        inverse, mesh = 1 / hits.reach, np.where(hits.triangles >= 0, self._meshes[hits.triangles], -1)
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


_WRAP = np.float32([0.3, 0.16, 0.1])
"""How far red, green and blue light wraps around skin, see `light_up`."""
_WRIST = 0.04
"""Radius of the smoothed seam of hand and arm, metres."""
_SEAM = 0.003
"""Metres within which nothing casts a shadow, as at the seam of hand and arm."""
_NEAR = 0.25
"""Metres within which surfaces hide the room."""


def _directions(camera: Pinhole, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N, 3) float32 directions of pixels with z = 1: the reach of a hit is its depth."""
    return np.stack(
        [(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(len(columns))], 1
    ).astype(np.float32)
