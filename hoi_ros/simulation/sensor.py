# SPDX-License-Identifier: Apache-2.0
"""The faults of a depth camera: quantisation, noise, shadows, lost, filled and flying pixels.

Structured light (SR300/SR305, Kinect v1) and active stereo (D400) share the geometry: depth is triangulated from a
disparity f·b/z. Errors therefore grow with z², and each near surface casts a shadow. The magnitudes follow Khoshelham
and Elberink (Sensors 2012), Nguyen et al. (3DIMPVT 2012) and Intel's D400 data sheet.
"""

from __future__ import annotations

import dataclasses
from statistics import NormalDist

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class SensorModel:
    """One depth camera; lengths in metres, disparities in pixels of the full-size sensor."""

    baseline: float = 0.047
    """Distance from projector to camera (structured light) or between the cameras (stereo)."""
    projector_side: int = 1
    """Side of the projector or second camera: 1 right, −1 left, 0 casts no shadow."""
    disparity_step: float = 0.03
    """Sub-pixel step of the disparity; the steps of the depth grow with z²."""
    disparity_noise: float = 0.05
    """Standard deviation of the disparity."""
    noise_grain: float = 1.5
    """Correlation width of the noise, pixels."""
    smoothing: float = 0.8
    """Standard deviation of the Gaussian filter inside surfaces, pixels."""
    grazing_cosine: float = 0.2
    """Cosine of the viewing angle at which surfaces lose half of their pixels; at half of it they lose nearly all."""
    edge_loss: float = 0.3
    """Share of the pixels at depth edges that are lost."""
    flying: float = 0.2
    """Share of the pixels at depth edges that lie between the two surfaces."""
    edge_grain: float = 3.0
    """Correlation width of lost and flying pixels at edges, pixels."""
    speckle_loss: float = 0.004
    """Share of the other pixels that are lost in small patches."""
    nearest: float = 0.15
    """Least depth that is measured, metres."""
    farthest: float = 4.0
    """Greatest depth that is measured, metres."""
    fattening: float = 0.0
    """Growth of near surfaces at depth edges, as block matching causes it, pixels of the full-size sensor."""
    multipath: float = 0.0
    """Standard deviation of a smooth error of the depth, metres."""
    untextured: float = 0.0
    """Share of the pixels away from depth edges that are lost in broad patches, as without texture."""
    filled: float = 0.0
    """Share of the lost areas that the camera fills with the surface behind."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> SensorModel:
        """Samples a structured-light or a stereo camera."""
        stereo = rng.random() < 0.5
        return cls(
            baseline=rng.uniform(0.045, 0.06) if stereo else rng.uniform(0.03, 0.08),
            projector_side=int(rng.choice([-1, 1])) if rng.random() < 0.85 else 0,
            disparity_step=1 / 32 if stereo else rng.uniform(0.01, 0.06),
            disparity_noise=rng.uniform(0.04, 0.16) if stereo else rng.uniform(0.01, 0.08),
            noise_grain=rng.uniform(2, 6) if stereo else rng.uniform(0.5, 2),
            smoothing=rng.uniform(0.8, 2.5) if stereo else rng.uniform(0.3, 1.2),
            grazing_cosine=rng.uniform(0.05, 0.15) if stereo else rng.uniform(0.1, 0.3),
            edge_loss=rng.uniform(0, 0.35) if stereo else rng.uniform(0.1, 0.6),
            flying=rng.uniform(0.2, 0.6) if stereo else rng.uniform(0, 0.2),
            edge_grain=rng.uniform(1, 8),
            speckle_loss=rng.uniform(0, 0.02) if rng.random() < 0.5 else 0.0,
        )

    @classmethod
    def sample_any(cls, rng: np.random.Generator) -> SensorModel:
        """Samples a structured-light, an active or a passive stereo or a time-of-flight camera.

        Passive stereo matches blocks of two images: coarse noise, fattened edges, large areas without texture that are
        lost or filled in (Hirschmüller, "Stereo Processing by Semiglobal Matching and Mutual Information", PAMI 2008).
        Time of flight has no shadow, but mixed pixels at edges and a smooth error from light that was reflected twice
        (Hansard et al., "Time-of-Flight Cameras", 2012).
        """
        kind = rng.random()
        if kind < 0.5:
            return cls.sample(rng)
        if kind < 0.8:
            return cls(
                baseline=rng.uniform(0.05, 0.12),
                projector_side=int(rng.choice([-1, 1])),
                disparity_step=1 / 16,
                disparity_noise=rng.uniform(0.1, 0.5),
                noise_grain=rng.uniform(4, 16),
                smoothing=rng.uniform(1.5, 4),
                grazing_cosine=rng.uniform(0.03, 0.12),
                edge_loss=rng.uniform(0, 0.3),
                flying=rng.uniform(0.1, 0.5),
                edge_grain=rng.uniform(3, 12),
                speckle_loss=rng.uniform(0, 0.12),
                fattening=rng.uniform(0, 4),
                untextured=rng.uniform(0, 0.6),
                filled=rng.uniform(0, 1) if rng.random() < 0.6 else 0.0,
            )
        return cls(
            baseline=rng.uniform(0.08, 0.2),
            projector_side=0,
            disparity_step=0.004,
            disparity_noise=rng.uniform(0.02, 0.1),
            noise_grain=rng.uniform(0.5, 2),
            smoothing=rng.uniform(0.3, 1.5),
            grazing_cosine=rng.uniform(0.03, 0.15),
            edge_loss=rng.uniform(0, 0.4),
            flying=rng.uniform(0.4, 0.9),
            edge_grain=rng.uniform(1, 3),
            speckle_loss=rng.uniform(0, 0.01),
            multipath=rng.uniform(0, 0.008),
        )

    def observe(self, depth: np.ndarray, focal: float, rng: np.random.Generator, pitch: float = 1.0) -> np.ndarray:
        """Adds the camera's faults to perfect depth.

        Args:
            depth: (H, W) metres, 0 invalid.
            focal: focal length of this image, pixels.
            rng: source of the noise.
            pitch: pixels of the full-size sensor per pixel of this image.

        Returns:
            (H, W) float32 metres, 0 invalid.
        """
        depth = np.asarray(depth, np.float32)
        shape = depth.shape[0], depth.shape[1]
        valid = (depth > self.nearest) & (depth < self.farthest)
        safe = np.where(valid, depth, self.farthest).astype(np.float32)
        if (reach := round(self.fattening / pitch)) > 0:
            safe = cv2.erode(safe, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
            valid = (safe > self.nearest) & (safe < self.farthest)
        if self.multipath:
            safe = (safe + self.multipath * grain(rng, shape, 60 / pitch)).astype(np.float32)
        disparity = focal * self.baseline / safe

        lost = ~valid
        if self.projector_side:
            lost |= self._shadow(disparity)
        smallest, largest = cv2.erode(safe, _CROSS), cv2.dilate(safe, _CROSS)
        edge = largest - smallest > 0.012 + 0.02 * safe
        fate = grain(rng, shape, self.edge_grain / pitch)

        slope_x = cv2.Sobel(safe, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
        slope_y = cv2.Sobel(safe, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
        steepness = (slope_x**2 + slope_y**2) * (focal / safe) ** 2
        cosine_squared = 1 / (1 + steepness)
        lost |= ~edge & (cosine_squared < (self.grazing_cosine * (1 + 0.3 * fate)) ** 2)

        observed = disparity
        width = self.smoothing / pitch
        if width > 0.25:
            smooth = cv2.GaussianBlur(disparity, (0, 0), width)
            observed = np.where(edge, disparity, smooth)
        # In a coarser image fewer edge pixels are edge pixels of the sensor.
        flying = edge & (fate < _quantile(self.flying / pitch**0.5))
        mixed = focal * self.baseline / (smallest + (largest - smallest) * rng.random(shape, np.float32))
        observed = np.where(flying, mixed, observed)
        lost |= edge & (fate > _quantile(1 - self.edge_loss / pitch**0.5))

        # The focal length of the full-size sensor is `pitch` times this image's.
        observed = observed * pitch + self.disparity_noise * grain(rng, shape, self.noise_grain / pitch)
        observed = np.round(observed / self.disparity_step) * self.disparity_step
        if self.speckle_loss > 0:
            lost |= grain(rng, shape, 3 / pitch) > _quantile(1 - self.speckle_loss)
        if self.untextured:
            patches = grain(rng, (shape[0], shape[1] // 3 + 1), rng.uniform(5, 25) / pitch)
            patches = cv2.resize(patches, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
            near_edge = cv2.dilate(edge.astype(np.uint8), _CROSS, iterations=max(1, round(3 / pitch))) > 0
            lost |= ~near_edge & (patches > _quantile(1 - self.untextured))
        result = focal * pitch * self.baseline / np.maximum(observed, self.disparity_step)
        result = np.where(lost | (result > self.farthest), 0, result).astype(np.float32)
        if self.filled:
            fill = (result == 0) & (grain(rng, shape, 40 / pitch) < _quantile(self.filled))
            result[fill] = _from_the_sides(result)[fill]
        return result

    def _shadow(self, disparity: np.ndarray) -> np.ndarray:
        """(H, W) bool, pixels that another surface of the same row hides from the projector or second camera."""
        columns = np.arange(disparity.shape[1], dtype=np.float32)
        if self.projector_side > 0:
            where = columns - disparity
            ahead = np.minimum.accumulate(where[:, ::-1], axis=1)[:, ::-1]
            return where > ahead + 0.5
        where = columns + disparity
        ahead = np.maximum.accumulate(where, axis=1)
        return where < ahead - 0.5


def _from_the_sides(depth: np.ndarray) -> np.ndarray:
    """(H, W) the farther of the nearest valid depths to the left and to the right of each pixel; 0 without one."""
    columns = np.arange(depth.shape[1])
    rows = np.arange(depth.shape[0])[:, None]
    left = np.maximum.accumulate(np.where(depth > 0, columns, 0), axis=1)
    right = np.minimum.accumulate(np.where(depth > 0, columns, len(columns) - 1)[:, ::-1], axis=1)[:, ::-1]
    return np.maximum(depth[rows, left], depth[rows, right])


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _quantile(share: float) -> float:
    return NormalDist().inv_cdf(min(max(share, 1e-6), 1 - 1e-6))


def grain(rng: np.random.Generator, shape: tuple[int, int], width: float) -> np.ndarray:
    """Unit-variance noise (H, W), correlated over about `width` pixels."""
    if width < 1.2:
        return rng.standard_normal(shape, np.float32)
    small = rng.standard_normal((int(shape[0] / width) + 2, int(shape[1] / width) + 2), np.float32)
    grown = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    # Linear interpolation lowers the variance to (2/3)² of the samples'.
    return grown * 1.5
