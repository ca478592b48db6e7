# SPDX-License-Identifier: Apache-2.0
"""Reads the frames of a folder for a stage: undistorted images and their cameras."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.depth import metric_depth
from hoi_ros.camera.depth_unit import check_depth
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.lens import Lens
from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.in_image import in_image
from hoi_ros.playback.depth_range import REMEDY
from hoi_ros.playback.image_folder import FrameFiles
from hoi_ros.playback.image_folder import is_turned
from hoi_ros.playback.image_folder import read_colour
from hoi_ros.playback.image_folder import read_metric_depth
from hoi_ros.systems import Stage
from hoi_ros.systems import System


class View(NamedTuple):
    """One undistorted image: (H, W, 3) uint8 RGB, or (H, W) float32 metres, 0 where unknown; and its cameras."""

    image: np.ndarray
    camera: Pinhole
    lens: Lens
    """The camera of the image before undistortion."""


class Frame(NamedTuple):
    """The images of one frame by 'depth' and 'colour', and the faults of images, of missing ones among them."""

    views: Mapping[str, View]
    faults: tuple[str, ...]

    @property
    def shown(self) -> View:
        """The image to draw on: the colours where there are any."""
        return self.views.get('colour') or self.views['depth']

    def complete(self, system: System) -> bool:
        """Whether it has every image that the stage needs."""
        return all(name in self.views for name in system.source.images)


class FrameReader:
    """Reads what a system uses.

    Args:
        system: whose stage takes the images.
        cameras: the calibration of an image of width × height pixels.
        metres_per_unit: of depth images.
    """

    def __init__(
        self, system: System, cameras: Callable[[int, int], CameraCalibration], metres_per_unit: float
    ) -> None:
        self._system, self._cameras, self._metres_per_unit = system.source, cameras, metres_per_unit
        self._rectifier = functools.lru_cache(maxsize=4)(Rectifier)

    def read(self, files: FrameFiles) -> Frame:
        """The images of the stage, and the colour image to draw on."""
        return self.images_of(files.name, {'depth': files.depth, 'colour': files.colour})

    def images_of(self, frame: str, sources: Mapping[str, Path | np.ndarray | None]) -> Frame:
        """The images of a frame from files or arrays, by 'depth' and 'colour'.

        Args:
            frame: its name.
            sources: files, or arrays: (H, W) metres and (H, W, 3) uint8 RGB.
        """
        inputs, optional = self._system.images, self._system.optional_images
        views: dict[str, View] = {}
        faults: list[str] = []
        for name in dict.fromkeys((*inputs, 'colour', *optional)):
            source = sources.get(name)
            if source is not None:
                label = frame if isinstance(source, np.ndarray) else str(source)
                try:
                    pixels = self._pixels(name, source)
                    if name == 'depth' and (warning := self._doubt(pixels, source)):
                        faults.append(f'{label}: {warning}')
                    views[name] = self._undistorted(pixels)
                except FrameRefused as error:
                    faults.append(str(error) if str(error).startswith(label) else f'{label}: {error}')
            elif name in inputs:
                faults.append(f'{frame}: the frame has no {name} image')
        return Frame(views, (*faults, *self._unaligned(frame, views, sources.get('colour'))))

    def _pixels(self, name: str, source: Path | np.ndarray) -> np.ndarray:
        if isinstance(source, Path):
            return read_metric_depth(source, self._metres_per_unit) if name == 'depth' else read_colour(source)
        if name == 'depth' and source.ndim == 2 and source.dtype.kind == 'f':
            return metric_depth(source, 1.0)
        if name == 'colour' and source.ndim == 3 and source.shape[2] == 3 and source.dtype == np.uint8:
            return source
        expected = '(H, W) metres in floats' if name == 'depth' else '(H, W, 3) uint8 RGB'
        raise ImageFormatError(f'the {name} image is {source.shape} {source.dtype}, expected {expected}')

    def _doubt(self, depth: np.ndarray, source: Path | np.ndarray) -> str:
        """A warning where the unit of a depth image, (H, W) metres, is unlikely.

        Raises:
            DepthUnitError: no camera measures such depth.
        """
        if isinstance(source, Path):
            return check_depth(depth, self._metres_per_unit, REMEDY)
        return check_depth(depth, 1.0, 'give metres')

    def _undistorted(self, image: np.ndarray) -> View:
        rectifier = self._rectifier(self._cameras(image.shape[1], image.shape[0]))
        return View((rectifier.depth if image.ndim == 2 else rectifier.colour)(image), rectifier.camera, rectifier.lens)

    def _unaligned(self, name: str, views: dict[str, View], colour: Path | np.ndarray | None) -> list[str]:
        """Removes optional images that are not aligned with the first input, and says so."""
        first = self._system.images[0]
        faults = []
        for other in self._system.optional_images:
            if other in views and first in views and views[other].camera != views[first].camera:
                found, expected = views.pop(other).image.shape, views[first].image.shape
                faults.append(
                    f'{name}: the {other} image is {found[1]}x{found[0]} pixels, the {first} image '
                    f'{expected[1]}x{expected[0]}: align them'
                )
        if {'depth', 'colour'} <= views.keys() and isinstance(colour, Path) and is_turned(colour):
            other = 'colour' if self._system.images[0] == 'depth' else 'depth'
            del views[other]
            faults.append(
                f'{name}: the EXIF orientation of the colour image turns it, and the depth image has none: save the '
                f'colour image as it is shown, or without the orientation; the {other} image is left out'
            )
        return faults


def estimated(stage: Stage, system: System, frame: Frame, stamp: float) -> list[HandEstimate]:
    """The hands that a stage finds in a complete frame, with their pixels in the original image."""
    system = system.source
    inputs = system.images
    hands = stage(
        *(frame.views[name].image for name in inputs),
        frame.views[inputs[0]].camera,
        stamp,
        **{name: frame.views[name].image for name in system.optional_images if name in frame.views},
    )
    return [in_image(hand, frame.views[inputs[0]].lens) for hand in hands]
