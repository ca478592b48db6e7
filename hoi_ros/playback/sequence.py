# SPDX-License-Identifier: Apache-2.0
"""Whether the pictures of a folder follow each other in time, or each is on its own."""

from __future__ import annotations

import dataclasses
import re
import struct
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from pathlib import PurePosixPath
from typing import Literal
from typing import NamedTuple

from hoi_ros.playback.image_folder import FrameFiles

_PHOTO = re.compile(r'(IMG|MVIMG|PXL|DSC[NF]?|WhatsApp Image|Screenshot)[-_ ]?\d|(19|20)\d{6}[-_]\d{6}(\D|$)')
"""Names that phones and cameras give to photos, of a prefix or of a date and a time to the second."""
_SIZES_READ = 100
"""Largest number of pictures whose size is read."""
_PNG = b'\x89PNG\r\n\x1a\n'
_JPEG = b'\xff\xd8'


class Order(NamedTuple):
    """How the pictures of a folder belong together."""

    independent: bool
    """Whether every picture is on its own: hands are not tracked from one to the next."""
    reason: str
    """Why, for the user; '' where the frames themselves say so."""
    frames: Literal['sequence', 'video', 'picture'] = 'sequence'
    """What they are."""

    def __str__(self) -> str:
        if self.frames == 'picture':
            return 'one picture'
        text = 'every picture on its own'
        if not self.independent:
            text = f'a {self.frames}, hands are tracked from frame to frame'
        return f'{text}: {self.reason}' if self.reason else text


@dataclasses.dataclass(frozen=True)
class Replayed:
    """Recorded images that are shown to a node."""

    folders: dict[str, Path]
    """Of 'depth' and 'rgb' images."""
    order: Order
    count: int
    """Of the frames."""
    rate: float
    """Frames a second of their recording."""


def chosen_order(frames: Sequence[FrameFiles], is_video: bool, independent: bool, sequence: bool) -> Order:
    """The order of the frames of a video or of images, as the options --independent and --sequence say, if given."""
    if is_video and not independent:
        return Order(False, '', 'video')
    if independent or sequence:
        return Order(independent, 'as --independent says' if independent else 'as --sequence says')
    return order_of(frames)


def order_of(frames: Sequence[FrameFiles]) -> Order:
    """The order of images by names and sizes: a sequence has names that differ in numbers only, and one size."""
    if len(frames) == 1:
        return Order(True, '', 'picture')
    names: dict[PurePosixPath, list[str]] = defaultdict(list)
    for frame in frames:
        path = PurePosixPath(frame.name)
        names[path.parent].append(path.stem)
    for stems in names.values():
        if photo := next((stem for stem in stems if _PHOTO.match(stem)), None):
            return Order(True, f'{photo!r} is a name of photos')
        patterns = {re.sub(r'\d+', '#', stem) for stem in stems}
        if len(patterns) > 1 or not any(character.isdigit() for stem in stems for character in stem):
            return Order(True, f'names such as {stems[0]!r} and {stems[-1]!r} are not numbered alike')
    step = max(len(frames) // _SIZES_READ, 1)
    for kind in ('depth', 'colour'):
        paths = [path for frame in frames[::step] if (path := getattr(frame, kind)) is not None]
        sizes = {size for path in paths if (size := image_size(path)) is not None}
        if len(sizes) > 1:
            shown = ' and '.join(f'{width}x{height}' for width, height in sorted(sizes)[:2])
            return Order(True, f'they are of {len(sizes)} sizes, as {shown} pixels')
    return Order(False, 'names are numbered alike, and pictures are of one size')


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG file as stored, read from its header; None for other or damaged files."""
    try:
        with path.open('rb') as file:
            start = file.read(24)
            if start.startswith(_PNG):
                width, height = struct.unpack('>II', start[16:24])
                return width, height
            if not start.startswith(_JPEG):
                return None
            file.seek(2)
            while True:
                marker, kind, length = struct.unpack('>BBH', file.read(4))
                if marker != 0xFF:
                    return None
                # Start of frame, of any coding; the other three in this range hold tables.
                if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
                    _, height, width = struct.unpack('>BHH', file.read(5))
                    return width, height
                file.seek(length - 2, 1)
    except (OSError, struct.error):
        return None
