# SPDX-License-Identifier: Apache-2.0
from . import perform


class IfCondition:
    def __init__(self, predicate):
        self._predicate = predicate

    def evaluate(self, context):
        return perform(context, self._predicate).lower() == 'true'
