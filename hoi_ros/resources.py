# SPDX-License-Identifier: Apache-2.0
"""Where the trained models lie."""

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


class ResourceError(RuntimeError):
    """A folder that comes with the package is missing."""


def models_dir() -> Path:
    """The folder with one subfolder a network.

    `HOI_ROS_MODELS` if it is set, else `models/` of the source tree, else `share/hoi_ros/models` of the installed
    package.

    Raises:
        ResourceError: None of them exists, or `HOI_ROS_MODELS` names no folder.
    """
    override = os.environ.get('HOI_ROS_MODELS')
    if override:
        folder = Path(override).expanduser()
        if not folder.is_dir():
            raise ResourceError(f'HOI_ROS_MODELS is {override!r}, which is not a folder: unset it or mend the path.')
        return folder
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
