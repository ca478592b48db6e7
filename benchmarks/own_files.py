# SPDX-License-Identifier: Apache-2.0
"""Benchmark files of one system, which are found by their names.

`benchmarks/<system>_stage.py` has `measure(seconds)`, which takes the place of the benchmark on simulated frames; a
system without a camera needs it. `benchmarks/<system>_networks.py` has `export(folder)`, which writes networks that do
not ship and returns their model folders by name. `benchmarks/<system>_cost.py` has `measure()`, the cost of each of its
networks in PyTorch by name.
"""

from __future__ import annotations

import importlib
import importlib.util
import types
from typing import Literal


def own_module(system: str, kind: Literal['stage', 'networks', 'cost']) -> types.ModuleType | None:
    """The module `benchmarks.<system>_<kind>`; None without such a file."""
    name = f'benchmarks.{system}_{kind}'
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def has_own_module(system: str, kind: Literal['stage', 'networks', 'cost']) -> bool:
    """Whether there is such a file, without loading it."""
    return importlib.util.find_spec(f'benchmarks.{system}_{kind}') is not None
