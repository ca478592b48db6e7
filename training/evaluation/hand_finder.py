# SPDX-License-Identifier: Apache-2.0
"""Figures of a hand finder network on records of depth frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.stages.parts.hand_finder import decode
from hoi_ros.stages.parts.hand_finder import finder_input
from training.data.synthetic.depth_frames import FRAME_HEIGHT
from training.data.synthetic.depth_frames import FRAME_WIDTH

_COUNTED, _HOLDING_COUNTED = 0.45, 0.3
"""Least visible share of a hand that must be found, and of one that holds something; hands below it count neither as
found nor as missed."""
_FOUND_WITHIN = 0.06
"""A hand is found if a detected centre lies nearer than this to its own, metres."""
_EXCUSED_WITHIN = 0.15
"""A detection nearer than this to a hand that does not count is not a false one, metres."""


def counted_hands(record: np.ndarray) -> np.ndarray:
    """(N,) bool, which of the N hands of a record of `FRAME_DTYPE` must be found."""
    count = int(record['count'])
    return record['visible'][:count] >= np.where(record['holds'][:count], _HOLDING_COUNTED, _COUNTED)


def finder_figures(network: nn.Module, records: np.ndarray, threshold: float = 0.3) -> dict[str, float]:
    """Share of the hands found, mean error of their centres (mm), and false detections a frame.

    Args:
        network: gives heat and place, as `HandFinderNet` does.
        records: of `FRAME_DTYPE`.
        threshold: lowest heat of a detection.
    """
    found, counted, false, errors = 0, 0, 0, []
    device = next(network.parameters(), torch.empty(0)).device
    for record in records:
        frame = torch.from_numpy(finder_input(record['depth'] * np.float32(1e-4)))[None]
        with torch.inference_mode():
            heat, place = (output.cpu() for output in network(frame.to(device)))
        camera = Pinhole(FRAME_WIDTH, FRAME_HEIGHT, *record['camera'])
        hands = decode(heat[0].numpy(), place[0].numpy(), camera, 2, threshold)
        taken: set[int] = set()
        must = counted_hands(record)
        for number in range(int(record['count'])):
            gaps = [np.linalg.norm(hand.centre - record['centre'][number]) for hand in hands]
            match = int(np.argmin(gaps)) if gaps else -1
            hit = match >= 0 and gaps[match] < _FOUND_WITHIN
            if hit:
                taken.add(match)
            if must[number]:
                counted += 1
                found += hit
                if hit:
                    errors.append(gaps[match])
        excused = [record['centre'][k] for k in range(int(record['count'])) if not must[k]]
        false += sum(
            1
            for k, hand in enumerate(hands)
            if k not in taken and all(np.linalg.norm(hand.centre - centre) > _EXCUSED_WITHIN for centre in excused)
        )
    return {
        'found': float(found / max(counted, 1)),
        'centre_error_mm': 1e3 * float(np.mean(errors)) if errors else float('nan'),
        'false_per_frame': false / len(records),
    }
