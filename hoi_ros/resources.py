# SPDX-License-Identifier: Apache-2.0
"""Where the trained models and the default configuration lie."""

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


class ResourceError(RuntimeError):
    """A folder that comes with the package is missing."""


def models_dir() -> Path:
    """Folder with one sub-folder a trained network.

    `HOI_ROS_MODELS` where it is set, else `models/` of the source tree, else `share/hoi_ros/models` of the
    installed package.

    Raises:
        ResourceError: None of them exists, or `HOI_ROS_MODELS` names no folder.
    """
    override = os.environ.get('HOI_ROS_MODELS')
    if override:
        folder = Path(override).expanduser()
        if not folder.is_dir():
            raise ResourceError(f'HOI_ROS_MODELS is {override!r}, which is no folder: unset it or mend the path.')
        return folder
    return _folder('models', 'HOI_ROS_MODELS')


def config_dir() -> Path:
    """Folder with the default parameter file of each node: the source tree's, else the installed one.

    Raises:
        ResourceError: Neither exists.
    """
    return _folder('config')


def _folder(name: str, variable: str | None = None) -> Path:
    # pip installs under the interpreter's own prefix.
    prefixes = [*filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)), sys.prefix]
    candidates = [_PACKAGE.parent / name, *(Path(prefix, 'share', 'hoi_ros', name) for prefix in prefixes)]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    tried = ', '.join(str(candidate) for candidate in candidates)
    mend = f', or set {variable}' if variable else ''
    raise ResourceError(f"hoi_ros has no {name} folder (tried {tried}): source the install's setup file{mend}.")
