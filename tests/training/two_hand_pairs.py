# SPDX-License-Identifier: Apache-2.0
"""Random pairs of hands for tests, and an untrained network of features."""

from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import with_root
from training.data.synthetic.two_hands.records import OBJECT_PAIR_DTYPE
from training.data.synthetic.two_hands.records import OBJECT_POINTS
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.networks.two_hand_prior.features import TwoHandFeatures


def random_pairs(count: int, seed: int = 0) -> np.ndarray:
    """Records of bent hands, the right ones about half a hand from the left."""
    rng, hand = np.random.default_rng(seed), HandModel.load()
    records = np.zeros(count, PAIR_DTYPE)
    low, high = hand.limits[..., 0], hand.limits[..., 1]
    for side in ('right', 'left'):
        angles = 0.6 * (low + (high - low) * rng.random((count, 16, 3)))
        fingers = hand.pose_of(angles)[:, 3:]
        numbers = np.concatenate([fingers, rng.normal(0, 0.5, (count, 10)), np.zeros((count, 9))], 1)
        turns = Rotation.from_rotvec(rng.normal(0, 1, (count, 3)) * (side == 'right')).as_matrix()
        places = (np.array([0.01, 0.05, 0.06]) + rng.normal(0, 0.02, (count, 3))) * (side == 'right')
        records[side] = with_root(numbers.astype(np.float32), turns, places)
    records['index'] = np.arange(count)
    return records


def random_pairs_on_objects(count: int) -> np.ndarray:
    """Records of hands as of `random_pairs`, each pair about an ellipsoid of its own."""
    pairs, rng = random_pairs(count), np.random.default_rng(1)
    records = np.zeros(count, OBJECT_PAIR_DTYPE)
    for name in PAIR_DTYPE.names:
        records[name] = pairs[name]
    normals = rng.standard_normal((count, OBJECT_POINTS, 3))
    records['object_normals'] = normals / np.linalg.norm(normals, axis=2, keepdims=True)
    records['object_points'] = records['object_normals'] * rng.uniform(0.02, 0.1, (count, 1, 3))
    return records


def untrained_features(folder: Path, with_object: bool = False) -> Path:
    """weights.pt of a network that has not been trained."""
    torch.manual_seed(0)
    kept = {
        'weights': TwoHandFeatures(with_object).state_dict(),
        'with_object': with_object,
        'seed': 0,
        'command': 'none',
    }
    torch.save(kept | {'figures': {'mpjpe_mm': 50.0}}, folder / 'features.pt')
    return folder / 'features.pt'
