# SPDX-License-Identifier: Apache-2.0
"""Files of public data sets: images, depth, meshes, labels. Errors name the file, what was found and the remedy."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
import yaml

from hoi_ros.camera.pinhole import Pinhole
from training import inert_pickle

_CHUNK = 1 << 24  # bytes
_FLIP = np.array([1.0, -1.0, -1.0])
_AGREEMENT = 0.01  # metres; MANO itself is within 2 mm, another hand model several centimetres off


class DatasetError(ValueError):
    """A public data set or one of its files is missing, damaged or of another format."""


def require_choice(name: str, given: str, choices: Sequence[str]) -> None:
    """Raises a DatasetError if `given` is none of the choices."""
    if given not in choices:
        raise DatasetError(f'{name} {given!r}: expected one of {", ".join(choices)}')


def require_folder(path: Path, mend: str) -> None:
    """Raises a DatasetError if there is no such folder."""
    if not path.is_dir():
        raise DatasetError(f'{path}: {"a file" if path.exists() else "no such folder"}, expected a folder. {mend}')


def require_file(path: Path, mend: str) -> None:
    """Raises a DatasetError if there is no such file; it lists files of the same stem."""
    if path.is_file():
        return
    others = sorted(other.name for other in path.parent.glob(f'{path.stem}.*')) if path.parent.is_dir() else []
    beside = f' (there is {", ".join(others)})' if others else ''
    raise DatasetError(f'{path}: no such file{beside}. {mend}')


def read_image(path: Path, mend: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB.

    Raises:
        DatasetError: the file is missing or no image.
    """
    return cv2.cvtColor(_pixels(path, cv2.IMREAD_COLOR, mend), cv2.COLOR_BGR2RGB)


def read_raw_image(path: Path, mend: str, dtype: type, channels: int) -> np.ndarray:
    """The pixels as stored, channels in OpenCV's order; (H, W) for one channel.

    Raises:
        DatasetError: the file is missing, no image, or of another type.
    """
    pixels = _pixels(path, cv2.IMREAD_UNCHANGED, mend)
    found = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype != dtype or found != channels:
        raise DatasetError(
            f'{path}: {found} channels of {pixels.dtype}, expected {channels} of {np.dtype(dtype)}. {mend}'
        )
    return pixels


