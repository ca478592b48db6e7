# SPDX-License-Identifier: Apache-2.0
"""An RGB camera: exposure, white balance, blur, noise, JPEG."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from training.data.synthetic.colour import encoded
from training.data.synthetic.colour import LUMINANCE

TONE = 1.2
"""Steepness of the tone curve, which compresses highlights: 1 − exp(−TONE · light) is the linear value of a pixel."""


@dataclasses.dataclass(frozen=True)
class RgbSensor:
    """An RGB camera. Lengths in pixels of its full-size image."""

    exposure: float = 0.0
    """Stops above the metered exposure."""
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """The white balance."""
    contrast: float = 1.0
    saturation: float = 1.0
    vignetting: float = 0.0
    """0: none; 1: the natural fall-off, cos⁴."""
    motion: tuple[float, float] = (0.0, 0.0)
    """Displacement of the image during the exposure."""
    defocus: float = 0.4
    """Standard deviation of the blur."""
    shot_noise: float = 0.0
    """Variance per unit of light; white is 1."""
    read_noise: float = 0.0
    """Standard deviation."""
    quality: int | None = None
    """Of JPEG compression; None for none."""

    @classmethod
    def sample(cls, white: np.ndarray, rng: np.random.Generator) -> RgbSensor:
        """Draws a camera with about the right white balance, exposure and focus.

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
            tuple(gains / (gains @ LUMINANCE)),
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
        """Develops the image of incident light.

        Args:
            light: (H, W, 3) linear, of any scale.
            camera: of this image.
            rng: source of the noise.
            pitch: pixels of the full-size image per pixel of this one.

        Returns:
            (H, W, 3) uint8, sRGB.
        """
        light = light.astype(np.float32)
        across = ((np.arange(camera.width) - camera.cx) / camera.fx)[None, :]
        down = ((np.arange(camera.height) - camera.cy) / camera.fy)[:, None]
        fall = (1 + across**2 + down**2) ** (-2 * self.vignetting)
        light = light * (fall * (0.3 * 2**self.exposure / metered(light))).astype(np.float32)[..., None]
        if self.defocus / pitch > 0.25:
            light = cv2.GaussianBlur(light, (0, 0), self.defocus / pitch)
        if np.hypot(*self.motion) / pitch > 1:
            light = cv2.filter2D(light, -1, _streak(np.array(self.motion) / pitch))
        light = light * np.float32(self.gains)
        if self.shot_noise or self.read_noise:
            variance = (self.shot_noise * light + self.read_noise**2) / max(pitch, 1) ** 2
            light = light + np.sqrt(variance) * _colour_grain(rng, light.shape, 1 / pitch)
        grey = (light @ LUMINANCE.astype(np.float32))[..., None]
        light = grey + (light - grey) * np.float32(self.saturation)
        # A tone curve compresses highlights instead of clipping them.
        values = encoded(1 - np.exp(-TONE * np.maximum(light, 0)))
        values = np.clip(0.45 + (values - 0.45) * self.contrast, 0, 1)
        image = (values * 255 + 0.5).astype(np.uint8)
        if self.quality is None:
            return image
        _, packed = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1])


def metered(light: np.ndarray) -> float:
    """The brightness of an image of light (H, W, 3) as a camera meters it, in which highlights count less."""
    return np.sqrt(np.maximum(light @ LUMINANCE.astype(np.float32), 0)).mean() ** 2 + 1e-6


def _streak(way: np.ndarray) -> np.ndarray:
    """The kernel of a motion blur along a displacement (2,), pixels."""
    size = 2 * int(np.ceil(np.abs(way).max() / 2)) + 3
    kernel = np.zeros((size, size), np.float32)
    middle = np.array([size // 2, size // 2])
    scale = 16
    start, end = (np.round((middle + share * way) * scale).astype(int) for share in (-0.5, 0.5))
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0, 1, cv2.LINE_AA, shift=4)
    return kernel / kernel.sum()


def _colour_grain(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> np.ndarray:
    """Unit noise (H, W, 3), slightly correlated between neighbours, as after demosaicking."""
    kernel = cv2.getGaussianKernel(5, max(0.5 * width, 0.3), cv2.CV_32F)
    return cv2.sepFilter2D(rng.standard_normal(shape, np.float32), -1, kernel, kernel) / (kernel**2).sum()
