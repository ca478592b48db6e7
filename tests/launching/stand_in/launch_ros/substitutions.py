# SPDX-License-Identifier: Apache-2.0
class FindPackageShare:
    def __init__(self, package):
        self._package = package

    def perform(self, context):
        return f'/share/{self._package}'
