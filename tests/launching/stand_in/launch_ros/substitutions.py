# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path


class FindPackageShare:
    def __init__(self, package):
        self._package = package

    def perform(self, context):
        shares = [Path(prefix, 'share', self._package) for prefix in os.environ['AMENT_PREFIX_PATH'].split(':')]
        return str(next(share for share in shares if share.is_dir()))
