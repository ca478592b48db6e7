# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours in clouds of points."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

_MOST = 500_000
"""Distances that are held at a time: they stay in the processor's cache."""
_GROUP = 12
"""Points of a group of the search, about √(N / K)."""


def nearest(values: Tensor, queries: Tensor, count: int) -> Tensor:
    """(B, M, count) indices of the rows of values (B, N, C) next to queries (B, M, C), the nearest first.

    A point that is in both is its own first neighbour, but for rounding. Trees are faster than distances to all points
    where there are few dimensions and no GPU.
    """
    if values.shape[-1] <= 3 and values.device.type == 'cpu':
        return _by_trees(values.detach().numpy(), queries.detach().numpy(), count)
    with torch.no_grad():
        middle = values.mean(1, keepdim=True)  # the expanded square is precise about the middle
        values, queries = values - middle, queries - middle
        squares = values.square().sum(-1)[:, None]
        spare = -values.shape[1] % _GROUP
        squares, values = F.pad(squares, (0, spare), value=torch.inf), F.pad(values, (0, 0, 0, spare)).transpose(1, 2)
        items = max(1, _MOST // squares.shape[-1] // queries.shape[1])
        found = []
        for part in zip(squares.split(items), values.split(items), queries.split(items)):
            rows = max(1, _MOST // squares.shape[-1] // len(part[0]))
            found.append(torch.cat([_least(part[0], part[1], some, count) for some in part[2].split(rows, 1)], 1))
    return torch.cat(found)


def _by_trees(values: np.ndarray, queries: np.ndarray, count: int) -> Tensor:
    found = [cKDTree(cloud).query(asked, range(1, count + 1))[1] for cloud, asked in zip(values, queries)]
    return torch.from_numpy(np.stack(found))


def _least(squares: Tensor, values: Tensor, queries: Tensor, count: int) -> Tensor:
    """(B, M, count) indices of the nearest columns of values (B, C, N) whose squares are (B, 1, N).

    The `count` nearest are in the `count` groups whose nearest are the nearest.
    """
    distances = torch.baddbmm(squares, queries, values, alpha=-2)
    groups = distances.shape[-1] // _GROUP
    if groups <= 2 * count:
        return distances.topk(count, largest=False).indices
    group = distances.unflatten(-1, (_GROUP, groups)).amin(2).topk(count, largest=False, sorted=False).indices
    places = torch.arange(_GROUP, device=group.device)[:, None] * groups
    candidates = (group[:, :, None] + places).flatten(2)
    return candidates.gather(2, distances.gather(2, candidates).topk(count, largest=False).indices)


def rows_at(values: Tensor, index: Tensor) -> Tensor:
    """(B, M, K, C) rows of values (B, N, C) at indices (B, M, K)."""
    batch, count, width = values.shape
    if torch.jit.is_tracing():  # `start` would stay that of the traced batch
        places = index.flatten(1)[..., None].expand(-1, -1, int(width))
        return values.gather(1, places).reshape(-1, *map(int, index.shape[1:]), int(width))
    start = torch.arange(batch, device=index.device)[:, None, None] * count
    return values.reshape(-1, width).index_select(0, (index + start).reshape(-1)).reshape(*index.shape, width)
