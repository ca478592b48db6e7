# SPDX-License-Identifier: Apache-2.0
"""Misplaced hands of observed pairs, with networks that know the answer."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import with_root
from hoi_ros.stages.parts.pair_cleaner import confidences_of
from hoi_ros.stages.parts.pair_cleaner import Network
from hoi_ros.stages.parts.pair_cleaner import PairCleaner
from hoi_ros.stages.parts.pair_cleaner import view_of

_FLIP = np.array([-1, 1, 1], np.float32)


def hands() -> tuple[np.ndarray, np.ndarray]:
    """A right and a left hand (64,) before the camera."""
    rng = np.random.default_rng(3)
    roots = zip(Rotation.random(2, random_state=5).as_matrix(), ([0.05, 0.02, 0.5], [-0.04, 0.01, 0.6]))
    return tuple(with_root(rng.normal(0, 0.1, 64).astype(np.float32), *root) for root in roots)


def knowing(
    right: np.ndarray, left: np.ndarray, observed: tuple[np.ndarray, np.ndarray], share: list[float]
) -> Network:
    """A network that knows the true hands of observed ones, and the probabilities that they are misplaced."""

    def network(pair: np.ndarray) -> dict[str, np.ndarray]:
        assert pair.shape == (2, 30) and pair.dtype == np.float32
        own = [about_anchor(hand, observed[1])[ROOT] for hand in (right, left)]
        other = [about_anchor(mirrored(hand), mirrored(observed[0]))[ROOT] for hand in (left, right)]
        return {
            'roots': np.stack([np.concatenate(own), np.concatenate(other)]),
            'misplaced': np.array([share, share[::-1]], np.float32),
        }

    return network


def test_the_hand_that_is_misplaced_is_placed_beside_the_other_one() -> None:
    right, left = hands()
    keypoints, confidences = np.zeros((2, 21, 3), np.float32), np.ones((2, 3), np.float32)
    for number, wrong in enumerate((right, left)):
        off = with_root(wrong, Rotation.random(random_state=7).as_matrix(), wrong[PLACE] + [0.05, -0.02, 0.03])
        observed = (off, left) if number == 0 else (right, off)
        share = [0.9, 0.2] if number == 0 else [0.2, 0.9]
        found = PairCleaner(knowing(right, left, observed, share))(*observed, keypoints, confidences)
        np.testing.assert_allclose((found.right, found.left), (right, left), atol=1e-5)
        np.testing.assert_allclose(found.misplaced, share, atol=1e-6)
        assert found.replaced == number


def test_hands_in_their_places_stay_as_they_were_observed() -> None:
    right, left = hands()
    elsewhere = with_root(right, Rotation.identity().as_matrix(), np.zeros(3))
    network = knowing(elsewhere, left, (right, left), [0.2, 0.1])
    found = PairCleaner(network)(right, left, np.zeros((2, 21, 3), np.float32), np.ones((2, 3), np.float32))
    assert found.right is right and found.left is left and found.replaced is None


def test_the_view_depends_on_how_the_hands_are_to_each_other_and_to_the_camera_alone() -> None:
    right, left = hands()
    rng = np.random.default_rng(0)
    keypoints = np.stack([hand[PLACE] + rng.normal(0, 0.05, (21, 3)) for hand in (right, left)])
    confidences = confidences_of(np.array([0.9, 0.8]), np.array([1, 0.7]), rng.random((2, 21)))
    own = view_of(right[None], left[None], keypoints[None], confidences[None])
    # Turned about the camera, both hands look the same to it but for the image's edges.
    turn = Rotation.random(random_state=2).as_matrix()
    turned = [with_root(hand, turn @ rotation_of(hand), turn @ hand[PLACE]) for hand in (right, left)]
    again = view_of(turned[0][None], turned[1][None], keypoints[None] @ turn.T, confidences[None])
    np.testing.assert_allclose(own, again, atol=1e-5)
    np.testing.assert_allclose(own[0, 9:12] @ own[0, 9:12], 1, atol=1e-5)
    # Of the mirror image, the numbers of both hands change places.
    swapped = view_of(
        mirrored(left)[None], mirrored(right)[None], keypoints[None, ::-1] * _FLIP, confidences[None, ::-1]
    )
    np.testing.assert_allclose(own[0, 12:18], swapped[0, [15, 16, 17, 12, 13, 14]], atol=1e-6)
    np.testing.assert_allclose(own[0, 18:24], swapped[0, [19, 18, 21, 20, 22, 23]], atol=1e-6)