@functools.lru_cache(maxsize=32)
def read_mesh(path: Path, mend: str, seams: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (M, 3) float32 and triangles (F, 3) int32 of a mesh file: its parts merged, texture seams closed.

    The arrays are cached and read-only.

    Args:
        path: the file.
        mend: the remedy.
        seams: whether the vertices stay those of the file.

    Raises:
        DatasetError: the file is missing or no mesh.
    """
    require_file(path, mend)
    try:
        mesh = trimesh.load_mesh(path, process=False, skip_materials=True)
        if not seams:
            mesh.merge_vertices(merge_tex=True, merge_norm=True)
        vertices, faces = mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32)
    except Exception as error:  # trimesh raises almost any exception for a damaged file
        raise DatasetError(f'{path}: not a readable mesh ({error}). {mend}') from error
    if not len(faces):
        raise DatasetError(f'{path}: a mesh without triangles. {mend}')
    vertices.setflags(write=False)
    faces.setflags(write=False)
    return vertices, faces


def read_pickle(path: Path, mend: str) -> dict[str, Any]:
    """A pickled dictionary; no code of the pickle runs.

    Raises:
        DatasetError: the file is missing or damaged, holds no dictionary or asks for code.
    """
    require_file(path, mend)
    try:
        return inert_pickle.read_dictionary(path)
    except inert_pickle.PickleError as error:
        raise DatasetError(f'{path}: {error}. {mend}') from error


def read_pickled_list(path: Path, mend: str) -> list[Any]:
    """A pickled list; no code of the pickle runs.

    Raises:
        DatasetError: the file is missing or damaged, holds no list or asks for code.
    """
    require_file(path, mend)
    try:
        return inert_pickle.read_list(path)
    except inert_pickle.PickleError as error:
        raise DatasetError(f'{path}: {error}. {mend}') from error


def read_array_dictionary(path: Path, mend: str) -> dict[str, Any]:
    """A dictionary in an .npy file; no code of its pickle runs.

    Raises:
        DatasetError: the file is missing or damaged, holds no dictionary or asks for code.
    """
    require_file(path, mend)
    try:
        return inert_pickle.read_array_dictionary(path)
    except inert_pickle.PickleError as error:
        raise DatasetError(f'{path}: {error}. {mend}') from error


def read_array(path: Path, mend: str, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of an .npy file as floats, reshaped; −1 in the shape stands for any size.

    Raises:
        DatasetError: the file is missing or damaged, or holds other objects or an array of another shape.
    """
    require_file(path, mend)
    try:
        return np.load(path, allow_pickle=False).astype(float).reshape(shape)
    except Exception as error:  # a damaged file raises almost any exception
        raise DatasetError(f'{path}: not a readable .npy of shape {shape} ({error}). {mend}') from error


def read_json(path: Path, mend: str) -> Any:
    """The content of a JSON file.

    Raises:
        DatasetError: the file is missing or damaged.
    """
    require_file(path, mend)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise DatasetError(f'{path}: not readable JSON ({error}). {mend}') from error


def read_yaml(path: Path, mend: str) -> dict[str, Any]:
    """A YAML file that holds a dictionary of plain values; tags are refused.

    Raises:
        DatasetError: the file is missing or damaged, or holds no dictionary.
    """
    require_file(path, mend)
    try:
        content = yaml.load(path.read_text(), Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DatasetError(f'{path}: not readable YAML ({error}). {mend}') from error
    if not isinstance(content, dict):
        raise DatasetError(f'{path}: holds a {type(content).__name__}, expected a dictionary. {mend}')
    return content


def read_arrays(path: Path, mend: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; pickled ones are refused.

    Raises:
        DatasetError: the file is missing or damaged.
    """
    require_file(path, mend)
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception as error:  # zipfile and zlib raise their own exceptions
        raise DatasetError(f'{path}: not a readable .npz ({error}). {mend}') from error


def numbers(labels: dict[str, Any], name: str, shape: tuple[int, ...], path: Path, mend: str) -> np.ndarray:
    """An entry of a label file as floats, reshaped; −1 in the shape stands for any size.

    Raises:
        DatasetError: the entry is missing, is not numeric or has another shape.
    """
    if name not in labels:
        raise DatasetError(f'{path}: lacks {name}, has {", ".join(sorted(map(str, labels)))}. {mend}')
    try:
        values = inert_pickle.array(labels[name]).astype(float)
    except inert_pickle.PickleError as error:
        raise DatasetError(f'{path}: {name} {error}. {mend}') from error
    try:
        return values.reshape(shape)
    except ValueError:
        raise DatasetError(f'{path}: {name} has shape {values.shape}, expected {shape}. {mend}') from None


class JsonRecords:
    """The elements of a JSON list of lists of numbers, each parsed on access.

    FreiHAND's vertices are over a gigabyte of text: memory holds only the position of each element.

    Raises:
        DatasetError: the file is missing, truncated or no list of lists.
    """

    def __init__(self, path: Path, mend: str) -> None:
        require_file(path, mend)
        self._path = path
        starts, ends = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        depth, position = 0, 0
        with path.open('rb') as file:
            while chunk := file.read(_CHUNK):
                text = np.frombuffer(chunk, np.uint8)
                step = (text == ord('[')).view(np.int8) - (text == ord(']')).view(np.int8)
                places = np.flatnonzero(step)
                depths = depth + np.cumsum(step[places], dtype=np.int64)
                starts.append(position + places[(step[places] > 0) & (depths == 2)])
                ends.append(position + places[(step[places] < 0) & (depths == 1)] + 1)
                depth = int(depths[-1]) if len(depths) else depth
                position += len(chunk)
        self._starts, self._ends, self._mend = np.concatenate(starts), np.concatenate(ends), mend
        if depth or not len(self._starts) or len(self._starts) != len(self._ends):
            raise DatasetError(
                f'{path}: {len(self._ends)} whole elements, then cut or damaged; expected a JSON list '
                f'of lists of numbers. {mend}'
            )

    def __len__(self) -> int:
        return len(self._starts)

    def numbers(self, index: int, shape: tuple[int, ...]) -> np.ndarray:
        """One element as floats, reshaped; −1 in the shape stands for any size.

        Raises:
            DatasetError: the element is not numeric or has another shape.
        """
        start, end = int(self._starts[index]), int(self._ends[index])
        with self._path.open('rb') as file:
            file.seek(start)
            text = file.read(end - start)
        try:
            return np.asarray(json.loads(text), float).reshape(shape)
        except (ValueError, TypeError) as error:
            raise DatasetError(
                f'{self._path}: element {index} is not {shape} numbers ({error}). {self._mend}'
            ) from error


def pinhole(image: np.ndarray, matrix: np.ndarray) -> Pinhole:
    """The camera of an image with a (3, 3) intrinsic matrix of OpenCV's convention."""
    height, width = image.shape[:2]
    return Pinhole(width, height, *(float(matrix[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2))))


def from_opengl(points: np.ndarray) -> np.ndarray:
    """Points (..., 3) from an OpenGL camera (y up, looking along −z) to the optical frame (y down, z forward)."""
    return points * _FLIP


def pose_from_opengl(pose: np.ndarray) -> np.ndarray:
    """A (4, 4) transform into an OpenGL camera → into the optical frame."""
    return np.diag([*_FLIP, 1.0]) @ pose


def rigid(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """The (4, 4) transform of a (3, 3) rotation and a translation."""
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = rotation, translation
    return transform


def agree(posed: np.ndarray, labelled: np.ndarray) -> bool:
    """Whether the 21 keypoints of a hand model match the labels: a mean distance below 1 cm."""
    return bool(np.linalg.norm(posed - labelled, axis=-1).mean() < _AGREEMENT)


def require_agreement(posed: np.ndarray, labelled: np.ndarray, path: Path) -> None:
    """Raises a DatasetError if the keypoints of a hand model do not match the labels."""
    if not agree(posed, labelled):
        gap = np.linalg.norm(posed - labelled, axis=-1).mean() * 1000
        raise DatasetError(
            f'{path}: the given hand model puts the keypoints {gap:.0f} mm (mean) from the labelled '
            'ones; give the model that `python -m training.hand.mano` converts from your MANO_RIGHT.pkl, or '
            'none to read no vertices'
        )


def sample_number(index: int, count: int) -> int:
    """The index as an int.

    Raises:
        IndexError: no such sample; it ends a `for` loop over a data set.
    """
    if not 0 <= index < count:
        raise IndexError(f'sample {index}: there are {count}')
    return int(index)


def _pixels(path: Path, mode: int, mend: str) -> np.ndarray:
    require_file(path, mend)
    pixels = cv2.imread(str(path), mode)
    if pixels is None:
        raise DatasetError(f'{path}: not a readable image. {mend}')
    return pixels
