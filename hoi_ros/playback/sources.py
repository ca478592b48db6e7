# SPDX-License-Identifier: Apache-2.0
"""What a user gives as images: a folder of them, one image, a video, or a folder with a video; and of which kind."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

from hoi_ros.playback.image_folder import IMAGE_SUFFIXES
from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import is_depth_png
from hoi_ros.playback.image_folder import is_depth_tiff
from hoi_ros.playback.image_folder import is_hidden
from hoi_ros.playback.image_folder import OTHER_SUFFIXES
from hoi_ros.playback.image_folder import unpack_video
from hoi_ros.playback.image_folder import unread_images
from hoi_ros.playback.image_folder import VIDEO_SUFFIXES
from hoi_ros.systems import ImageKind
from hoi_ros.systems import SYSTEMS


def visible_files(source: Path, suffixes: Collection[str]) -> list[Path]:
    """The files with these suffixes in a folder and its subfolders, sorted; the file itself where `source` is one."""
    paths = [source] if source.is_file() else sorted(source.rglob('*'))
    return [path for path in paths if path.suffix.lower() in suffixes and not is_hidden(_inside(path, source))]


def _inside(path: Path, source: Path) -> Path:
    return Path(path.name) if path == source else path.relative_to(source)


def video_in(source: Path) -> Path | None:
    """The video that a user means: the file itself, or the one in a folder without images.

    Raises:
        ImageFolderError: the folder holds several videos and no image, or the file is an image of another format.
    """
    if source.is_file():
        suffix = source.suffix.lower()
        # OpenCV opens GIF as a video.
        if suffix in OTHER_SUFFIXES - {'.gif'}:
            raise ImageFolderError(f'{source}: images of the format {suffix} are not read: convert it to JPEG or PNG')
        return None if suffix in IMAGE_SUFFIXES else source
    videos = visible_files(source, VIDEO_SUFFIXES)
    if not videos or visible_files(source, IMAGE_SUFFIXES):
        return None
    if len(videos) > 1:
        raise ImageFolderError(f'{source} holds {len(videos)} videos, expected one: give the file, such as {videos[0]}')
    return videos[0]


def opened(source: Path, frames: Path, seconds: float = math.inf) -> tuple[Path, float | None]:
    """The images of a source, and the frames a second of a video, the first seconds of which are written into the
    folder `frames`; None where it is no video.

    Raises:
        ImageFolderError: the video cannot be read.
    """
    video = video_in(source)
    return (source, None) if video is None else (frames, unpack_video(video, frames, seconds))


def left_out(*sources: Path | None) -> list[str]:
    """What lies in folders of images and is not read, a sentence a format."""
    lines = [
        f'{counted(count, "image")} of the format {suffix} cannot be read: convert to JPEG or PNG'
        for suffix, count in unread_images(*sources).items()
    ]
    for source in sources:
        if source is not None and source.is_dir() and (videos := visible_files(source, VIDEO_SUFFIXES)):
            lines.append(f'{counted(len(videos), "video")} beside the images: give the file to use one, {videos[0]}')
    return lines


def counted(count: int, noun: str) -> str:
    """'1 frame', '2 frames'."""
    return f'{count} {noun}' + ('' if count == 1 else 's')


def kind_of(path: Path) -> ImageKind | None:
    """Whether a file is an image of colours or of depth; None where it is unreadable."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return 'colour'
    try:
        with path.open('rb') as file:
            start = file.read(26)
    except OSError:
        return None
    if is_depth_png(start):
        return 'depth'
    if is_depth_tiff(path):
        return 'depth'
    return 'colour' if suffix in IMAGE_SUFFIXES else None


def kinds_in(source: Path) -> set[ImageKind]:
    """The kinds of some images of a source."""
    files = visible_files(source, IMAGE_SUFFIXES | VIDEO_SUFFIXES)
    return {kind for path in files[:: max(len(files) // 8, 1)] if (kind := kind_of(path)) is not None}


def wrong_kind(source: Path, kind: ImageKind) -> ImageKind | None:
    """The kind of the images of a source where all that are looked at are of another one than `kind`."""
    kinds = kinds_in(source)
    return kinds.pop() if len(kinds) == 1 and kind not in kinds else None


def systems_for(kind: ImageKind) -> list[str]:
    """The systems that need images of this kind alone."""
    return [name for name, system in SYSTEMS.items() if system.images == (kind,)]
