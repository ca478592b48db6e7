# SPDX-License-Identifier: Apache-2.0
"""Recorded frames: folders of depth and colour images, and videos."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.calibration import load_camera_yaml
from hoi_ros.camera.depth import metric_depth
from hoi_ros.camera.image_buffer import decompress
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.rectified import is_rectified
from hoi_ros.camera.rectified import Rectified
from hoi_ros.playback.picture_files import write_picture
from hoi_ros.systems import ImageKind
from hoi_ros.systems import SYSTEMS

IMAGE_SUFFIXES = frozenset({'.png', '.tif', '.tiff', '.jpg', '.jpeg', '.bmp', '.webp'})
OTHER_SUFFIXES = frozenset({'.avif', '.cr2', '.dng', '.gif', '.heic', '.heif', '.jxl', '.nef', '.raw'})
"""Of images that are not read."""
VIDEO_SUFFIXES = frozenset({'.mp4', '.avi', '.mkv', '.mov', '.webm'})

USUAL_RATE = 30.0
"""Frames a second of sequences that do not say."""
_FASTEST = 480.0
"""Frames a second of a video at most: containers without a rate name that of their clock, 1000 and more."""

COPY_AGAIN = 'copy or save the file again'
"""The remedy for a damaged file."""

_PNG = b'\x89PNG\r\n\x1a\n'
_JPEG = b'\xff\xd8'
_EXIF = b'Exif\0\0'
_MARKS_OF_EXIF = b'Exif', b'eXIf', b'EXIF', b'II*\0', b'MM\0*'
"""In files of JPEG, PNG, WebP and TIFF."""
_EXIF_WITHIN = 65536
"""Bytes at the start of a JPEG file that hold its EXIF fields, if it has any."""
_TIFF = frozenset({'.tif', '.tiff'})
_ORIGIN = 'video.txt'
"""File beside the frames of a video that names it."""
_CUT_SHORT = 0.9
"""A video of which less than this share of the frames that it names can be read is cut short."""
_GREY_16_BITS = bytes((16, 0))
"""Bit depth and colour type at the end of the first 26 bytes of a PNG file."""


class ImageFolderError(ValueError):
    """A folder of images is missing or empty, or does not pair with the other."""


@dataclasses.dataclass(frozen=True)
class FrameFiles:
    """The images of one frame."""

    name: str
    """Path inside the folder of depth images where the frame has one, else inside that of colour images."""
    depth: Path | None
    colour: Path | None


def list_frames(depth: Path | None, colour: Path | None) -> list[FrameFiles]:
    """The images of the folders and their subfolders; depth and colour images of one name are one frame.

    A file instead of a folder is a single image.
    Frames are sorted by name, with numbers by value: 30.png comes before 110.png. An image without a counterpart is a
    frame of its own.

    Raises:
        ImageFolderError: a folder is missing or holds no image, or depth and colour images cannot be paired: two images
            of a folder have one name, or no depth image has the name of a colour image.
    """
    both = depth is not None and colour is not None
    depths, colours = (_images(folder, both) if folder else {} for folder in (depth, colour))
    if depths and colours and not depths.keys() & colours.keys():
        raise ImageFolderError(
            f'no image in {colour} has the name of one in {depth} (they start with '
            f'{min(colours)!r} and {min(depths)!r}): name the images of one frame alike'
        )
    frames = []
    for name in sorted(depths.keys() | colours.keys(), key=lambda name: (_numeric(name), name)):
        file = depths.get(name) or colours[name]
        frames.append(FrameFiles(_below(file, depth, colour), depths.get(name), colours.get(name)))
    return frames


def _below(file: Path, *folders: Path | None) -> str:
    """The path of a file below whichever folder holds it."""
    folder = next(folder for folder in folders if folder and file.is_relative_to(folder))
    return file.name if file == folder else file.relative_to(folder).as_posix()


def folder_calibration(camera: Path, rectified: Rectified, folders: Sequence[Path | None]) -> CameraCalibration:
    """Reads the calibration file of the images of some folders.

    Args:
        camera: ROS calibration file.
        rectified: whether the images are rectified; 'auto' for what the names of the folders say.
        folders: of images of one camera; None where there is none.

    Raises:
        CalibrationError: the file is unusable, or the folders contradict each other.
    """
    said = {is_rectified(rectified, folder.absolute().as_posix()) for folder in folders if folder}
    readings = [load_camera_yaml(camera, each) for each in sorted(said or {False})]
    if any(reading != readings[0] for reading in readings):
        raise CalibrationError(
            f'{" and ".join(str(folder) for folder in folders if folder)}: the name of one says that its images are '
            'rectified, that of the other does not: give both raw or both rectified, or give --rectified true or false'
        )
    return readings[0]


def read_depth(path: Path) -> np.ndarray:
    """The raw values of a depth image: (H, W) uint16 or float32; `metric_depth` converts them to metres.

    Raises:
        ImageFormatError: the file is unreadable, or an image of another kind.
    """
    pixels = _read(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 2 or pixels.dtype not in (np.uint16, np.float32):
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        mend = f'this is no depth image{_other_stage("colour")}'
        if channels == 1 and pixels.dtype.itemsize > 1:
            mend = 'convert it to 32-bit floats or to 16-bit integers'
        raise ImageFormatError(
            f'{path}: {channels} channel(s) of {pixels.dtype}, expected one of uint16 or float32: {mend}'
        )
    return pixels


def read_metric_depth(path: Path, metres_per_unit: float) -> np.ndarray:
    """(H, W) float32 metres, 0 where unknown. Errors as `read_depth`."""
    return metric_depth(read_depth(path), metres_per_unit)


def read_colour(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned upright as its EXIF orientation says.

    Raises:
        ImageFormatError: the file is unreadable, or an image of 16-bit greys, as depth images are.
    """
    pixels = _read(path, cv2.IMREAD_COLOR)
    data = path.read_bytes()
    if is_depth_png(data) or is_depth_tiff(path):
        raise ImageFormatError(f'{path}: 16-bit greys, expected colours: this is a depth image{_other_stage("depth")}')
    if data.startswith(_JPEG) and _EXIF in data[:_EXIF_WITHIN]:
        # `decompress` refuses damaged files and knows no orientation, which images of topics do not have.
        turned = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        pixels = pixels if turned is None else turned
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def is_turned(path: Path) -> bool:
    """Whether the EXIF orientation of a readable colour image turns or mirrors it."""
    data = path.read_bytes()
    if not any(mark in data for mark in _MARKS_OF_EXIF):
        return False
    pixels = np.frombuffer(data, np.uint8)
    upright = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
    stored = cv2.imdecode(pixels, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return upright is not None and stored is not None and not np.array_equal(upright, stored)


def is_depth_png(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a PNG image of 16-bit greys."""
    return start.startswith(_PNG) and start[:26].endswith(_GREY_16_BITS)


def is_depth_tiff(path: Path) -> bool:
    """Whether a file is a TIFF image of one channel of 16-bit integers or 32-bit floats."""
    if path.suffix.lower() not in _TIFF:
        return False
    try:
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        return False
    return pixels is not None and pixels.ndim == 2 and pixels.dtype in (np.uint16, np.float32)


def unpack_video(video: Path, folder: Path, seconds: float = math.inf) -> float:
    """Writes the frames of a video as JPEG images (000000.jpg, ...) into a folder; returns the frames a second, 30
    where neither the file nor the times of its frames say. Frames of an earlier video there are removed.

    Args:
        video: the file.
        folder: it is created.
        seconds: of the video's beginning that are written.

    Raises:
        ImageFolderError: the video is missing or cannot be read, or the folder holds something else.
        OSError: a frame cannot be written.
    """
    try:
        str(video).encode()
    except UnicodeEncodeError as error:
        raise ImageFolderError(f'{str(video)!r}: the name is no text in UTF-8: rename the video') from error
    capture = cv2.VideoCapture(str(video))
    rate, last, count = capture.get(cv2.CAP_PROP_FPS), 0.0, 0
    declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    try:
        more, frame = capture.read()
        if more:
            _make_room(folder, video)
        told = time.monotonic()
        while more and last < seconds:
            picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            write_picture(folder / f'{count:06}.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
            last, count = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, count + 1
            more, frame = capture.read()
            if time.monotonic() - told > 5:
                told = time.monotonic()
                print(f'{count} frames of {video}, {last:.0f} s', file=sys.stderr)
    finally:
        capture.release()
    if not count:
        raise ImageFolderError(
            f'{video}: no video that can be read, expected H.264 in MP4 or another that OpenCV knows'
        )
    if not more and count < _CUT_SHORT * declared:
        print(f'{video}: {count} of about {declared:.0f} frames could be read: the file may be cut short')
    for plausible in (rate, (count - 1) / last if last > 0 else 0.0):
        if 1 <= plausible <= _FASTEST:
            return plausible
    return USUAL_RATE


def _make_room(folder: Path, video: Path) -> None:
    """Removes the frames of an earlier video from a folder, which then names the one that follows.

    Raises:
        ImageFolderError: the folder holds other files than such frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    origin = folder / _ORIGIN
    if not origin.is_file() and any(folder.iterdir()):
        raise ImageFolderError(
            f'{folder}: the frames of {video} go there, and it holds other files: give another folder with --out'
        )
    origin.write_text(f'frames of {video}\n', encoding='utf-8', errors='backslashreplace')
    for earlier in folder.glob('[0-9]' * 6 + '.jpg'):
        earlier.unlink()


def unread_images(*folders: Path | None) -> dict[str, int]:
    """How many images of formats that are not read lie in the folders, by suffix."""
    suffixes = [path.suffix.lower() for folder in folders if folder for path in folder.rglob('*')]
    return {suffix: suffixes.count(suffix) for suffix in sorted(OTHER_SUFFIXES.intersection(suffixes))}


def _images(folder: Path, paired: bool) -> dict[str, Path]:
    """Each image by its path inside the folder, without suffix where it is to be paired."""
    if folder.is_file() and folder.suffix.lower() in IMAGE_SUFFIXES:
        return {folder.stem if paired else folder.name: folder}
    if not folder.is_dir():
        raise ImageFolderError(f'{folder} is no folder: give the folder that holds the images')
    images: dict[str, Path] = {}
    for path in folder.rglob('*'):
        inside = path.relative_to(folder)
        if path.suffix.lower() not in IMAGE_SUFFIXES or is_hidden(inside) or not path.is_file():
            continue
        name = (inside.with_suffix('') if paired else inside).as_posix()
        if name in images:
            raise ImageFolderError(f'{images[name]} and {path} are two images of one name: keep one of them')
        images[name] = path
    if not images:
        others = ''.join(
            f'; it holds {count} {suffix}: convert them' for suffix, count in unread_images(folder).items()
        )
        raise ImageFolderError(
            f'{folder} holds no image, expected files ending in {", ".join(sorted(IMAGE_SUFFIXES))}{others}'
        )
    return images


def is_hidden(inside: Path) -> bool:
    """Whether a file, by its path inside a folder of images, or a folder above it is hidden, as thumbnails are."""
    return any(part.startswith('.') for part in inside.parts)


def _other_stage(kind: ImageKind) -> str:
    """The option that takes images of this kind, as the end of a sentence."""
    able = [name for name, system in SYSTEMS.items() if system.images == (kind,)]
    return f'; for {kind} images give --stage {" or ".join(able)}' if able else ''


def _numeric(name: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r'(\d+)', name)]


def _read(path: Path, flags: int) -> np.ndarray:
    suffix = path.suffix.lower()
    if suffix in OTHER_SUFFIXES:
        raise ImageFormatError(f'{path}: images of the format {suffix} are not read: convert it to JPEG or PNG')
    if suffix in VIDEO_SUFFIXES:
        raise ImageFormatError(f'{path}: this is a video: give it to python -m hoi_ros.replay --rgb {path}')
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageFormatError(f'{path}: cannot be read ({error.strerror})') from error
    try:
        return decompress(data, path.suffix, flags, COPY_AGAIN)
    except ImageFormatError as error:
        remedy = '' if str(error).endswith(COPY_AGAIN) else f'; {COPY_AGAIN}'
        raise ImageFormatError(f'{path}: {error}{remedy}') from error
