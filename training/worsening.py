# SPDX-License-Identifier: Apache-2.0
"""Names the figures in which one network is worse than another."""

from __future__ import annotations

import math
from collections.abc import Mapping

_FALLING = 'error', '_mm', 'false', 'chamfer', 'penetration', 'percent'
"""Parts of the names of figures that are better the smaller they are; the others are shares of right answers."""
_NOTABLE = 0.01
"""A smaller relative change is noise."""


def worse_figures(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Each figure that both have and that became worse, as `name old → new`."""
    return [
        f'{name} {old:.4g} → {new:.4g}'
        for name, old in before.items()
        if isinstance(old, float | int)
        and isinstance(new := after.get(name), float | int)
        and not math.isnan(old)
        and (
            math.isnan(new) or (new - old) * (1 if any(part in name for part in _FALLING) else -1) > _NOTABLE * abs(old)
        )
    ]
