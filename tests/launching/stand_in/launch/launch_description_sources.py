# SPDX-License-Identifier: Apache-2.0
import runpy


class PythonLaunchDescriptionSource:
    def __init__(self, path):
        self.path = path

    def get_launch_description(self, context):
        return runpy.run_path(self.path)['generate_launch_description']()
