# SPDX-License-Identifier: Apache-2.0
"""Crops about proposals of the RGB detector, as the heads `hand` and `holds` of `reconstruction` receive them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import multiprocessing
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.stages.parts.rgb_detector import detect_near
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_detector import RgbDetector
from training.data.real.pasted_hands import PastedHands
from training.data.real.photo_views import pasted_record
from training.data.real.photo_views import record_of
from training.data.real.photos import Photo
from training.data.synthetic.recolouring import OTHER_COLOURS
from training.data.synthetic.recolouring import recoloured
from training.data.synthetic.rgb_crop_views import ROOM
from training.networks.reconstruction import in_camera
from training.networks.reconstruction import normalised
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_estimators import HandPrediction

NO_HAND = -1
"""What `shown_hand` says of a square without a hand."""

_PROPOSED = 4
"""Proposals of the detector in an image, those that are unlikely too: most crops without a hand are such."""
_PASSES = 3
"""Inferences of each proposal, all but the first one around the joints of the one before: as many as the stage needs to
confirm a hand. A held hand is often lost in the second or the third one."""
_SHOWN = 0.25
"""Visible share of a hand from which on a crop shows it: of a hand whose palm holds a tin before the camera, less than
half is seen."""
_FOCAL = 1.5
"""Focal length assumed for the images, in image widths: the crops hardly depend on it."""
_MOVED, _RESIZED = 0.12, 0.2
"""Standard deviations of the place, in sides, and of the logarithm of the side of a region about a labelled hand."""


_shared: dict[str, Any] = {}
"""Network and detector of a worker process."""


@dataclasses.dataclass(frozen=True)
class LabelledImage:
    """An image and its hands.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        squares: (N, 3) centre x, y and side of the hands' squares, pixels.
        visible: (N,) visible shares of the hands.
        holds: (N,) bool, hands that hold something.
    """

    image: np.ndarray
    squares: np.ndarray
    visible: np.ndarray
    holds: np.ndarray

    def varied(self, rng: np.random.Generator) -> LabelledImage:
        """The image mirrored and recoloured."""
        mirrored = self.squares * [-1, 1, 1] + [self.image.shape[1] - 1, 0, 0]
        image = recoloured(np.ascontiguousarray(self.image[:, ::-1]), OTHER_COLOURS, rng)
        return dataclasses.replace(self, image=image, squares=mirrored)

    def regions(self, rng: np.random.Generator) -> list[DetectedHand]:
        """A square about each hand, as roughly as a region is given."""
        return [
            DetectedHand(
                np.array([x, y]) + rng.normal(0, _MOVED, 2) * side,
                side * float(np.exp(rng.normal(0, _RESIZED))),
                1.0,
                0.5,
                0.0,
                None,
            )
            for x, y, side in self.squares
        ]


@dataclasses.dataclass(frozen=True)
class ScoredCrops:
    """Inputs of the heads and their labels.

    Attributes:
        hand: (M, F) inputs of the head `hand`.
        shows: (M,) bool, crops of hands.
        holds: (K, G) inputs of the head `holds`, of the crops of hands.
        holding: (K,) bool, hands that hold something.
    """

    hand: np.ndarray
    shows: np.ndarray
    holds: np.ndarray
    holding: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[ScoredCrops]) -> ScoredCrops:
        """All crops of the parts."""
        return cls(
            *(np.concatenate([getattr(part, field.name) for part in parts]) for field in dataclasses.fields(cls))
        )


def frame_images(records: Iterable[np.ndarray]) -> Iterator[LabelledImage]:
    """Records of RGB_FRAME_DTYPE."""
    for record in records:
        count = int(record['count'])
        squares, visible, holds = (record[name][:count] for name in ('square', 'visible', 'holds'))
        yield LabelledImage(np.ascontiguousarray(record['image']), squares.astype(float), visible, holds)


def photo_images(photos: Iterable[Photo]) -> Iterator[LabelledImage]:
    """Labelled photos."""
    for photo in photos:
        yield _labelled(record_of(photo))


def pasted_images(hands: PastedHands, count: int, seed: Sequence[int]) -> Iterator[LabelledImage]:
    """Photos without hands into which hands are pasted of which is known whether they hold something.

    Args:
        hands: that are pasted.
        count: of the photos.
        seed: of all draws.
    """
    drawn = (hands.draw(np.random.default_rng([*seed, number])) for number in itertools.count())
    clear = ((image, shown) for image, shown in drawn if shown and all(hand.holds is not None for hand in shown))
    for image, shown in itertools.islice(clear, count):
        yield _labelled(pasted_record(image, shown))


def _labelled(record: Mapping[str, Any]) -> LabelledImage:
    return LabelledImage(record['image'], record['square'], record['visible'], record['holds'])


def collect_crops(
    network: ReconstructionNet,
    models: Path,
    images: Iterable[LabelledImage],
    seed: Sequence[int] | None = None,
    workers: int = 1,
) -> ScoredCrops:
    """`scored_crops` of all images.

    Args:
        network: in evaluation mode, on the CPU.
        models: folder of the detector.
        images: to look at.
        seed: half of the images are mirrored and recoloured, and regions join the proposals; without it neither.
        workers: processes; the crops do not depend on their number.
    """
    jobs = ((image, None if seed is None else [*seed, number]) for number, image in enumerate(images))
    progress = functools.partial(tqdm, unit='image', mininterval=5)
    if workers > 1:
        with multiprocessing.get_context('spawn').Pool(workers, _prepare, (network, models)) as pool:
            parts = list(progress(pool.imap(_collect, jobs)))
    else:
        detector = RgbDetector(models)
        parts = [_crops_of(network, detector, *job) for job in progress(jobs)]
    return ScoredCrops.joined([_no_crops(network), *parts])


def _prepare(network: ReconstructionNet, models: Path) -> None:
    torch.set_num_threads(1)
    _shared['network'], _shared['detector'] = network, RgbDetector(models)


def _collect(job: tuple[LabelledImage, Sequence[int] | None]) -> ScoredCrops:
    return _crops_of(_shared['network'], _shared['detector'], *job)


def _crops_of(
    network: ReconstructionNet, detector: RgbDetector, labelled: LabelledImage, seed: Sequence[int] | None
) -> ScoredCrops:
    if seed is None:
        return scored_crops(network, detector, labelled)
    rng = np.random.default_rng(seed)
    version = labelled.varied(rng) if rng.random() < 0.5 else labelled
    return scored_crops(network, detector, version, version.regions(rng))


def scored_crops(
    network: ReconstructionNet,
    detector: RgbDetector,
    labelled: LabelledImage,
    regions: Sequence[DetectedHand] = (),
) -> ScoredCrops:
    """Runs the network on the proposals of the detector, as right and as left hands, and again, and once more, around
    the predicted joints, rolled upright.

    Args:
        network: in evaluation mode, on the CPU.
        detector: proposes hands.
        labelled: the image.
        regions: squares to look at besides the proposals.

    Returns:
        The crops with a clear label.
    """
    image = labelled.image
    height, width = image.shape[:2]
    camera = Pinhole(width, height, _FOCAL * width, _FOCAL * width, (width - 1) / 2, (height - 1) / 2)
    proposals = [*detector(image, _PROPOSED, 0.0), *regions]
    near = detect_near(detector, image, [(hand.centre, hand.side) for hand in proposals], 0.0)
    proposals = [hand for first, second in zip(proposals, near) for hand in [second or first] * 2]
    places = [(hand.centre, hand.side) for hand in proposals]
    before: list[np.ndarray | None] = [None] * len(places)
    shown: list[int | None] = []
    parts: list[ScoredCrops] = [_no_crops(network)]
    for _ in range(_PASSES if places else 0):
        shown = [shown_hand(*place, labelled.squares, labelled.visible) for place in places]
        crops = [
            _crop(camera, *place, hand, bool(number % 2), keypoints)
            for number, (place, hand, keypoints) in enumerate(zip(places, proposals, before))
        ]
        pixels = np.stack([crop.warp(image, network.config.size) for crop in crops])
        inputs = normalised(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        clear = np.array([number is not None for number in shown])
        shows = np.array([number is not None and number != NO_HAND for number in shown])
        features, holds, hand = _inputs_of(network, inputs, shows)
        holding = [bool(labelled.holds[number]) for number in shown if number is not None and number != NO_HAND]
        parts.append(ScoredCrops(features[clear], shows[clear], holds, np.array(holding[: len(holds)], bool)))
        before = [
            in_camera(crop, *numbers)
            for crop, *numbers in zip(crops, hand.keypoints.numpy().astype(float), hand.place.numpy().astype(float))
        ]
        places = [_square(camera, keypoints) for keypoints in before]
    return ScoredCrops.joined(parts)


def shown_hand(centre: np.ndarray, side: float, squares: np.ndarray, visible: np.ndarray) -> int | None:
    """The number of the hand that a square shows, `NO_HAND`, or None if it shows too little of one for either."""
    gaps = np.linalg.norm(squares[:, :2] - centre, axis=1)
    if not (gaps < np.maximum(side, squares[:, 2])).any():
        return NO_HAND
    gaps /= squares[:, 2]
    nearest = int(gaps.argmin())
    shows = gaps[nearest] < 0.5 and abs(np.log(side / squares[nearest, 2])) < 0.7 and visible[nearest] >= _SHOWN
    return nearest if shows else None


def _inputs_of(
    network: ReconstructionNet, images: torch.Tensor, shows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, HandPrediction]:
    """What the heads receive of images (B, 3, S, S), `hand` of all, `holds` of those that show hands; and the hands."""
    received: dict[str, torch.Tensor] = {}
    hooks = [
        getattr(network, name).register_forward_pre_hook(
            lambda _, arguments, name=name: received.__setitem__(name, arguments[0])
        )
        for name in ('hand', 'hand_estimator')
    ]
    try:
        with torch.inference_mode():
            hands = network(images, hand_alone=True).hands
            holds = torch.zeros(0, network.holds[0].in_features if network.holds else 0)
            if network.holds and shows.any():
                chosen = torch.from_numpy(shows)
                things = network.object_encoder(images[chosen])[-1].mean((2, 3))
                holds = torch.cat([received['hand_estimator'][chosen], things], 1)
    finally:
        for hook in hooks:
            hook.remove()
    return received['hand'].numpy(), holds.numpy(), hands[-1]


def _no_crops(network: ReconstructionNet) -> ScoredCrops:
    inputs = [np.zeros((0, head[0].in_features if head else 0), np.float32) for head in (network.hand, network.holds)]
    return ScoredCrops(inputs[0], np.zeros(0, bool), inputs[1], np.zeros(0, bool))


def _crop(
    camera: Pinhole, centre: np.ndarray, side: float, hand: DetectedHand, mirrored: bool, before: np.ndarray | None
) -> ViewCrop:
    """The crop of the stage: around a square and the detected held box, rolled upright by the keypoints (21, 3) of the
    pass before."""
    middle, wide = outline(centre + np.array([[-0.5], [0.5]]) * side, hand.held_corners)
    crop = ViewCrop(camera, middle, ROOM * wide, mirrored=mirrored)
    return crop if before is None else crop.upright(before)


def _square(camera: Pinhole, keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and side of the square around keypoints (21, 3), pixels."""
    centre, side = outline(camera.project(keypoints), None)
    return centre, float(np.clip(side, 4.0, 2 * camera.width))
