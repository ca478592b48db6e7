# SPDX-License-Identifier: Apache-2.0
"""Names the figures in which one network is worse than another."""

from __future__ import annotations

import math
from collections.abc import Mapping

_FALLING = 'error', '_mm', 'false', 'chamfer', 'penetration', 'intersection', 'percent'
"""Parts of the names of figures that are better the smaller they are; the others are shares of right answers."""
_SHARE = 'within'
"""Part of the names of shares that name a length."""
_NOTABLE = 0.01
"""A smaller relative change is noise."""


def worse_figures(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Each figure that both have and that became worse, as `name old → new`; whole numbers are counts, not figures."""
    return [
        f'{name} {old:.4g} → {new:.4g}'
        for name, old in before.items()
        if isinstance(old, float)
        and isinstance(new := after.get(name), float)
        and not math.isnan(old)
        and (math.isnan(new) or (new - old) * (1 if _falls(name) else -1) > _NOTABLE * abs(old))
    ]


def _falls(name: str) -> bool:
    return _SHARE not in name and any(part in name for part in _FALLING)
