# SPDX-License-Identifier: Apache-2.0
class PythonLaunchDescriptionSource:
    def __init__(self, path):
        self.path = path
