# SPDX-License-Identifier: Apache-2.0
"""Depth from two grey images by semi-global matching, with the mistakes that only matching makes.

A passive stereo camera loses what has no texture, confuses what repeats, draws seams between its search paths, and
reports mismatches as near surfaces. So a rendered view is given an appearance, seen by two cameras, and matched
(Hirschmüller, "Stereo Processing by Semiglobal Matching and Mutual Information", PAMI 2008; OpenCV's version).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from hoi_ros.simulation.sensor import grain
from training.data.synthetic.vectors import unit

_SIDE = 256
"""Longer side to which smaller views are enlarged before they are matched, pixels; never beyond the camera's own."""
_FAR = 4.0
"""Depth of what has no surface, metres."""
_MOST = 9 / 16
"""Most disparities that are searched, as a share of the width."""


@dataclasses.dataclass(frozen=True)
class StereoMatching:
    """A stereo camera without a projector, and its matcher; pixels are those that are matched."""

    baseline: float = 0.12
    """Distance between the cameras, metres."""
    nearest: float = 0.3
    """Depth of the largest disparity that is searched, metres; nearer surfaces are mismatched."""
    contrast: float = 0.03
    """Median over the surfaces of their texture's standard deviation, as a share of white."""
    blur: float = 0.7
    """Standard deviation of the optics' blur, pixels."""
    noise: float = 0.008
    """Standard deviation of each image's noise, as a share of white."""
    misaligned: float = 0.3
    """Vertical shift between the images, pixels."""
    block: int = 5
    """Side of the matched blocks, pixels."""
    rigidity: float = 1.0
    """Factor of the customary penalties of disparities that change."""
    uniqueness: int = 10
    """Margin by which the best disparity must win, percent."""
    speckle: int = 60
    """Smaller areas of one disparity are dropped, pixels; 0 drops none."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> StereoMatching:
        """Samples a camera and a matcher."""
        return cls(
            baseline=rng.uniform(0.06, 0.13),
            nearest=rng.uniform(0.15, 0.32),
            contrast=float(np.exp(rng.uniform(np.log(0.004), np.log(0.03)))),
            blur=rng.uniform(0.4, 1.2),
            noise=rng.uniform(0.004, 0.015),
            misaligned=rng.normal(0, 0.5),
            block=int(rng.choice([3, 5, 7])),
            rigidity=float(np.exp(rng.uniform(np.log(0.3), np.log(2)))),
            uniqueness=int(rng.integers(3, 16)),
            speckle=int(rng.integers(20, 150)) if rng.random() < 0.7 else 0,
        )

    def observe(
        self,
        depth: np.ndarray,
        owners: np.ndarray,
        normals: np.ndarray,
        focal: float,
        rng: np.random.Generator,
        pitch: float = 1.0,
    ) -> np.ndarray:
        """Matches what two cameras see of a view.

        Args:
            depth: (H, W) metres, 0 without a surface.
            owners: (H, W) integers; each has its own brightness and texture.
            normals: (H, W, 3) unit.
            focal: of the view, pixels.
            rng: source of the appearance and the noise.
            pitch: pixels of the full-size camera per pixel of the view.

        Returns:
            (H, W) float32 metres, 0 where the matcher has no answer.
        """
        finer = min(max(_SIDE / max(depth.shape), 1.0), max(pitch, 1.0))
        height, width = (round(side * finer) for side in depth.shape)
        focal *= finer
        surface = np.where(depth > 0, depth, _FAR).astype(np.float32)
        left = self._appearance(owners, normals, (height, width), rng)
        surface = cv2.resize(surface, (width, height), interpolation=cv2.INTER_NEAREST)

        # Disparities are searched from that of the farthest surface on; the left border needs partners.
        least = np.floor(focal * self.baseline / float(surface.max()))
        count = 16 * int(np.ceil((focal * self.baseline / self.nearest - least) / 16))
        count = max(min(count, 16 * int(_MOST * width / 16)), 16)
        surface, left = (cv2.copyMakeBorder(image, 0, 0, count, 0, cv2.BORDER_REFLECT) for image in (surface, left))
        disparity = focal * self.baseline / surface - least
        right = self._from_the_right(left, disparity, rng)

        matcher = cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=count,
            blockSize=self.block,
            P1=round(8 * self.rigidity * self.block**2),
            P2=round(32 * self.rigidity * self.block**2),
            disp12MaxDiff=1,
            preFilterCap=63,
            uniquenessRatio=self.uniqueness,
            speckleWindowSize=self.speckle,
            speckleRange=2,
        )
        matched = matcher.compute(self._taken(left, rng), self._taken(right, rng))[:, count:].astype(np.float32) / 16
        found = np.where(matched >= 0, focal * self.baseline / np.maximum(matched + least, 1e-3), 0)
        rows, columns = (
            np.minimum(((np.arange(side) + 0.5) * finer).astype(int), grown - 1)
            for side, grown in zip(depth.shape, (height, width))
        )
        return np.where(found < 2 * _FAR, found, 0)[np.ix_(rows, columns)].astype(np.float32)

    def _appearance(
        self, owners: np.ndarray, normals: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """A grey image (height, width), mostly in [0, 1]: shaded surfaces with texture."""
        height, width = shape
        light = unit(rng.normal(0, 1, 3) + [0, -0.5, -1.5])
        shade = 0.45 + 0.55 * np.clip(-normals @ light, 0, 1)
        tone, strength = np.zeros(owners.shape, np.float32), np.zeros(owners.shape, np.float32)
        for owner in np.unique(owners):
            own = owners == owner
            tone[own] = rng.uniform(0.15, 0.9)
            strength[own] = self.contrast * np.exp(rng.normal(0, 0.7))
        plain = cv2.resize((tone * shade).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        strength = cv2.resize(strength, (width, height), interpolation=cv2.INTER_NEAREST)
        fine, coarse = grain(rng, shape, rng.uniform(1, 3)), grain(rng, shape, rng.uniform(5, 20))
        # Texture comes in patches: prints and wrinkles beside bare areas.
        patchy = np.exp(0.7 * grain(rng, shape, rng.uniform(15, 50)))
        return (plain + strength * (patchy * fine + coarse)).astype(np.float32)

    def _from_the_right(self, left: np.ndarray, disparity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The other camera's image (H, W): the left image moved by its disparity, nearest surfaces first."""
        height, width = left.shape
        order = np.argsort(disparity, axis=None, kind='stable')
        rows, columns = np.unravel_index(order, left.shape)
        nearer = disparity.ravel()[order]
        target = np.round(columns - nearer).astype(int)
        inside = target >= 0
        seen = np.full(left.shape, -1.0, np.float32)
        seen[rows[inside], target[inside]] = nearer[inside]
        # A surface that is stretched in the right image leaves single columns open.
        beside = np.minimum(np.roll(seen, 1, 1), np.roll(seen, -1, 1))
        seen = np.where(seen < 0, beside, seen)
        across = np.arange(width, dtype=np.float32)[None] + seen
        down = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, 1) + np.float32(self.misaligned)
        right = cv2.remap(left, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        hidden = seen < 0
        other = float(left.mean()) + self.contrast * grain(rng, left.shape, 3)
        return np.where(hidden, other, right).astype(np.float32)

    def _taken(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(H, W) uint8, what a camera with its own exposure makes of an image."""
        soft = cv2.GaussianBlur(image, (0, 0), self.blur) * rng.uniform(0.96, 1.04)
        noisy = soft + self.noise * rng.standard_normal(image.shape, np.float32)
        return np.clip(255 * noisy, 0, 255).astype(np.uint8)
