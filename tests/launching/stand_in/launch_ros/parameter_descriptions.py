# SPDX-License-Identifier: Apache-2.0
import yaml

from launch import perform


class ParameterValue:
    def __init__(self, value, value_type):
        self._value, self._type = value, value_type

    def evaluate(self, context):
        value = perform(context, self._value)
        if self._type is not str:
            value = yaml.safe_load(value)
        assert isinstance(value, self._type)
        return value
