# SPDX-License-Identifier: Apache-2.0
"""Tools and kitchen utensils: a handle with a head, a shaft or a blade."""

from __future__ import annotations

import numpy as np

from training.data.synthetic.objects.sections import oval
from training.data.synthetic.objects.sections import rounded_edge
from training.data.synthetic.objects.sections import stacked
from training.data.synthetic.objects.sections import uniform
from training.data.synthetic.objects.sewing import SewnMesh


def tool(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A hammer, a driver or a paddle."""
    kind = rng.random()
    if kind < 0.4:
        return hammer(rng)
    if kind < 0.7:
        return driver(rng)
    return paddle(rng)


def hammer(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A head across the end of a shaft: hammer, mallet, rake, brush or razor."""
    grip = uniform(rng, 0.007, 0.016)
    length = uniform(rng, 0.12, 0.26)
    head = np.array([uniform(rng, max(1.15 * grip, 0.012), 0.032) for _ in range(2)])  # half-axes
    reach = np.array([uniform(rng, 0.03, 0.075), uniform(rng, 0.03, 0.06)])
    stem = 0.75 * min(grip, *head)
    places = np.concatenate(
        [
            [-reach[0], -reach[0] + 0.002, -reach[0] / 2 - stem / 2],
            np.linspace(-stem, stem, 5),
            [reach[1] / 2 + stem / 2, reach[1] - 0.002, reach[1]],
        ]
    )
    ends = np.array([uniform(rng, 0.3, 1.0), uniform(rng, 0.75, 1.15)])
    size = np.interp(places, [-reach[0], -stem, stem, reach[1]], [ends[0], 1, 1, ends[1]])
    size[[0, -1]] *= 0.9
    rings = stacked(places, size[:, None] * head, oval(24, uniform(rng, 2.0, 6.0)))[..., [2, 0, 1]]
    skin = SewnMesh()
    (hole,) = skin.tube(rings, [(3, 7, 16, 20)])
    share = np.linspace(0, 1, 12)
    thickness = np.interp(share, [0, 0.25, 0.5, 0.9, 1], [0.8, 0.8, 1, uniform(rng, 0.9, 1.2), 0.7]) * grip
    thickness[0] = min(thickness[0], 1.2 * stem)
    centres = np.stack([np.zeros(12), np.zeros(12), -head[1] - 0.003 - length * share], 1)
    flat = uniform(rng, 0.65, 1.0)
    skin.branch(hole, centres, np.array([1.0, 0, 0]), thickness[:, None] * np.array([1.0, flat]))
    return skin.mesh()


def driver(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A handle and a shaft in one line: screwdriver, brush, knife or marker."""
    grip, handle = uniform(rng, 0.006, 0.018), uniform(rng, 0.08, 0.13)
    shaft, blade = grip * uniform(rng, 0.3, 1.0), uniform(rng, 0.04, 0.13)
    shaft = max(shaft, 0.0035)
    swell = uniform(rng, 0, 0.2)
    share = np.linspace(0, 1, 10)
    low = rounded_edge(grip, 0, 0.5 * grip, True)
    heights = np.concatenate(
        [low[1], low[1][-1] + (handle - low[1][-1]) * share[1:], handle + 0.006 + (blade - 0.006) * share]
    )
    radii = np.concatenate(
        [
            low[0],
            grip * (1 - swell * np.sin(2 * np.pi * share[1:])),
            shaft * np.interp(share, [0, 0.8, 1], [1, 1, uniform(rng, 0.4, 1)]),
        ]
    )
    tip = uniform(rng, 0.35, 1.0)
    flat = np.interp(heights, [0, handle, handle + blade], [1, 1, tip])
    skin = SewnMesh()
    skin.tube(stacked(heights, np.stack([radii, radii * flat], 1), oval(24, uniform(rng, 2.0, 4.0))))
    return skin.mesh()


def paddle(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A handle that widens into a blade: spoon, spatula, hairbrush or remote control."""
    grip, handle = uniform(rng, 0.006, 0.014), uniform(rng, 0.09, 0.17)
    wide, blade = grip * uniform(rng, 1.4, 3.5), uniform(rng, 0.04, 0.1)
    thin = uniform(rng, 0.004, 0.009)
    share = np.linspace(0, 1, 14)
    turn = np.pi * (share[1:] * 0.93 + 0.04)
    low = rounded_edge(grip, 0, 0.4 * grip, True)
    heights = np.concatenate(
        [low[1], low[1][-1] + (handle - low[1][-1]) * share[1:], handle + blade * (1 - np.cos(turn)) / 2]
    )
    neck = grip * uniform(rng, 0.6, 1.0)
    radii = np.concatenate(
        [
            low[0],
            np.interp(share[1:], [0, 0.5, 1], [grip, grip, neck]),
            np.maximum(wide * np.sin(turn) ** 0.6, np.where(turn < 1.5, neck, 0)),
        ]
    )
    depth = np.minimum(
        radii, np.interp(heights, [0, 0.6 * handle, handle, handle + blade], [grip, grip * 0.8, thin, thin * 0.6])
    )
    skin = SewnMesh()
    rings = stacked(heights, np.stack([radii, depth], 1), oval(28, uniform(rng, 2.0, 3.5)))
    bent = np.clip((heights - handle) / blade, 0, 1)
    rings[..., 1] += (uniform(rng, -0.02, 0.02) * bent**2)[:, None]
    skin.tube(rings)
    return skin.mesh()
