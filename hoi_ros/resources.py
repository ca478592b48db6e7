# SPDX-License-Identifier: Apache-2.0
"""Where the trained models lie.

A folder of models holds one subfolder a model. A user's folder may hold some of them; the package's own serve for the
rest.
"""

import functools
import logging
import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_LOG = logging.getLogger(__name__)


class ResourceError(RuntimeError):
    """A folder that comes with the package is missing."""


def models_dir() -> Path:
    """The user's folder of models, `HOI_ROS_MODELS`, if it is set; else the package's own.

    Raises:
        ResourceError: There is none, or `HOI_ROS_MODELS` names no folder.
    """
    override = os.environ.get('HOI_ROS_MODELS')
    if not override:
        return package_models_dir()
    folder = Path(override).expanduser()
    if not folder.is_dir():
        raise ResourceError(f'HOI_ROS_MODELS is {override!r}, which is not a folder: unset it or mend the path.')
    return folder


def model_dirs() -> list[Path]:
    """The folders of all models by name: the user's, and the package's own that the user's folder lacks.

    Raises:
        ResourceError: as `models_dir`.
    """
    folders = {folder.name: folder for models in (package_models_dir(), models_dir()) for folder in models.iterdir()}
    return [folders[name] for name in sorted(folders) if folders[name].is_dir()]


def package_models_dir() -> Path:
    """`models/` of the source tree, else `share/hoi_ros/models` of the installed package.

    Raises:
        ResourceError: Neither exists.
    """
    # pip installs under the interpreter's own prefix.
    prefixes = [*filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)), sys.prefix]
    candidates = [_PACKAGE.parent / 'models', *(Path(prefix, 'share', 'hoi_ros', 'models') for prefix in prefixes)]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    tried = ', '.join(str(candidate) for candidate in candidates)
    raise ResourceError(
        f"hoi_ros has no models folder (tried {tried}): source the install's setup file, or set HOI_ROS_MODELS."
    )


def model_dir(name: str, models: str | Path | None = None) -> Path:
    """The folder of one model: in the user's folder of models if it holds the model, else in the package's own.

    The log names each model that is taken from the package although the user has a folder of models. A model that
    neither folder holds is expected in the user's.

    Args:
        name: of the model, such as hand_model.
        models: the user's folder of models; None for `models_dir()`.

    Raises:
        ResourceError: the user's folder is missing or holds no model, or the package has none.
    """
    folder = Path(models).expanduser() if models is not None else models_dir()
    if (folder / name).is_dir():
        return folder / name
    if not folder.is_dir():
        raise ResourceError(f'{folder} is not a folder: give one that holds models, or none to use those of hoi_ros')
    own = package_models_dir()
    known = sorted(other.name for other in own.iterdir() if other.is_dir())
    if not any((folder / other).is_dir() for other in known):
        raise ResourceError(
            f'{folder} holds no model, expected a folder {name} or another of {", ".join(known)}: name the folder '
            'that holds such folders'
        )
    if not (own / name).is_dir():
        return folder / name
    _log_fallback(folder, own / name)
    return own / name


@functools.cache
def _log_fallback(folder: Path, taken: Path) -> None:
    """Once a process."""
    _LOG.warning('%s holds no %s: the model of hoi_ros is used, %s', folder, taken.name, taken)
